"""The steps from data as given to data as the model sees them.

Steps that need noise (binarisation, dequantisation) are given uniform numbers and draw none themselves.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from vaekit.errors import VaekitError


class Step(BaseModel, ABC):
    """One invertible (or noisy) step; its fields are saved in the run folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs_noise: ClassVar[bool] = False

    @abstractmethod
    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Map x (B, *event); `uniform` in (0, 1) has x's shape where the step needs noise."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Map back, any leading dimensions."""

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Map training rows (B, *event) with fresh noise."""
        x = x if x.is_floating_point() else x.float()
        return self.forward(x, torch.rand(x.shape, generator=generator) if self.needs_noise else None)

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Map a mean back, which need not be a possible value."""
        return self.inverse(y)

    def log_det(self) -> float:
        """log |det ∂y/∂x| for one example; every step here is affine, so it is the same for all."""
        return 0.0


def given(uniform: Tensor | None) -> Tensor:
    """The noise that a step cannot do without."""
    if uniform is None:
        raise VaekitError("uniform noise must be given to a transform that needs it", "none")
    return uniform


def uniform_bytes(below: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Whole numbers, each of 0, …, below − 1 exactly as probable, eight of them drawn at a time.

    Args:
        below: 1 … 256.
        shape: of the result.
        generator: the source of randomness.

    Returns:
        uint8 numbers.
    """
    fair = 256 // below * below  # bytes from here on would make some numbers more frequent, and are drawn again

    def drawn(count: int) -> npt.NDArray[np.uint8]:
        words = torch.empty(-(-count // 8), dtype=torch.int64)
        return words.random_(-(2**63), None, generator=generator).numpy().view(np.uint8)[:count]

    numbers = drawn(math.prod(shape))
    while fair < 256 and len(again := np.flatnonzero(numbers >= fair)):  # many times faster than torch's nonzero
        numbers[again] = drawn(len(again))
    return torch.from_numpy(numbers if fair == below else numbers % below).view(*shape)


class Binarize(Step):
    """Grey levels 0 … L−1 to zeros and ones, P(y = 1) = x/(L−1), with fresh noise in training (dynamic binarisation).

    References:
        Salakhutdinov and Murray, "On the Quantitative Analysis of Deep Belief Networks", 2008.
    """

    kind: Literal["binarize"] = "binarize"
    levels: int
    dynamic: bool = True
    needs_noise: ClassVar[bool] = True

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Ones where the uniform number falls below x/(L−1)."""
        return (given(uniform) < x / (self.levels - 1)).to(x.dtype)

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The same probabilities from whole numbers: P(r < x) = x/(L−1) for r uniform in {0, …, L−2}."""
        if self.levels > 256:
            return super().draw(x, generator)
        return (uniform_bytes(self.levels - 1, x.shape, generator) < x).float()

    def inverse(self, y: Tensor) -> Tensor:
        """Zeros and ones, or probabilities, to levels."""
        return y * (self.levels - 1)


class Threshold(Step):
    """Grey levels to zeros and ones, one from the middle level upwards: always the same picture."""

    kind: Literal["threshold"] = "threshold"
    levels: int

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Ones where x ≥ (L−1)/2."""
        return (x >= (self.levels - 1) / 2).to(x.dtype)

    def inverse(self, y: Tensor) -> Tensor:
        """Zeros and ones, or probabilities, to levels."""
        return y * (self.levels - 1)


class Dequantize(Step):
    """Integers to reals, y = x + u with u uniform in (0, 1), so that a density of y bounds the probability of x.

        log P(x) = log ∫ p(x + u) du ≥ E_u[log p(x + u)]

    References:
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016.
    """

    kind: Literal["dequantize"] = "dequantize"
    lowest: int = 0
    highest: int | None = None
    needs_noise: ClassVar[bool] = True

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """x + u, below x + 1 even after rounding."""
        return torch.minimum(x + given(uniform).to(x.dtype), torch.nextafter(x + 1, x))

    def inverse(self, y: Tensor) -> Tensor:
        """Round down, into the known levels."""
        return y.floor().clamp(self.lowest, self.highest if self.highest is not None else math.inf)

    def inverse_mean(self, y: Tensor) -> Tensor:
        """E[x] = E[y] − ½."""
        return y - 0.5


@lru_cache(maxsize=16)
def _constants(values: tuple[float, ...], shape: tuple[int, ...]) -> Tensor:
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.reshape(shape) if len(values) > 1 else tensor


class Affine(Step):
    """y = (x − shift)/scale for each feature, or one shift and scale for all: centring and standardisation."""

    kind: Literal["affine"] = "affine"
    shift: tuple[float, ...]
    scale: tuple[Annotated[float, Field(gt=0)], ...]
    shape: tuple[int, ...]

    @model_validator(mode="after")
    def _one_for_each(self) -> Affine:
        if {len(self.shift), len(self.scale)} - {1, math.prod(self.shape)}:
            raise ValueError("shift and scale must be one number, or one for each feature")
        return self

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """(x − shift)/scale."""
        shift, scale = _constants(self.shift, self.shape), _constants(self.scale, self.shape)
        return (x - shift) / scale

    def inverse(self, y: Tensor) -> Tensor:
        """y·scale + shift."""
        shift, scale = _constants(self.shift, self.shape), _constants(self.scale, self.shape)
        return y.double() * scale + shift

    def log_det(self) -> float:
        """−Σ log scale over the features."""
        repeats = math.prod(self.shape) // len(self.scale)  # one scale may stand for all features
        return -repeats * sum(math.log(s) for s in self.scale)


class Select(Step):
    """Keep the columns that vary, and put the constant ones back on the way out."""

    kind: Literal["select"] = "select"
    keep: tuple[int, ...]
    columns: int
    constants: tuple[float, ...]

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """The kept columns of (B, columns)."""
        return x[:, list(self.keep)]

    def inverse(self, y: Tensor) -> Tensor:
        """All columns, the constant ones at their value."""
        full = y.new_empty(*y.shape[:-1], self.columns)
        left_out = [i for i in range(self.columns) if i not in set(self.keep)]
        full[..., list(self.keep)] = y
        full[..., left_out] = torch.tensor(self.constants, dtype=y.dtype, device=y.device)
        return full
