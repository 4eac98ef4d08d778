"""Pictures of levels 0 … L−1 in which each pixel depends on the pixels above it and to its left.

    p(x) = Π_ij p(x_ij | pixels before)                                             in row-major order
    p(x_ij | pixels before) = Σ_n w_n 1[x_ij = x_n] + Σ_m w_m Π_c P_m(x_ijc | x_ij1 … x_ij,c−1)

The first sum goes over four neighbours n, of which the pixel may be a copy; the second over discretised logistics, whose
location in a channel depends on the channels before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Size, Tensor
from torch.distributions import Distribution

from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.even_noise import even_noise
from vaekit.distributions.logistic_mixture import choose

NEIGHBOURS = ((0, -1), (-1, 0), (-1, -1), (-1, 1))
"""Rows and columns from a pixel to those that it may be a copy of: left, above, above left, above right."""
MEAN_DRAWS, MOST_NUMBERS = 16, 1 << 24
"""Number of draws that estimate the mean, and number of values held in memory at a time."""


class PixelMixture:
    """p(x_ij | pixels before), a mixture of copies of N neighbours and of M discretised logistics.

    Args:
        logits: unnormalised log w, shape (..., N + M); −∞ for a neighbour outside the picture.
        neighbours: their levels, shape (..., N, C).
        location: of each logistic and channel, in levels, shape (..., M, C).
        scale: > 0 in levels, shape (..., M, C).
        coupling: what a channel's location gains for each level that a channel before it lies above the middle level, for the
            pairs (2, 1), (3, 1), (3, 2), …, shape (..., M, C(C − 1)/2).
        levels: L ≥ 2.
    """

    def __init__(
        self, logits: Tensor, neighbours: Tensor, location: Tensor, scale: Tensor, coupling: Tensor, levels: int
    ) -> None:
        self.log_weights = logits.log_softmax(-1)
        self.neighbours, self.location, self.scale = neighbours, location, scale
        self.coupling, self.levels = coupling, levels

    def log_prob(self, x: Tensor) -> Tensor:
        """Return the log-probability of pixels (..., C), shape (...)."""
        copies = self.neighbours.shape[-2]
        same = (self.neighbours == x.unsqueeze(-2)).all(-1)
        copied = self.log_weights[..., :copies].masked_fill(~same, -torch.inf)
        value = x.unsqueeze(-2)
        centres = [self._centre(c, self.location[..., c], self.coupling, value) for c in range(x.shape[-1])]
        new = DiscretizedLogistic(torch.stack(centres, -1), self.scale, self.levels).log_prob(value).sum(-1)
        return torch.logsumexp(torch.cat([copied, new + self.log_weights[..., copies:]], -1), -1)

    def draw(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., 1 + C) to pixels (..., C): the first chooses a copy or a logistic."""
        copies, channels = self.neighbours.shape[-2:]
        chosen = choose(self.log_weights, uniform[..., :1])
        which = (chosen - copies).clamp(min=0).unsqueeze(-1)
        shape = (*uniform.shape[:-1], -1, channels)
        location = self.location.expand(shape).take_along_dim(which, -2).squeeze(-2)
        scale = self.scale.expand(shape).take_along_dim(which, -2).squeeze(-2)
        coupling = self.coupling.expand(*shape[:-1], -1).take_along_dim(which, -2).squeeze(-2)
        noise = scale * torch.logit(uniform[..., 1:].clamp(1e-7, 1 - 1e-7))
        new = torch.zeros_like(location)
        for c in range(channels):
            centre = self._centre(c, location[..., c], coupling, new)
            new[..., c] = (centre + noise[..., c]).round().clamp(0, self.levels - 1)
        copy = self.neighbours.expand(shape).take_along_dim(chosen.clamp(max=copies - 1).unsqueeze(-1), -2).squeeze(-2)
        return torch.where(chosen < copies, copy, new)

    def _centre(self, c: int, location: Tensor, coupling: Tensor, x: Tensor) -> Tensor:
        """Return the location of channel c, given the channels of x before it."""
        first, middle = math.comb(c, 2), (self.levels - 1) / 2
        for b in range(c):
            location = location + coupling[..., first + b] * (x[..., b] - middle)
        return location


