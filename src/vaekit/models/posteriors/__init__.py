"""Approximate posteriors q(z|x), modules that map the output of an encoder's network to a distribution."""

from vaekit.models.posteriors.base import Posterior
from vaekit.models.posteriors.directional import Directional
from vaekit.models.posteriors.gaussians import Diagonal, FullCovariance, LowRank
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = ["Diagonal", "Directional", "FullCovariance", "LowRank", "Posterior"]
