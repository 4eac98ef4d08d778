"""The negative evidence lower bound with the path gradient ("sticking the landing").

    loss = D + β·(1/M) Σ_m [log q(z_m|x) − log p(z_m)],   z_m ~ q(z|x)

The value is that of the bound with its rate by draws. Of the gradient, the part that passes through the parameters of
log q itself is left out: its expectation is zero, and without it the variance vanishes where q is the true posterior.
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
    """Yield a refusal where the density of the posterior cannot be had apart from its parameters, as of a flow."""
    if not plan.part("posterior").detachable:
        yield RecipeError(
            f"objective={objective} cannot be used with this posterior",
            f"posterior={plan.options['posterior'].name}",
            f"Choose objective={otherwise}",
        )


class StickingTheLanding(NegativeWeightedBound):
    """D + β·R with R by draws and the gradient along the draws' paths only.

    References:
        Roeder, Wu and Duvenaud, "Sticking the Landing", 2017.
    """

    name = "stl"
    draws = 1
    importance_weighted = False

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal of a flow as posterior."""
        yield from needs_detached("stl", "elbo", plan)

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether β ≥ 1: D + βR is then above −ELBO, or equal to it."""
        return options.kl_weight >= 1

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return (1/M) Σ_m log w_m."""
        return log_weights.mean(0)

    def weigh(self, draws: Draws, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all do, with the gradient of log q along the path."""
        log_ratio = log_ratio_along_path(draws)
        return draws.log_likelihood - beta * log_ratio, log_ratio