PixelsFrom = Callable[[Tensor, Tensor], PixelMixture]
"""Maps a canvas and features, as those of `AutoregressiveLogistic`, to the mixtures of the canvas's pixels."""


class AutoregressiveLogistic(Distribution):
    """A picture whose pixels depend on those before them within a window.

    Args:
        features: what each pixel's mixture depends on besides, shape (..., H, W, F).
        pixels: maps the canvas of h × w pixels, shape (..., h + r, w + 2r, C + 1), and features (..., h, w, F) to their
            mixtures. The canvas has r more rows above and r more columns on each side; its last channel is 1 inside the
            picture and 0 outside.
        channels: C ≥ 1.
        radius: r ≥ 1, the reach of the window.

    References:
        van den Oord, Kalchbrenner and Kavukcuoglu, "Pixel Recurrent Neural Networks", 2016;
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017.
    """

    arg_constraints: ClassVar = {}

    def __init__(self, features: Tensor, pixels: PixelsFrom, channels: int, radius: int) -> None:
        super().__init__(features.shape[:-1], Size((channels,)), validate_args=False)
        self.features, self.pixels, self.channels, self.radius = features, pixels, channels, radius

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_ij | pixels before) of pictures (..., H, W, C), shape (..., H, W)."""
        return self.pixels(self.canvas(value), self.features).log_prob(value)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw pixel by pixel; the draws have shape (*sample_shape, ..., H, W, C)."""
        shape = (*sample_shape, *self.batch_shape, 1 + self.channels)
        return self._draw_in_order(torch.rand(shape, dtype=self.features.dtype, device=self.features.device))

    @property
    def mean(self) -> Tensor:
        """Return an estimate of E[x], the average of a few draws.

        E[x] has no closed form. The draws use fixed uniform numbers, spread evenly over [0, 1] for each pixel, so the estimate
        is the same on every call.
        """
        rows, shape = self.features.dim() - 3, (*self.features.shape[-3:-1], 1 + self.channels)
        noise = even_noise(MEAN_DRAWS, math.prod(shape)).to(self.features).view(MEAN_DRAWS, *(1,) * rows, *shape)
        return self._draw_in_order(noise.expand(MEAN_DRAWS, *self.batch_shape, -1)).mean(0)

    def canvas(self, value: Tensor) -> Tensor:
        """Return pictures (..., H, W, C) with a channel of ones, and zeros around them: (..., H + r, W + 2r, C + 1)."""
        inside = torch.cat([value, torch.ones_like(value[..., :1])], -1)
        return F.pad(inside, (0, 0, self.radius, self.radius, self.radius, 0))

    @torch.no_grad()
    def _draw_in_order(self, uniform: Tensor) -> Tensor:
        """Map uniform numbers (..., H, W, 1 + C) to pictures (..., H, W, C)."""
        features = self.features.expand(*uniform.shape[:-1], -1).reshape(-1, *self.features.shape[-3:])
        noise = uniform.reshape(-1, *uniform.shape[-3:])
        rows = max(1, MOST_NUMBERS // features[0].numel())
        drawn = [self._draw_rows(*pair) for pair in zip(features.split(rows), noise.split(rows), strict=True)]
        return torch.cat(drawn).reshape(*uniform.shape[:-1], self.channels)

    def _draw_rows(self, features: Tensor, noise: Tensor) -> Tensor:
        height, width = noise.shape[1:3]
        canvas = self.canvas(noise.new_zeros(len(noise), height, width, self.channels))
        for i in range(height):
            for j in range(width):
                window = canvas[:, i : i + self.radius + 1, j : j + 2 * self.radius + 1]
                here = (slice(None), slice(i, i + 1), slice(j, j + 1))
                pixel = self.pixels(window, features[here]).draw(noise[here])
                canvas[:, i + self.radius, j + self.radius, :-1] = pixel[:, 0, 0]
        return canvas[:, self.radius :, self.radius : -self.radius, :-1]
