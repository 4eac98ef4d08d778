"""Likelihoods p(x|z), one family in each file."""

from vaekit.models.likelihoods.autoregressive import AutoregressiveBernoulli
from vaekit.models.likelihoods.autoregressive_logistic import AutoregressiveLogistic
from vaekit.models.likelihoods.autoregressive_mixed import AutoregressiveMixed
from vaekit.models.likelihoods.base import Likelihood
from vaekit.models.likelihoods.bernoulli import Bernoulli
from vaekit.models.likelihoods.categorical import Categorical
from vaekit.models.likelihoods.counts import NegativeBinomial, Poisson
from vaekit.models.likelihoods.location_scale import Gaussian, Laplace, LocationScale, StudentT
from vaekit.models.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from vaekit.models.likelihoods.mixed import Mixed
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = [
    "AutoregressiveBernoulli",
    "AutoregressiveLogistic",
    "AutoregressiveMixed",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "LocationScale",
    "Mixed",
    "NegativeBinomial",
    "Poisson",
    "StudentT",
]
