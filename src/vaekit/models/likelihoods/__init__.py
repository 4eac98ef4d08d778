"""Likelihoods p(x|z): one file each, one line in the table."""

from vaekit.models.likelihoods.autoregressive import AutoregressiveBernoulli
from vaekit.models.likelihoods.base import Likelihood, LikelihoodOptions
from vaekit.models.likelihoods.bernoulli import Bernoulli
from vaekit.models.likelihoods.categorical import Categorical
from vaekit.models.likelihoods.counts import NegativeBinomial, Poisson
from vaekit.models.likelihoods.location_scale import Gaussian, Laplace, LocationScale, StudentT
from vaekit.models.likelihoods.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from vaekit.models.likelihoods.mixed import Mixed

LIKELIHOODS: dict[str, type[Likelihood]] = {
    "mixed": Mixed,
    "bernoulli": Bernoulli,
    "autoregressive_bernoulli": AutoregressiveBernoulli,
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "discretized_logistic": DiscretizedLogistic,
    "discretized_logistic_mixture": DiscretizedLogisticMixture,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}

__all__ = [
    "LIKELIHOODS",
    "AutoregressiveBernoulli",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Gaussian",
    "Laplace",
    "Likelihood",
    "LikelihoodOptions",
    "LocationScale",
    "Mixed",
    "NegativeBinomial",
    "Poisson",
    "StudentT",
]
