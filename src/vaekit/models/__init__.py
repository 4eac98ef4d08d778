"""Models: every arrow of the graphical model is a module whose forward returns a distribution.

encoder(x) -> q(z|x)        decoder(z) -> p(x|z)        prior() -> p(z)
"""

from vaekit.models.autoencoder import Autoencoder
from vaekit.models.decoders import Decoder
from vaekit.models.encoders import Encoder
from vaekit.models.gaussians import Diagonal, FullCovariance, LowRank
from vaekit.models.latent import LatentModel
from vaekit.models.likelihoods import LIKELIHOODS, Likelihood
from vaekit.models.linear_gaussian import ProbabilisticPCA
from vaekit.models.posteriors import POSTERIORS, BottomUp, Directional, FlowPosterior, TopDown
from vaekit.models.priors import (
    PRIORS,
    CouplingPrior,
    FlowPrior,
    GaussianMixture,
    LayeredPrior,
    StandardNormal,
    VampPrior,
)
from vaekit.models.variational import Joint, VariationalAutoEncoder

__all__ = [
    "LIKELIHOODS",
    "POSTERIORS",
    "PRIORS",
    "Autoencoder",
    "BottomUp",
    "CouplingPrior",
    "Decoder",
    "Diagonal",
    "Directional",
    "Encoder",
    "FlowPosterior",
    "FlowPrior",
    "FullCovariance",
    "GaussianMixture",
    "Joint",
    "LatentModel",
    "LayeredPrior",
    "Likelihood",
    "LowRank",
    "ProbabilisticPCA",
    "StandardNormal",
    "TopDown",
    "VampPrior",
    "VariationalAutoEncoder",
]
