"""The VampPrior, a mixture of the posteriors q(z|u) of learned inputs u.

p(z) = (1/C) Σ_c q(z|u_c)

The prior that maximises the bound is the average of q(z|x) over the data. A VampPrior replaces the data
with a few learned rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.distributions import DiagonalNormal, NormalMixture
from vaekit.errors import RecipeError, VaekitError
from vaekit.models.priors.base import Prior
from vaekit.parts import PartOptions, Plan


class VampPrior(Prior):
    """p(z) = (1/C) Σ_c q(z|u_c), with inputs u that are learned together with the encoder.

    Args:
        encoder: x ↦ q(z|x), the encoder of the model.
        event_shape: shape of an input.
        components: number of inputs C, ≥ 1.

    Raises:
        VaekitError: if `components` is below 1.

    References:
        Tomczak and Welling, "VAE with a VampPrior", 2018.

    Examples:
        >>> from vaekit.models import Diagonal, Encoder
        >>> from vaekit.networks import MLP
        >>> VampPrior(Encoder(MLP((6,), (4,)), Diagonal(2)), (6,), 10)().event_shape
        torch.Size([2])
    """

    name = "vamp"

    class Options(PartOptions):
        """Options of a VampPrior."""

        components: int = Field(100, ge=1, le=100_000, description="Number of learned pseudo-inputs of a VampPrior.")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the inputs cannot be learned, or if the posterior is not a diagonal Gaussian."""
        if plan.kind == "mixed":
            yield RecipeError(
                "prior=vamp cannot be used with a mixed table, since categories cannot be learned as inputs",
                mend="Choose prior=mixture or prior=flow",
            )
        if plan.context:
            fault = f"prior=vamp cannot be used with a context (data.context={','.join(plan.context)})"
            yield RecipeError(fault, mend="Choose prior=mixture")
        yield from plan.needs_diagonal("prior=vamp")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return a prior that shares the model's encoder; the encoder must already be built."""
        return cls(plan.built["inference"], plan.event_shape, options.components)

    def __init__(self, encoder: nn.Module, event_shape: Sequence[int], components: int) -> None:
        super().__init__()
        if components < 1:
            raise VaekitError("components must be at least 1", str(components))
        self.inputs = nn.Parameter(0.01 * torch.randn(components, *event_shape))
        self._encoder = (encoder,)  # in a tuple, so that its weights are not counted and saved twice

    def start(self, x: Tensor) -> None:
        """Set the inputs to evenly spaced rows of x, and add noise so that no two inputs are equal.

        Args:
            x: rows, shape (n, *event).
        """
        rows = x[torch.linspace(0, len(x) - 1, len(self.inputs)).round().long()]
        self.inputs.data.mul_(float(x.std())).add_(rows)

    def forward(self) -> NormalMixture:
        """Return the prior, with event shape (latent_dim,)."""
        q: DiagonalNormal = self._encoder[0](self.inputs)
        weights = q.mean.new_full((len(self.inputs),), -math.log(len(self.inputs)))
        return NormalMixture(weights, q.mean, q.stddev)
