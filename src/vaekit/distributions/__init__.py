"""Probability distributions that `torch.distributions` lacks, or lacks a needed property of."""

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.flow import Flow
from vaekit.distributions.flowing_normal import FlowingNormal
from vaekit.distributions.layered import Conditional, Layered, LayeredNormal
from vaekit.distributions.levels import Levels
from vaekit.distributions.logistic_mixture import LogisticMixture
from vaekit.distributions.missingness import MaskedSlots, Mechanism
from vaekit.distributions.normal_mixture import NormalMixture
from vaekit.distributions.reparameterized import Reparameterized
from vaekit.distributions.slots import PlaceGroup, ScoreGroup, Slots
from vaekit.distributions.triangular_normal import TriangularNormal
from vaekit.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "Conditional",
    "DiagonalNormal",
    "DiscretizedLogistic",
    "Flow",
    "FlowingNormal",
    "Layered",
    "LayeredNormal",
    "Levels",
    "LogisticMixture",
    "MaskedSlots",
    "Mechanism",
    "NormalMixture",
    "PlaceGroup",
    "Reparameterized",
    "ScoreGroup",
    "Slots",
    "TriangularNormal",
    "VonMisesFisher",
]
