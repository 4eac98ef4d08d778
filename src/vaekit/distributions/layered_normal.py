"""Layers of Gaussians, each given those before it: q or p of several layers of latent variables, as one vector.

p(z) = Π_l N(z_l; μ_l(z_<l), diag σ_l(z_<l)²)        in the order in which the layers are drawn
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Size, Tensor
from torch.distributions import constraints

from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.reparameterized import DrawnMoments

Conditional = Callable[[Tensor | None], DiagonalNormal]
"""From the layer drawn before (None at first) to the distribution of the next."""


class LayeredNormal(DrawnMoments):
    """A chain of Gaussians over the parts of one vector.

    Args:
        sizes: lengths of the parts as they lie in the vector.
        order: places of the parts in the order in which they are drawn.
        conditionals: one for each part, in the order of drawing.
        batch_shape: of the distribution.
        like: any tensor of its dtype and device.

    Examples:
        >>> first = lambda _: DiagonalNormal(torch.zeros(1), torch.ones(1))
        >>> then = lambda z: DiagonalNormal(z.repeat_interleave(2, -1), torch.ones(2))
        >>> LayeredNormal((2, 1), (1, 0), (first, then), Size(), torch.zeros(())).reparameterize(torch.ones(3))
        tensor([2., 2., 1.])
    """

    arg_constraints = {}  # noqa: RUF012 - torch's own form
    support = constraints.real_vector

    def __init__(
        self,
        sizes: Sequence[int],
        order: Sequence[int],
        conditionals: Sequence[Conditional],
        batch_shape: Size,
        like: Tensor,
    ) -> None:
        super().__init__(batch_shape, Size((sum(sizes),)), validate_args=False)
        self.sizes, self.order, self.conditionals, self.like = tuple(sizes), tuple(order), conditionals, like

    def reparameterize(self, noise: Tensor) -> Tensor:
        """z_l = μ_l(z_<l) + σ_l(z_<l) ⊙ ε_l, layer by layer."""
        parts = list(noise.split(self.sizes, -1))
        drawn: Tensor | None = None
        for place, conditional in zip(self.order, self.conditionals, strict=True):
            drawn = parts[place] = conditional(drawn).reparameterize(parts[place])
        return torch.cat(parts, -1)

    def standardize(self, z: Tensor) -> Tensor:
        """ε_l = (z_l − μ_l(z_<l))/σ_l(z_<l)."""
        parts = list(z.split(self.sizes, -1))
        for place, q in self._given(z):
            parts[place] = q.standardize(parts[place])
        return torch.cat(parts, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Σ_l log N(z_l; μ_l(z_<l), diag σ_l(z_<l)²) of vectors of shape (..., *batch, d)."""
        parts = value.split(self.sizes, -1)
        each = [q.log_prob(parts[place]) for place, q in self._given(value)]
        return torch.stack(torch.broadcast_tensors(*each)).sum(0)

    def _given(self, z: Tensor) -> Iterator[tuple[int, DiagonalNormal]]:
        """Each layer's place and its distribution given the layer of z before."""
        parts, before = z.split(self.sizes, -1), [None, *self.order[:-1]]
        for place, previous, conditional in zip(self.order, before, self.conditionals, strict=True):
            yield place, conditional(None if previous is None else parts[previous])
