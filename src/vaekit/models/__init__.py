"""Models. Every arrow of the graphical model is a module whose forward returns a distribution.

encoder(x) -> q(z|x)        decoder(z) -> p(x|z)        prior() -> p(z)
"""

from vaekit.models.autoencoder import Autoencoder
from vaekit.models.decoders import Decoder
from vaekit.models.encoders import Encoder
from vaekit.models.family import ModelFamily
from vaekit.models.flows import (
    AutoregressiveFlowPrior,
    CouplingPrior,
    FlowPosterior,
    InverseAutoregressivePosterior,
    SplinePrior,
)
from vaekit.models.latent import LatentModel
from vaekit.models.layers import BottomUp, LayeredPrior, TopDown
from vaekit.models.likelihoods import Likelihood
from vaekit.models.linear_gaussian import ProbabilisticPCA
from vaekit.models.posteriors import Diagonal, Directional, FullCovariance, LowRank, Posterior
from vaekit.models.priors import GaussianMixture, Prior, StandardNormal, VampPrior
from vaekit.models.variational import Draws, VariationalAutoEncoder

__all__ = [
    "Autoencoder",
    "AutoregressiveFlowPrior",
    "BottomUp",
    "CouplingPrior",
    "Decoder",
    "Diagonal",
    "Directional",
    "Draws",
    "Encoder",
    "FlowPosterior",
    "FullCovariance",
    "GaussianMixture",
    "InverseAutoregressivePosterior",
    "LatentModel",
    "LayeredPrior",
    "Likelihood",
    "LowRank",
    "ModelFamily",
    "Posterior",
    "Prior",
    "ProbabilisticPCA",
    "SplinePrior",
    "StandardNormal",
    "TopDown",
    "VampPrior",
    "VariationalAutoEncoder",
]
