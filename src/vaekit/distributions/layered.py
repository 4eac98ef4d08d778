"""Distributions over layers of latent variables. Each layer is conditional on the one drawn before it.

p(z) = Π_l p(z_l | the layer drawn before z_l),  where z holds all layers in one vector
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions.reparameterized import DrawnMoments

Conditional = Callable[[Tensor | None], Any]
"""A map from the layer drawn before (None for the first layer) to the distribution of the next layer."""


class Layered(Distribution):
    """A chain of distributions over the parts of one vector.

    Args:
        sizes: lengths of the parts in the order of the vector.
        order: indices of the parts in the order of drawing.
        conditionals: for each part, in the order of drawing, a function from the part drawn before to its distribution.
        batch_shape: batch shape of the distribution.

    Examples:
        >>> from torch.distributions import Independent, Normal
        >>> wide, narrow = (Independent(Normal(torch.zeros(1), s), 1) for s in (2.0, 1.0))
        >>> Layered((1, 1), (1, 0), (lambda _: wide, lambda z: narrow), Size()).log_prob(torch.zeros(2))
        tensor(-2.5310)
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(
        self, sizes: Sequence[int], order: Sequence[int], conditionals: Sequence[Conditional], batch_shape: Size
    ) -> None:
        super().__init__(batch_shape, Size((sum(sizes),)), validate_args=False)
        self.sizes, self.order, self.conditionals = tuple(sizes), tuple(order), conditionals

    def log_prob(self, value: Tensor) -> Tensor:
        """Return Σ_l log p(z_l | the layer before) of vectors of shape (..., *batch, d)."""
        each = [p.log_prob(part) for _, part, p in self._layers(value)]
        return torch.stack(torch.broadcast_tensors(*each)).sum(0)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw layer by layer, without gradients; the draws have shape (*sample_shape, *batch, d)."""
        first = self.order[0]  # the others take the sample shape from the layer before
        with torch.no_grad():
            return self._draw_in_order(lambda index, p: p.sample(Size(sample_shape) if index == first else Size()))

    def _draw_in_order(self, draw: Callable[[int, Any], Tensor]) -> Tensor:
        """Draw each layer by `draw(index, distribution)`, and return all layers in one vector."""
        drawn: dict[int, Tensor] = {}
        before = None
        for index, conditional in zip(self.order, self.conditionals, strict=True):
            drawn[index] = before = draw(index, conditional(before))
        return torch.cat([drawn[index] for index in range(len(self.sizes))], -1)

    def _layers(self, z: Tensor) -> Iterator[tuple[int, Tensor, Any]]:
        """Yield the index of each layer, its part of z, and its distribution given the layer before."""
        parts, before = z.split(self.sizes, -1), None
        for index, conditional in zip(self.order, self.conditionals, strict=True):
            yield index, parts[index], conditional(before)
            before = parts[index]


class LayeredNormal(DrawnMoments, Layered):
    """A chain of reparameterized Gaussians, one for each part of a vector.

        z_l = μ_l(z_<l) + σ_l(z_<l) ⊙ ε_l

    Args:
        sizes: lengths of the parts in the order of the vector.
        order: indices of the parts in the order of drawing.
        conditionals: as in `Layered`; each returns a `DiagonalNormal`.
        batch_shape: batch shape of the distribution.
        like: any tensor of the distribution's dtype and device.
        frozen: the same conditionals with detached parameters.

    Examples:
        >>> from vaekit.distributions import DiagonalNormal
        >>> first = lambda _: DiagonalNormal(torch.zeros(1), torch.ones(1))
        >>> then = lambda z: DiagonalNormal(z.repeat_interleave(2, -1), torch.ones(2))
        >>> LayeredNormal((2, 1), (1, 0), (first, then), Size(), torch.zeros(()), (first, then)).reparameterize(torch.ones(3))
        tensor([2., 2., 1.])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        order: Sequence[int],
        conditionals: Sequence[Conditional],
        batch_shape: Size,
        like: Tensor,
        frozen: Sequence[Conditional],
    ) -> None:
        super().__init__(sizes, order, conditionals, batch_shape)
        self.like, self.frozen = like, frozen

    def detached(self) -> LayeredNormal:
        """Return this distribution with detached parameters."""
        return LayeredNormal(self.sizes, self.order, self.frozen, self.batch_shape, self.like, self.frozen)

    def reparameterize(self, noise: Tensor) -> Tensor:
        """Return z_l = μ_l(z_<l) + σ_l(z_<l) ⊙ ε_l for all layers."""
        parts = noise.split(self.sizes, -1)
        return self._draw_in_order(lambda index, q: q.reparameterize(parts[index]))

    def standardize(self, z: Tensor) -> Tensor:
        """Return ε_l = (z_l − μ_l(z_<l))/σ_l(z_<l) for all layers."""
        noise = {index: q.standardize(part) for index, part, q in self._layers(z)}
        return torch.cat([noise[index] for index in range(len(self.sizes))], -1)
