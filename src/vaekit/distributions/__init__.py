"""Probability distributions that `torch.distributions` lacks, or lacks a needed property of."""

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.levels import Levels

__all__ = ["DiagonalNormal", "DiscretizedLogistic", "Levels"]
