"""Bounds between the evidence lower bound and the importance-weighted one.

    CIWAE = γ·ELBO + (1 − γ)·IWAE_K          MIWAE = (1/G) Σ_g log (G/K) Σ_{k in group g} w_k

The importance-weighted bound is tight, which teaches the decoder, and the evidence lower bound has the less noisy
gradient, which teaches the encoder. Both of these are lower bounds of log p(x) in expectation.
"""

from __future__ import annotations

from torch import Tensor

from vaekit.errors import VaekitError
from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp


class NegativeCIWAE(NegativeWeightedBound):
    """−CIWAE of each example, K being the model's `samples`.

    Args:
        model: the model to be trained.
        share: γ in [0, 1]; 0 is the importance-weighted bound, 1 the evidence lower bound with its rate by draws.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, share: float) -> None:
        super().__init__(model)
        self.share = share

    def bound(self, log_weights: Tensor) -> Tensor:
        """γ·(1/K) Σ_k log w_k + (1 − γ)·log (1/K) Σ_k w_k."""
        return self.share * log_weights.mean(0) + (1 - self.share) * log_mean_exp(log_weights)


class NegativeMIWAE(NegativeWeightedBound):
    """−MIWAE of each example: the average over groups of draws of the importance-weighted bound of each.

    Args:
        model: the model to be trained; its `samples` K are divided into the groups.
        groups: G ≥ 1, a divisor of K; 1 is the importance-weighted bound, K the evidence lower bound.

    Raises:
        VaekitError: if the draws cannot be divided into so many groups.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    def __init__(self, model: VariationalAutoEncoder, groups: int) -> None:
        super().__init__(model)
        if groups < 1 or model.samples % groups:
            raise VaekitError(
                "objective.groups must divide objective.samples", f"{groups} groups of {model.samples} draws"
            )
        self.groups = groups

    def bound(self, log_weights: Tensor) -> Tensor:
        """(1/G) Σ_g log (G/K) Σ_{k in group g} w_k."""
        return log_mean_exp(log_weights.unflatten(0, (self.groups, -1)), 1).mean(0)
