"""The evidence lower bound with a set amount of information.

    loss = D + γ·|R̄ − C|,   R̄ = the rate averaged over the batch, C rising from 0 to its value over the warm-up

The rate is held at C nats, rather than pressed down, and dimensions open one after another as C rises. Minus the loss is
not a bound, since the rate up to C costs nothing or is even asked for.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field
from torch import Tensor

from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan


class Capacity(Objective):
    """D + γ·|R̄ − C|.

    Args:
        weight: γ > 0, the `kl_weight` of the recipe.
        capacity: C ≥ 0 at the end of the warm-up, in nats.

    References:
        Burgess et al., "Understanding Disentangling in β-VAE", 2018.
    """

    name = "capacity"

    class Options(Objective.Options):
        """What can be set of the objective at a set rate."""

        capacity: float = Field(25.0, ge=0, description="Nats at which the rate is held, by kl_weight as force.")

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False: a rate up to C costs nothing or is even asked for."""
        return False

    @classmethod
    def beta(cls, options: Any) -> float | None:  # noqa: ARG003
        """Return None: γ weighs a distance, not the rate."""
        return None

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003
        """Return the objective with γ = kl_weight."""
        return cls(options.kl_weight, options.capacity)

    def __init__(self, weight: float, capacity: float) -> None:
        super().__init__()
        self.weight, self.capacity = weight, capacity

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return the loss, D and R; β rises to γ, and C with it."""
        distortion, rate = draws.distortion(), draws.rate()
        now = self.capacity * beta / max(self.weight, 1e-30)
        force = self.weight * (rate.mean() - now).abs()
        return Terms(distortion + force, distortion, rate)
