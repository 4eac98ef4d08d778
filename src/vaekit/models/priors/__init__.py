"""Priors p(z), modules whose forward takes no arguments and returns a distribution over latent vectors."""

from vaekit.models.priors.base import Prior
from vaekit.models.priors.mixture import GaussianMixture
from vaekit.models.priors.standard_normal import StandardNormal
from vaekit.models.priors.vamp import VampPrior
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = ["GaussianMixture", "Prior", "StandardNormal", "VampPrior"]
