"""The negative evidence lower bound with free bits: the first nats of each group of latent dimensions cost nothing.

    loss = D + β·Σ_g max(λ, R_g),   R_g = mean rate of the dimensions of group g over the batch

The prior does not pull on a group with a rate below λ nats, so the group does not collapse early. −loss is a looser lower
bound than the evidence lower bound.
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
from vaekit.processes.group import gather

NEEDED = "prior and posterior must be normal and diagonal for the free_bits objective"


class FreeBits(NegativeELBO):
    """D + β·Σ_g max(λ, R_g), the negative evidence lower bound with free bits.

    Args:
        free_bits: λ ≥ 0, in nats for each group.
        free_together: number of neighbouring dimensions in a group, ≥ 1; the last group may be smaller.

    References:
        Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016.
    """

    name = "free_bits"

    class Options(Objective.Options):
        """Options of free bits."""

        free_bits: float = Field(
            0.1, ge=0, description="Rate in nats that is free for each group of latent dimensions."
        )
        free_together: int = Field(1, ge=1, description="Number of neighbouring latent dimensions in a group.")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the prior or the posterior is not a diagonal Gaussian."""
        if getattr(plan.part("prior"), "name", "") != "standard_normal":
            prior = f"prior={plan.options['prior'].name}"
            yield RecipeError(
                "prior must be standard_normal for objective=free_bits",
                prior,
                "Choose objective=elbo, or leave prior out",
            )
        yield from plan.needs_diagonal("objective=free_bits")

    def __init__(self, free_bits: float = 0.1, free_together: int = 1) -> None:
        super().__init__()
        self.free_bits, self.free_together = free_bits, free_together

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: loss, D and R, where R is the rate without free bits.

        Raises:
            VaekitError: if the prior or the posterior is not a diagonal Gaussian.
        """
        posterior, prior = draws.posterior, draws.prior
        if not isinstance(posterior, DiagonalNormal) or not isinstance(prior, DiagonalNormal):
            raise VaekitError(NEEDED, f"{type(posterior).__name__} and {type(prior).__name__}")
        each = posterior.kl_per_dimension(prior)
        padded = F.pad(each, (0, -each.shape[-1] % self.free_together))  # a smaller last group gets zeros
        parts = padded.unflatten(-1, (-1, self.free_together)).sum(-1)
        costs = torch.where(gather(parts.detach()).mean(0) > self.free_bits, parts, parts.new_tensor(self.free_bits))
        distortion = draws.distortion()
        return Terms(distortion + beta * costs.sum(-1), distortion, parts.sum(-1))
