"""The negative evidence lower bound with the path gradient ("sticking the landing").

    loss = D + β·(1/M) Σ_m [log q(z_m|x) − log p(z_m)],   z_m ~ q(z|x)

The value is that of the bound with its rate by draws. Of the gradient, the part that passes through the parameters of
log q itself is left out: its expectation is zero, and without it the variance vanishes where q is the true posterior.
"""

from __future__ import annotations

from torch import Tensor

from vaekit.models import Joint
from vaekit.objectives.importance import NegativeWeightedBound, matching_along_path


class StickingTheLanding(NegativeWeightedBound):
    """D + β·R with R by draws and the gradient along the draws' paths only.

    Args:
        model: the model to be trained.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """

    def bound(self, log_weights: Tensor) -> Tensor:
        """(1/M) Σ_m log w_m."""
        return log_weights.mean(0)

    def weigh(self, joint: Joint, kl_weight: Tensor) -> tuple[Tensor, Tensor]:
        """As for all, with the gradient of log q along the path."""
        matching = matching_along_path(joint)
        return joint.log_likelihood - kl_weight * matching, matching
