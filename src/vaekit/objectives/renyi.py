"""The negative variational Rényi bound.

    loss = −1/(1 − α) · log (1/K) Σ_k w_k^{1 − α},   w_k = p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

α = 0 is the importance-weighted bound, α → 1 the evidence lower bound. For 0 ≤ α ≤ 1 it is a lower bound of log p(x)
in expectation; below 0 it need not be one.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.terms import Terms


class NegativeRenyi(nn.Module):
    """The negative Rényi bound of each example, K being the model's `samples`.

    Args:
        model: the model to be trained.
        alpha: α; at 1 the limit is taken, −(1/K) Σ_k log w_k.

    References:
        Li and Turner, "Rényi Divergence Variational Inference", 2016.
    """

    def __init__(self, model: VariationalAutoEncoder, alpha: float) -> None:
        super().__init__()
        self.model, self.alpha = model, alpha

    def forward(self, x: Tensor, kl_weight: Tensor) -> Terms:
        """The terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            kl_weight: β, a scalar tensor: weight of log p(z) − log q(z|x) in the log-weights.

        Returns:
            loss, D, R and posterior means of each example.
        """
        joint = self.model.joint(x)
        matching = joint.posterior.log_prob(joint.z) - joint.prior.log_prob(joint.z)
        log_weights = joint.log_likelihood - kl_weight * matching
        power = 1 - self.alpha
        bound = log_mean_exp(power * log_weights) / power if power else log_weights.mean(0)
        return Terms(-bound, joint.distortion(), matching.mean(0), joint.posterior.mean)
