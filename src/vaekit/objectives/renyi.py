"""The negative variational Rényi bound.

    loss = −1/(1 − α) · log (1/K) Σ_k w_k^{1 − α},   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

α = 0 gives the importance-weighted bound, and α → 1 the evidence lower bound. For 0 ≤ α ≤ 1, −loss is a lower bound on
log p(x) in expectation. For α < 0, −loss may not be a bound.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from torch import Tensor

from vaekit.objectives.base import Objective
from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp


class NegativeRenyi(NegativeWeightedBound):
    """The negative Rényi bound of each example for K draws.

    Args:
        alpha: α; at 1 the limit is taken, −(1/K) Σ_k log w_k.

    References:
        Li and Turner, "Rényi Divergence Variational Inference", 2016.
    """

    name = "renyi"

    class Options(Objective.Options):
        """Options of the Rényi bound."""

        alpha: float = Field(0.5, le=1, description="Order of the Rényi bound: 0 is iwae, 1 is elbo.")

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether −loss is a lower bound on log p(x), which holds for α ≥ 0 and β = 1."""
        return options.kl_weight == 1 and options.alpha >= 0

    def __init__(self, alpha: float = 0.5) -> None:
        super().__init__()
        self.alpha = alpha

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return log ((1/K) Σ_k w_k^{1 − α}) / (1 − α)."""
        power = 1 - self.alpha
        return log_mean_exp(power * log_weights) / power if power else log_weights.mean(0)
