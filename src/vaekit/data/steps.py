"""The steps that transform the given data into the model's input.

Random steps (binarisation, dequantisation) take uniform noise.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from vaekit.errors import VaekitError


class Step(BaseModel, ABC):
    """Defines a step of the transform from data to the model's input; its fields are saved with the run."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    needs_noise: ClassVar[bool] = False

    @abstractmethod
    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Map data x (B, *event) towards the model's input; a random step needs `uniform` noise of x's shape."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Map the model's values y, with any leading dimensions, back towards the data."""

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Map the mean of y = step(x) back to the mean of x."""
        return self.inverse(y)

    def log_det(self) -> float:
        """Return log |det ∂y/∂x|, which is the same for every example because the step is affine."""
        return 0.0


def require_noise(uniform: Tensor | None) -> Tensor:
    """Return the noise of a random step, or raise an error if it is missing."""
    if uniform is None:
        raise VaekitError("The transform is random and needs uniform noise")
    return uniform


class Binarize(Step):
    """Turns grey levels x = 0, …, L−1 into random zeros and ones, P(y = 1) = x/(L−1), redrawn in training if `dynamic`.

    References:
        Salakhutdinov and Murray, "On the Quantitative Analysis of Deep Belief Networks", 2008.
    """

    kind: Literal["binarize"] = "binarize"
    levels: int
    dynamic: bool = True
    needs_noise: ClassVar[bool] = True

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Return 1 where the uniform number is below x/(L−1), else 0."""
        scaled = require_noise(uniform) * (self.levels - 1)
        # a comparison that is converted afterwards takes three times as long
        return torch.lt(scaled, x, out=torch.empty_like(x))

    def inverse(self, y: Tensor) -> Tensor:
        """Map zeros and ones, or their probabilities, back to grey levels."""
        return y * (self.levels - 1)


class Threshold(Step):
    """Turns grey levels into zeros and ones by a threshold at the middle level."""

    kind: Literal["threshold"] = "threshold"
    levels: int

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Return 1 where x ≥ (L−1)/2, else 0."""
        return (x >= (self.levels - 1) / 2).to(x.dtype)

    def inverse(self, y: Tensor) -> Tensor:
        """Map zeros and ones, or their probabilities, back to grey levels."""
        return y * (self.levels - 1)


class Dequantize(Step):
    """Adds uniform noise u in (0, 1) to integers, y = x + u, so that a density of y gives a lower bound on log P(x).

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
        """Map reals back to integers by rounding down, and clip them to the known levels."""
        return y.floor().clamp(self.lowest, self.highest if self.highest is not None else math.inf)

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Return E[x] = E[y] − ½."""
        return y - 0.5


@lru_cache(maxsize=16)
def _constants(values: tuple[float, ...], shape: tuple[int, ...]) -> Tensor:
    tensor = torch.tensor(values, dtype=torch.float64)
    return tensor.reshape(shape) if len(values) > 1 else tensor


class Affine(Step):
    """Shifts and scales data, y = (x − shift)/scale, with one shift and scale for each feature or for all."""

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
    """Drops the constant columns of a table; the inverse puts them back."""

    kind: Literal["select"] = "select"
    keep: tuple[int, ...]
    columns: int
    constants: tuple[float, ...]

    def forward(self, x: Tensor, uniform: Tensor | None) -> Tensor:  # noqa: ARG002
        """Return the columns that vary, from x (B, columns)."""
        return x[:, list(self.keep)]

    def inverse(self, y: Tensor) -> Tensor:
        """Return all columns, with the constant ones put back."""
        full = y.new_empty(*y.shape[:-1], self.columns)
        left_out = [i for i in range(self.columns) if i not in set(self.keep)]
        full[..., list(self.keep)] = y
        full[..., left_out] = torch.tensor(self.constants, dtype=y.dtype, device=y.device)
        return full
