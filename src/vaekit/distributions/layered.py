"""Layers, each given the one drawn before it: q or p of several layers of latent variables, as one vector.

p(z) = Π_l p(z_l | the layer drawn before)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from vaekit.distributions.reparameterized import DrawnMoments

Conditional = Callable[[Tensor | None], Any]
"""From the layer drawn before (None at first) to the distribution of the next."""


class Layered(Distribution):
    """A chain of distributions over the parts of one vector.

    Args:
        sizes: lengths of the parts as they lie in the vector.
        order: places of the parts in the order in which they are drawn.
        conditionals: one for each part, in the order of drawing.
        batch_shape: of the distribution.

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
        """Σ_l log p(z_l | the layer before) of vectors of shape (..., *batch, d)."""
        each = [p.log_prob(part) for _, part, p in self._given(value)]
        return torch.stack(torch.broadcast_tensors(*each)).sum(0)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw layer by layer; shape (*sample_shape, *batch, d). No gradient passes."""
        first = self.order[0]  # the others have the shape from the layer before
        with torch.no_grad():
            return self._in_turn(lambda place, p: p.sample(Size(sample_shape) if place == first else Size()))

    def _in_turn(self, draw: Callable[[int, Any], Tensor]) -> Tensor:
        """One vector of the layers, each drawn by its place and its distribution given the layer drawn before."""
        drawn: dict[int, Tensor] = {}
        before = None
        for place, conditional in zip(self.order, self.conditionals, strict=True):
            drawn[place] = before = draw(place, conditional(before))
        return torch.cat([drawn[place] for place in range(len(self.sizes))], -1)

    def _given(self, z: Tensor) -> Iterator[tuple[int, Tensor, Any]]:
        """Each layer's place, its part of z, and its distribution given the part before."""
        parts, before = z.split(self.sizes, -1), None
        for place, conditional in zip(self.order, self.conditionals, strict=True):
            yield place, parts[place], conditional(before)
            before = parts[place]


class LayeredNormal(DrawnMoments, Layered):
    """A chain of Gaussians over the parts of one vector, which is a map of noise.

        z_l = μ_l(z_<l) + σ_l(z_<l) ⊙ ε_l

    Args:
        sizes: lengths of the parts as they lie in the vector.
        order: places of the parts in the order in which they are drawn.
        conditionals: one for each part, in the order of drawing, each to a `DiagonalNormal`.
        batch_shape: of the distribution.
        like: any tensor of its dtype and device.
        frozen: the conditionals once more, with parameters that gradients do not reach.

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
        """The same distribution, whose parameters gradients do not reach."""
        return LayeredNormal(self.sizes, self.order, self.frozen, self.batch_shape, self.like, self.frozen)

    def reparameterize(self, noise: Tensor) -> Tensor:
        """z_l = μ_l(z_<l) + σ_l(z_<l) ⊙ ε_l, layer by layer."""
        parts = noise.split(self.sizes, -1)
        return self._in_turn(lambda place, q: q.reparameterize(parts[place]))

    def standardize(self, z: Tensor) -> Tensor:
        """ε_l = (z_l − μ_l(z_<l))/σ_l(z_<l)."""
        noise = {place: q.standardize(part) for place, part, q in self._given(z)}
        return torch.cat([noise[place] for place in range(len(self.sizes))], -1)
