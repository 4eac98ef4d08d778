"""Models: every arrow of the graphical model is a module whose forward returns a distribution.

encoder(x) -> q(z|x)        decoder(z) -> p(x|z)        prior() -> p(z)
"""

from vaekit.models.autoencoder import Autoencoder
from vaekit.models.decoders import Decoder
from vaekit.models.encoders import GaussianEncoder
from vaekit.models.likelihoods import LIKELIHOODS, Likelihood
from vaekit.models.linear_gaussian import ProbabilisticPCA
from vaekit.models.priors import PRIORS, CouplingPrior, FlowPrior, GaussianMixture, StandardNormal, VampPrior
from vaekit.models.variational import Joint, VariationalAutoEncoder

__all__ = [
    "LIKELIHOODS",
    "PRIORS",
    "Autoencoder",
    "CouplingPrior",
    "Decoder",
    "FlowPrior",
    "GaussianEncoder",
    "GaussianMixture",
    "Joint",
    "Likelihood",
    "ProbabilisticPCA",
    "StandardNormal",
    "VampPrior",
    "VariationalAutoEncoder",
]
