"""The negative evidence lower bound, with a weight on its rate.

    loss = D + β·R,   D = −(1/M) Σ_m log p(x|z_m),  z_m ~ q(z|x),   R = KL[q(z|x) ‖ p(z)]

With β = 1, −loss is a lower bound on log p(x) in expectation. With β > 1 it is a looser bound. With β < 1
it is not a bound.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms


class NegativeELBO(Objective):
    """D + β·R of each example, the negative evidence lower bound for β = 1.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.
    """

    name = "elbo"

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether −loss is a lower bound on log p(x), which holds for β ≥ 1."""
        return options.kl_weight >= 1

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: D + β·R, D and R."""
        distortion, rate = draws.distortion(), draws.rate()
        return Terms(distortion + beta * rate, distortion, rate)
