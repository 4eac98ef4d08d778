"""vaekit: variational autoencoders with honest numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.3.0"

_HOMES = {
    "train": "vaekit.runs.train",
    "load": "vaekit.runs.load",
    "fit": "vaekit.runs.by_hand",
    "evaluate": "vaekit.runs.by_hand",
    "audit": "vaekit.auditing",
    "compare": "vaekit.runs.compare",
    "describe": "vaekit.runs.describe",
    "remedy": "vaekit.runs.remedy",
    "mapper": "vaekit.runs.mapper",
    "map_files": "vaekit.jobs",
    "sample_files": "vaekit.jobs",
    "Run": "vaekit.runs.run",
    "VAE": "vaekit.estimator",
    "VAEImputer": "vaekit.estimator",
    "VAEOutlierDetector": "vaekit.estimator",
    "Recipe": "vaekit.recipe",
    "VariationalAutoEncoder": "vaekit.models",
    "Autoencoder": "vaekit.models",
    "Decoder": "vaekit.models",
    "Diagonal": "vaekit.models",
    "Encoder": "vaekit.models",
    "StandardNormal": "vaekit.models",
    "GaussianMixture": "vaekit.models",
    "VampPrior": "vaekit.models",
    "CouplingPrior": "vaekit.models",
    "ProbabilisticPCA": "vaekit.models",
    "VaekitError": "vaekit.errors",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from vaekit.auditing import audit as audit
    from vaekit.errors import VaekitError as VaekitError
    from vaekit.estimator import VAE as VAE
    from vaekit.estimator import VAEImputer as VAEImputer
    from vaekit.estimator import VAEOutlierDetector as VAEOutlierDetector
    from vaekit.jobs import map_files as map_files
    from vaekit.jobs import sample_files as sample_files
    from vaekit.models import Autoencoder as Autoencoder
    from vaekit.models import CouplingPrior as CouplingPrior
    from vaekit.models import Decoder as Decoder
    from vaekit.models import Diagonal as Diagonal
    from vaekit.models import Encoder as Encoder
    from vaekit.models import GaussianMixture as GaussianMixture
    from vaekit.models import ProbabilisticPCA as ProbabilisticPCA
    from vaekit.models import StandardNormal as StandardNormal
    from vaekit.models import VampPrior as VampPrior
    from vaekit.models import VariationalAutoEncoder as VariationalAutoEncoder
    from vaekit.recipe import Recipe as Recipe
    from vaekit.runs.by_hand import evaluate as evaluate
    from vaekit.runs.by_hand import fit as fit
    from vaekit.runs.compare import compare as compare
    from vaekit.runs.describe import describe as describe
    from vaekit.runs.load import load as load
    from vaekit.runs.mapper import mapper as mapper
    from vaekit.runs.remedy import remedy as remedy
    from vaekit.runs.run import Run as Run
    from vaekit.runs.train import train as train


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import vaekit` and the command line start quickly."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vaekit' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
