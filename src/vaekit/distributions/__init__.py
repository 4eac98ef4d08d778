"""Probability distributions that `torch.distributions` lacks, or lacks a needed property of."""

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.flow import Flow
from vaekit.distributions.levels import Levels
from vaekit.distributions.logistic_mixture import LogisticMixture
from vaekit.distributions.missingness import MaskedSlots, Mechanism
from vaekit.distributions.normal_mixture import NormalMixture
from vaekit.distributions.slots import PlaceGroup, ScoreGroup, Slots

__all__ = [
    "DiagonalNormal",
    "DiscretizedLogistic",
    "Flow",
    "Levels",
    "LogisticMixture",
    "MaskedSlots",
    "Mechanism",
    "NormalMixture",
    "PlaceGroup",
    "ScoreGroup",
    "Slots",
]
