"""The steps from data as given to data as the model sees them.

Steps that need noise (binarisation, dequantisation) take uniform numbers and do not draw any themselves.
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
    """Defines a step, invertible or noisy, whose fields are saved in the run folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs_noise: ClassVar[bool] = False

    @abstractmethod
    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Map x (B, *event); a noisy step needs `uniform` numbers in (0, 1) of x's shape."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Map y back, with any leading dimensions."""

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Map training rows (B, *event) with fresh noise."""
        x = x if x.is_floating_point() else x.float()
        return self.forward(x, torch.rand(x.shape, generator=generator) if self.needs_noise else None)

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Map the mean of y back to the mean of x."""
        return self.inverse(y)

    def log_det(self) -> float:
        """Return log |det ∂y/∂x| of an example, which is the same for all, since the steps are affine."""
        return 0.0


def require_noise(uniform: Tensor | None) -> Tensor:
    """Return the noise of a step, or refuse to go on without it."""
    if uniform is None:
        raise VaekitError("The transform needs uniform noise")
    return uniform


def uniform_bytes(below: int, shape: Sequence[int], generator: torch.Generator) -> Tensor:
    """Draw integers that are exactly uniform on 0, …, below − 1.

    Args:
        below: number of values, 1 … 256.
        shape: shape of the result.
        generator: the source of randomness.

    Returns:
        uint8 numbers.
    """
    fair = 256 // below * below  # bytes from here on would favour some values, so they are drawn again

    def drawn(count: int) -> npt.NDArray[np.uint8]:
        words = torch.empty(-(-count // 8), dtype=torch.int64)
        return words.random_(-(2**63), None, generator=generator).numpy().view(np.uint8)[:count]

    numbers = drawn(math.prod(shape))
    while fair < 256 and len(again := np.flatnonzero(numbers >= fair)):  # many times faster than torch's nonzero
        numbers[again] = drawn(len(again))
    return torch.from_numpy(numbers if fair == below else numbers % below).view(*shape)


class Binarize(Step):
    """Turns grey levels 0 … L−1 into zeros and ones with P(y = 1) = x/(L−1), with fresh noise in training (dynamic binarisation).

    References:
        Salakhutdinov and Murray, "On the Quantitative Analysis of Deep Belief Networks", 2008.
    """

    kind: Literal["binarize"] = "binarize"
    levels: int
    dynamic: bool = True
    needs_noise: ClassVar[bool] = True

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Return 1 where the uniform number is below x/(L−1), else 0."""
        return (require_noise(uniform) < x / (self.levels - 1)).to(x.dtype)

    def draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Draw with the same probabilities by integers: P(r < x) = x/(L−1) for r uniform in {0, …, L−2}."""
        if self.levels > 256:
            return super().draw(x, generator)
        return (uniform_bytes(self.levels - 1, x.shape, generator) < x).float()

    def inverse(self, y: Tensor) -> Tensor:
        """Turn zeros and ones, or probabilities, into levels."""
        return y * (self.levels - 1)


class Threshold(Step):
    """Turns grey levels into zeros and ones by a threshold at the middle level."""

    kind: Literal["threshold"] = "threshold"
    levels: int

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Return 1 where x ≥ (L−1)/2, else 0."""
        return (x >= (self.levels - 1) / 2).to(x.dtype)

    def inverse(self, y: Tensor) -> Tensor:
        """Turn zeros and ones, or probabilities, into levels."""
        return y * (self.levels - 1)


class Dequantize(Step):
    """Turns integers into reals, y = x + u with u uniform in (0, 1), so that a density of y bounds the probability of x.

        log P(x) = log ∫ p(x + u) du ≥ E_u[log p(x + u)]

    References:
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016.
    """

    kind: Literal["dequantize"] = "dequantize"
    lowest: int = 0
    highest: int | None = None
    needs_noise: ClassVar[bool] = True

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Return x + u, which is below x + 1 even after rounding."""
        return torch.minimum(x + require_noise(uniform).to(x.dtype), torch.nextafter(x + 1, x))

    def inverse(self, y: Tensor) -> Tensor:
        """Round down, and clip to the known levels."""
        return y.floor().clamp(self.lowest, self.highest if self.highest is not None else math.inf)

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Return E[x] = E[y] − ½."""
        return y - 0.5


@lru_cache(maxsize=16)
def _constants(values: tuple[float, ...], shape: tuple[int, ...]) -> Tensor:
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.reshape(shape) if len(values) > 1 else tensor


class Affine(Step):
    """Shifts and scales, y = (x − shift)/scale, each feature by its own numbers or all by the same."""

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
        """Return (x − shift)/scale."""
        shift, scale = _constants(self.shift, self.shape), _constants(self.scale, self.shape)
        return (x - shift) / scale

    def inverse(self, y: Tensor) -> Tensor:
        """Return y·scale + shift."""
        shift, scale = _constants(self.shift, self.shape), _constants(self.scale, self.shape)
        return y.double() * scale + shift

    def log_det(self) -> float:
        """Return −Σ log scale over the features."""
        repeats = math.prod(self.shape) // len(self.scale)  # one scale may stand for all features
        return -repeats * sum(math.log(s) for s in self.scale)


class Select(Step):
    """Drops the constant columns, and puts them back in the inverse."""

    kind: Literal["select"] = "select"
    keep: tuple[int, ...]
    columns: int
    constants: tuple[float, ...]

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Return the kept columns of (B, columns)."""
        return x[:, list(self.keep)]

    def inverse(self, y: Tensor) -> Tensor:
        """Return all columns, with the values of the constant ones."""
        full = y.new_empty(*y.shape[:-1], self.columns)
        left_out = [i for i in range(self.columns) if i not in set(self.keep)]
        full[..., list(self.keep)] = y
        full[..., left_out] = torch.tensor(self.constants, dtype=y.dtype, device=y.device)
        return full
