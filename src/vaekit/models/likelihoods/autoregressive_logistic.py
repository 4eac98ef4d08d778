"""The autoregressive likelihood of pictures of levels: each pixel depends on z and on the pixels above it and to its left.

p(x|z) = Π_ij p(x_ij | pixels before within a window, z)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vaekit.distributions import AutoregressiveLogistic as Autoregressive
from vaekit.distributions.autoregressive_logistic import NEIGHBOURS, PixelMixture
from vaekit.errors import RecipeError, VaekitError
from vaekit.models.likelihoods.base import Likelihood
from vaekit.models.likelihoods.logistic import scale_bounds
from vaekit.networks.layers import soft_clamp
from vaekit.options import Width
from vaekit.parts import PartOptions, Plan

MOST_START_ROWS = 256
"""Most pictures that the likelihood starts from."""
NARROW = 1.0
"""Scale of the narrowest logistic at the start, in levels; that of the widest is the spread of the steps between pixels."""
LEAST_SHARE = 0.01
"""Least weight of each copy and of the logistics together at the start."""


class PixelNetwork(nn.Module):
    """A network from the pixels before a pixel and the decoder's features there to the pixel's mixture.

    Locations start as the level of the pixel to the left, or above, and the network adds to them.

    Args:
        channels: C ≥ 1 of a picture.
        features: numbers from the decoder for each pixel, F ≥ 1.
        levels: L ≥ 2.
        components: number M of discretised logistics, ≥ 1.
        radius: r ≥ 1 rows above, and columns to each side, that a pixel depends on.
        hidden: units of each hidden layer, one or more.
    """

    before: Tensor

    def __init__(
        self, channels: int, features: int, levels: int, components: int, radius: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.channels, self.levels, self.components, self.radius = channels, levels, components, radius
        window = (radius + 1, 2 * radius + 1)
        before = torch.ones(window)
        before[-1, radius:] = 0
        self.register_buffer("before", before)
        self.around = nn.Conv2d(channels + 1, hidden[0], window)
        self.decoded = nn.Linear(features, hidden[0], bias=False)
        inner = [[nn.Linear(*sizes), nn.SiLU()] for sizes in pairwise(hidden)]
        self.sizes = (len(NEIGHBOURS) + components, *[components * channels] * 2, components * math.comb(channels, 2))
        self.inner, self.output = nn.Sequential(*chain(*inner)), nn.Linear(hidden[-1], sum(self.sizes))
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        self.predict = nn.Conv2d(channels, components * channels, window, bias=False)
        nn.init.zeros_(self.predict.weight)
        weight = self.predict.weight.data.unflatten(0, (components, channels))
        for m in range(components):
            row, column = NEIGHBOURS[m % 2]
            weight[m, :, :, radius + row, radius + column] = torch.eye(channels)

    def forward(self, canvas: Tensor, features: Tensor) -> PixelMixture:
        """Return the mixtures of h × w pixels.

        Args:
            canvas: levels and a last channel that is 1 inside the picture, shape (..., h + r, w + 2r, C + 1).
            features: the decoder's, shape (..., h, w, F).
        """
        half, shape = (self.levels - 1) / 2, (self.components, self.channels)
        inside = canvas[..., -1:]
        seen = torch.cat([(canvas[..., :-1] / half - 1) * inside, inside], -1)
        hidden = F.silu(_convolve(seen, self.around.weight * self.before, self.around.bias) + self.decoded(features))
        output = self.output(self.inner(hidden))
        output = output.to(torch.promote_types(output.dtype, torch.float32))
        logits, location, log_scale, coupling = output.split(self.sizes, -1)
        with torch.autocast(canvas.device.type, enabled=False):  # bfloat16 does not tell neighbouring levels apart
            location = location + _convolve(seen[..., :-1], self.predict.weight * self.before)
        neighbours, there = self.find_neighbours(canvas)
        available = F.pad(there, (0, self.components), value=1.0) > 0
        coupling = torch.tanh(coupling).unflatten(-1, (self.components, -1))
        return PixelMixture(
            logits.masked_fill(~available, -torch.inf),
            neighbours,
            half * (location.unflatten(-1, shape) + 1),
            half * soft_clamp(log_scale, *scale_bounds(half)).exp().unflatten(-1, shape),
            coupling,
            self.levels,
        )

    def find_neighbours(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels of each pixel's neighbours, (..., h, w, N, C), and whether they are inside, (..., h, w, N)."""
        rows, columns = canvas.shape[-3] - self.radius, canvas.shape[-2] - 2 * self.radius
        found = torch.stack(
            [canvas[..., self.radius + i :, self.radius + j :, :][..., :rows, :columns, :] for i, j in NEIGHBOURS],
            -2,
        )
        return found[..., :-1], found[..., -1]


