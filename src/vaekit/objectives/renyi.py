"""The negative variational Rényi bound.

    loss = −1/(1 − α) · log (1/K) Σ_k w_k^{1 − α},   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

α = 0 is the importance-weighted bound, α → 1 the evidence lower bound. For 0 ≤ α ≤ 1 it is a lower bound of log p(x)
in expectation; below 0 it need not be one.
"""

from __future__ import annotations

from torch import Tensor

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp


class NegativeRenyi(NegativeWeightedBound):
    """The negative Rényi bound of each example, K being the model's `samples`.

    Args:
        model: the model to be trained.
        alpha: α; at 1 the limit is taken, −(1/K) Σ_k log w_k.

    References:
        Li and Turner, "Rényi Divergence Variational Inference", 2016.
    """

    def __init__(self, model: VariationalAutoEncoder, alpha: float) -> None:
        super().__init__(model)
        self.alpha = alpha

    def bound(self, log_weights: Tensor) -> Tensor:
        """log ((1/K) Σ_k w_k^{1 − α}) / (1 − α)."""
        power = 1 - self.alpha
        return log_mean_exp(power * log_weights) / power if power else log_weights.mean(0)
