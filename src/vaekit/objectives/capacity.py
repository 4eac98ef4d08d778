"""The evidence lower bound with the rate held at a given capacity.

    loss = D + γ·|R̄ − C|,   R̄ = mean rate of the batch;   C rises from 0 to its final value over the warm-up

The rate is held at C nats. As C rises, latent dimensions become active one after another. −loss is not a bound, because a
rate up to C costs nothing.
"""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field
from torch import Tensor

from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan
from vaekit.processes.group import gather


class Capacity(Objective):
    """D + γ·|R̄ − C|, the distortion and a penalty that keeps the mean rate R̄ near the capacity C.

    Args:
        weight: γ > 0, the `kl_weight` of the recipe.
        capacity: C ≥ 0 at the end of the warm-up, in nats.

    References:
        Burgess et al., "Understanding Disentangling in β-VAE", 2018.
    """

    name = "capacity"

    class Options(Objective.Options):
        """Options of the capacity objective."""

        capacity: float = Field(25.0, ge=0, description="Target rate in nats; kl_weight weights the distance from it.")

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False: −loss is not a lower bound on log p(x), since a rate of C costs nothing."""
        return False

    @classmethod
    def beta(cls, options: Any) -> float | None:  # noqa: ARG003
        """Return None, since γ is the weight of |R̄ − C|, not of the rate."""
        return None

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003
        """Return the objective with γ = kl_weight."""
        return cls(options.kl_weight, options.capacity)

    def __init__(self, weight: float, capacity: float) -> None:
        super().__init__()
        self.weight, self.capacity = weight, capacity

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: loss, distortion D and rate R.

        β rises from 0 to γ over the warm-up. At each step the capacity is C·β/γ.
        """
        distortion, rate = draws.distortion(), draws.rate()
        now = self.capacity * beta / max(self.weight, 1e-30)
        force = self.weight * (gather(rate).mean() - now).abs()
        return Terms(distortion + force, distortion, rate)