def _convolve(pictures: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolve pictures (..., H, W, C) without padding."""
    found = F.conv2d(pictures.reshape(-1, *pictures.shape[-3:]).movedim(-1, 1), weight, bias).movedim(1, -1)
    return found.reshape(*pictures.shape[:-3], *found.shape[1:])


class AutoregressiveLogistic(Likelihood):
    """p(x|z) = Π_ij p(x_ij | pixels before within a window, z), for pictures of levels.

        p(x_ij | …) = Σ_n w_n 1[x_ij = x_n] + Σ_m w_m Π_c P_m(x_ijc | x_ij1 … x_ij,c−1)

    A pixel is a copy of one of four neighbours n (left, above, above left, above right), or follows one of M discretised
    logistics. A small network gives weights, locations and scales from the pixels before and the decoder's features at the
    pixel. Pixels explain their neighbours, and z keeps what lies further apart. Draws are slower, since they are made pixel by
    pixel. The mean of p(x|z) is estimated from 16 draws and has no gradient.

    Args:
        event_shape: (H, W, C).
        levels: L ≥ 2.
        components: M ≥ 1.
        features: numbers that the decoder gives for each pixel and channel, ≥ 1.
        radius: r ≥ 1, rows above and columns to each side that a pixel depends on.
        hidden: units of the hidden layers.

    References:
        Gulrajani et al., "PixelVAE: A Latent Variable Model for Natural Images", 2017;
        Salimans, Karpathy, Chen and Kingma, "PixelCNN++", 2017.

    Examples:
        >>> likelihood = AutoregressiveLogistic((2, 2, 3), levels=256)
        >>> p = likelihood(torch.zeros(5, 2, 2, 3, likelihood.parameters_per_feature))
        >>> p.log_prob(torch.zeros(5, 2, 2, 3)).shape
        torch.Size([5])
    """

    name = "autoregressive_logistic"
    kinds = frozenset({"levels"})

    class Options(PartOptions):
        """Options of the likelihood."""

        components: int = Field(3, ge=1, le=100, description="Number of discretised logistics for each pixel.")
        features: int = Field(8, ge=1, le=100, description="Numbers from the decoder for each pixel and channel.")
        radius: int = Field(3, ge=1, le=16, description="Rows above and columns to each side that a pixel depends on.")
        hidden: tuple[Width, ...] = Field(
            (64, 64), min_length=1, description="Units of the hidden layers of the network of neighbouring pixels."
        )

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the examples are not pictures."""
        if not plan.picture:
            mend = "Choose likelihood=discretized_logistic"
            yield RecipeError("likelihood=autoregressive_logistic takes pictures, not tables", mend=mend)

    def __init__(
        self,
        event_shape: Sequence[int],
        levels: int = 0,
        components: int = 3,
        features: int = 8,
        radius: int = 3,
        hidden: Sequence[int] = (64, 64),
    ) -> None:
        if len(event_shape) != 3:
            raise VaekitError("event_shape must be (height, width, channels)", str(tuple(event_shape)))
        self.features = features
        super().__init__(event_shape, levels)
        channels = self.event_shape[-1]
        # the same for all pixels, since the network of pixels starts at the data, and not the offset
        self.offset = nn.Parameter(torch.zeros(channels, features))
        self.pixels = PixelNetwork(channels, channels * features, levels, components, radius, hidden)

    @property
    def parameters_per_feature(self) -> int:
        """Return how many numbers the network of pixels gets for each pixel and channel."""
        return self.features

    @property
    def event_dims(self) -> int:
        """Return 2: log-probabilities are summed over rows and columns, for a pixel has one for all of its channels."""
        return 2

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Start at the shares of copies in x, and with scales up to the spread of the steps from pixel to pixel."""
        x, copies, components = x[:MOST_START_ROWS], len(NEIGHBOURS), self.pixels.components
        half = (self.levels - 1) / 2
        neighbours, there = self.pixels.find_neighbours(self.distribution(self.offset).canvas(x))
        same = (neighbours == x.unsqueeze(-2)).all(-1) & (there > 0)
        first = same & (same.cumsum(-1) == 1)
        shares = first.flatten(0, -2).to(x).mean(0).clamp(min=LEAST_SHARE)
        rest = (1 - shares.sum()).clamp(min=LEAST_SHARE) / components
        new = ~same.any(-1) & (there[..., 0] > 0)
        steps = (x - neighbours[..., 0, :])[new] / half
        spread = (steps.square().mean().sqrt() if len(steps) else x.new_tensor(0.0)).clamp(min=0.5 / half)
        bias = self.pixels.output.bias
        bias[:copies] = shares.log()
        bias[copies : copies + components] = rest.log()
        wide, narrow = float((spread * math.sqrt(3) / math.pi).log()), math.log(NARROW / half)
        scales = torch.linspace(wide, min(wide, narrow), components).repeat_interleave(self.event_shape[-1])
        bias[sum(self.pixels.sizes[:2]) : sum(self.pixels.sizes[:3])] = scales

    def distribution(self, parameters: Tensor) -> Autoregressive:
        """Return the distribution of the pictures' pixels, given the decoder's features."""
        return Autoregressive(parameters.flatten(-2), self.pixels, self.event_shape[-1], self.pixels.radius)
