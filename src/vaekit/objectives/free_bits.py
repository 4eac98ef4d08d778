"""The negative evidence lower bound in which the first nats of each group of latent dimensions cost nothing.

    loss = D + β·Σ_g max(λ, R_g),   R_g = the rate of the dimensions of group g, averaged over the batch

A group that carries less than λ nats feels no pull towards the prior, so that it does not collapse early. −loss is
below the bound itself: it is a lower bound too, but a looser one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from vaekit.distributions import DiagonalNormal
from vaekit.errors import RecipeError, VaekitError
from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms
from vaekit.objectives.elbo import NegativeELBO
from vaekit.parts import Plan

NEEDED = "The free_bits objective needs prior=standard_normal, whose rate has a part for each dimension"


class FreeBits(NegativeELBO):
    """D + β·Σ_g max(λ, R_g).

    Args:
        free_bits: λ ≥ 0, in nats for each group.
        free_together: dimensions of a group, side by side, ≥ 1; what is left at the end is a smaller one.

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016.
    """

    name = "free_bits"

    class Options(Objective.Options):
        """What can be set of free bits."""

        free_bits: float = Field(0.1, ge=0, description="Nats of each group of latent dimensions that cost nothing.")
        free_together: int = Field(1, ge=1, description="Latent dimensions, side by side, of such a group.")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal where prior or posterior is not a Gaussian of independent dimensions."""
        if getattr(plan.part("prior"), "name", "") != "standard_normal":
            prior = f"prior={plan.options['prior'].name}"
            yield RecipeError(NEEDED, prior, "Choose objective=elbo, or leave prior out")
        yield from plan.needs_diagonal("objective=free_bits")

    def __init__(self, free_bits: float = 0.1, free_together: int = 1) -> None:
        super().__init__()
        self.free_bits, self.free_together = free_bits, free_together

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return the loss, D and R, the true one.

        Raises:
            VaekitError: if the rate has no parts, since prior or posterior is not a Gaussian of independent dimensions.
        """
        posterior, prior = draws.posterior, draws.prior
        if not isinstance(posterior, DiagonalNormal) or not isinstance(prior, DiagonalNormal):
            raise VaekitError(NEEDED, f"{type(posterior).__name__} and {type(prior).__name__}")
        each = posterior.kl_per_dimension(prior)
        filled = F.pad(each, (0, -each.shape[-1] % self.free_together))  # a group less than full costs what it holds
        parts = filled.unflatten(-1, (-1, self.free_together)).sum(-1)
        costs = torch.where(parts.mean(0) > self.free_bits, parts, parts.new_tensor(self.free_bits))
        distortion = draws.distortion()
        return Terms(distortion + beta * costs.sum(-1), distortion, parts.sum(-1))
