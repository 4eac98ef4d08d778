"""The negative evidence lower bound with the path gradient ("sticking the landing").

    loss = D + β·(1/M) Σ_m [log q(z_m|x) − log p(z_m)],   z_m ~ q(z|x)

The value is that of the bound with its rate by draws. Of the gradient, the part that passes through the parameters of
log q itself is left out: its expectation is zero, and without it the variance vanishes where q is the true posterior.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import log_posterior_along_path
from vaekit.objectives.terms import Terms


class StickingTheLanding(nn.Module):
    """D + β·R with R by draws and the gradient along the draws' paths only.

    Args:
        model: the model to be trained.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """

    def __init__(self, model: VariationalAutoEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, kl_weight: Tensor) -> Terms:
        """The terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            kl_weight: β, a scalar tensor.

        Returns:
            loss, D, R and posterior means of each example.
        """
        joint = self.model.joint(x)
        distortion = joint.distortion()
        rate = (log_posterior_along_path(joint) - joint.prior.log_prob(joint.z)).mean(0)
        return Terms(distortion + kl_weight * rate, distortion, rate, joint.posterior.mean)
