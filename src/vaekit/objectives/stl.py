"""The negative evidence lower bound with the path gradient ("sticking the landing").

    loss = D + β·(1/M) Σ_m [log q(z_m|x) − log p(z_m)],   z_m ~ q(z|x)

The loss is the negative bound with its rate estimated from draws. The gradient leaves out the term through the parameters of
log q. This term has expectation zero. Without it, the variance of the gradient vanishes if q is the true posterior.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models import Draws
from vaekit.objectives.importance import NegativeWeightedBound, log_ratio_along_path
from vaekit.parts import Plan


def needs_detached(objective: str, otherwise: str, plan: Plan) -> Iterator[RecipeError]:
    """Yield a refusal for a posterior whose parameters cannot be detached, such as a flow."""
    if not plan.part("posterior").detachable:
        yield RecipeError(
            f"objective={objective} cannot be used with posterior={plan.options['posterior'].name}",
            mend=f"Choose objective={otherwise}",
        )


class StickingTheLanding(NegativeWeightedBound):
    """D + β·R with R estimated from draws, and with path gradients.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """

    name = "stl"
    draws = 1
    importance_weighted = False

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the posterior is a flow."""
        yield from needs_detached("stl", "elbo", plan)

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether −loss is a lower bound on log p(x), which holds for β ≥ 1."""
        return options.kl_weight >= 1

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return (1/M) Σ_m log w_m."""
        return log_weights.mean(0)

    def weigh(self, draws: Draws, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return log w and log q(z|x) − log p(z) with path gradients."""
        log_ratio = log_ratio_along_path(draws)
        return draws.log_likelihood - beta * log_ratio, log_ratio
