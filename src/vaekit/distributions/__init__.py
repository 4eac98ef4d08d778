"""Probability distributions that `torch.distributions` lacks, or lacks a needed property of."""

from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.flow import Flow
from vaekit.distributions.flow_normal import FlowNormal
from vaekit.distributions.layered import Conditional, Layered, LayeredNormal
from vaekit.distributions.logistic_mixture import LogisticMixture
from vaekit.distributions.missingness import MaskedSlots, Mechanism
from vaekit.distributions.normal_mixture import NormalMixture
from vaekit.distributions.ordered_categorical import OrderedCategorical
from vaekit.distributions.reparameterized import Reparameterized
from vaekit.distributions.slots import PlaceGroup, ScoreGroup, Slots
from vaekit.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "CholeskyNormal",
    "Conditional",
    "DiagonalNormal",
    "DiscretizedLogistic",
    "Flow",
    "FlowNormal",
    "Layered",
    "LayeredNormal",
    "LogisticMixture",
    "MaskedSlots",
    "Mechanism",
    "NormalMixture",
    "OrderedCategorical",
    "PlaceGroup",
    "Reparameterized",
    "ScoreGroup",
    "Slots",
    "VonMisesFisher",
]
