"""The transform from the user's units to the model's inputs, with its inverse and its log-determinant.

log p(x as given) = log p(t(x)) + log |det ∂t/∂x|
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from torch import Tensor

from vaekit.data.schema import Schema
from vaekit.data.steps import Affine, Binarize, Dequantize, Select, Step, Threshold
from vaekit.data.tables.cells import Cells, Layout, fit_cells

AnyStep = Annotated[Binarize | Threshold | Dequantize | Affine | Select | Cells, Field(discriminator="kind")]


class Transform(BaseModel):
    """Transforms data from the user's units to the model's inputs, and back.

    Args:
        steps: the steps, applied in order.
        context: the steps for the context of the rows, applied in order.

    Examples:
        >>> t = Transform(steps=(Affine(shift=(1.0,), scale=(2.0,), shape=(3,)),))
        >>> x = torch.tensor([[1.0, 3.0, 5.0]], dtype=torch.float64)
        >>> t.forward(x).tolist(), t.inverse(t.forward(x)).tolist(), round(t.log_det(), 4)
        ([[0.0, 1.0, 2.0]], [[1.0, 3.0, 5.0]], -2.0794)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    steps: tuple[AnyStep, ...] = ()
    context: tuple[AnyStep, ...] = ()

    @property
    def cells(self) -> Cells | None:
        """Return the transform's step for the cells of a mixed table; None for other data."""
        return next((step for step in self.steps if isinstance(step, Cells)), None)

    @property
    def context_layout(self) -> Layout | None:
        """Return the layout of the context's cells; None if the model has no context."""
        return next((step.layout for step in self.context if isinstance(step, Cells)), None)

    @property
    def needs_noise(self) -> bool:
        """Return whether a step of the transform is random."""
        return any(step.needs_noise for step in self.steps)

    @property
    def fresh_noise(self) -> bool:
        """Return whether training draws new noise whenever it uses a row; False only for fixed binarisation."""
        return not any(isinstance(step, Binarize) and not step.dynamic for step in self.steps)

    @property
    def binarizes(self) -> bool:
        """Return whether the transform turns grey levels into zeros and ones."""
        return any(isinstance(step, Binarize | Threshold) for step in self.steps)

    def forward(self, x: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Map data in the user's units, (B, *event), to the model's inputs.

        Args:
            x: data in the user's units.
            uniform: noise in (0, 1) of x's shape, if `needs_noise`.
        """
        for step in self.steps:
            x = step.forward(x, uniform)
            if isinstance(step, Select) and uniform is not None:
                uniform = step.forward(uniform, None)
        return x

    def encode_context(self, codes: Tensor) -> Tensor:
        """Map the encoded context (covariates), float64 (B, ...), to the input of the networks."""
        for step in self.context:
            codes = step.forward(codes, None)
        return codes

    def inverse(self, y: Tensor) -> Tensor:
        """Map model values y back to the user's units, and round dequantised values down."""
        for step in reversed(self.steps):
            y = step.inverse(y)
        return y

    def inverse_mean(self, y: Tensor) -> Tensor:
        """Map means of model values y back to the user's units, without rounding."""
        for step in reversed(self.steps):
            y = step.inverse_mean(y)
        return y

    def log_det(self) -> float:
        """Return log |det ∂y/∂x| of the whole transform, which is the same for every example."""
        return sum(step.log_det() for step in self.steps)


def choose_transforms(
    schema: Schema, rows: Tensor, *, binarize: str, scaling: str, density: bool, linear: bool = False
) -> Transform:
    """Choose the transform for data from their schema and the options.

    Args:
        schema: the schema of the data.
        rows: training rows as given, float64 (n, *event), for measuring shifts and scales.
        binarize: `none`, `dynamic`, `fixed` or `threshold`.
        scaling: `none`, `centre`, `standardize` or `unit` (levels to [0, 1]).
        density: whether the likelihood is a density, so that integers must be dequantised.
        linear: whether the numbers of a mixed table are only shifted and scaled.

    Returns:
        The transform.
    """
    if schema.kind == "mixed":
        return Transform(steps=(fit_cells(schema.modelled, rows.numpy(), linear),))
    steps: list[Step] = []
    shape, extra = schema.shape, 0.0
    if schema.constant:
        keep = [i for i in range(shape[0]) if i not in schema.constant]
        steps.append(Select(keep=tuple(keep), columns=shape[0], constants=tuple(schema.constant.values())))
        shape, rows = (len(keep),), rows[:, keep]
    if binarize == "threshold":
        steps.append(Threshold(levels=schema.levels))
    elif binarize in ("dynamic", "fixed"):
        steps.append(Binarize(levels=schema.levels, dynamic=binarize == "dynamic"))
    if density and schema.kind != "real":
        steps.append(Dequantize(lowest=0, highest=schema.levels - 1 if schema.levels else None))
        rows, extra = rows + 0.5, 1 / 12  # mean and variance of u
    if scaling == "unit":
        steps.append(Affine(shift=(0.0,), scale=(float(schema.levels - 1),), shape=shape))
    elif scaling in ("centre", "standardize"):
        mean = rows.mean(0).flatten()
        std = (rows.var(0, correction=0).flatten() + extra).sqrt()
        varies = std > 1e-12 * mean.abs()  # a pixel may be constant up to rounding
        scale = torch.where(varies, std, std.max()) if scaling == "standardize" else torch.ones_like(std)
        steps.append(Affine(shift=tuple(mean.tolist()), scale=tuple(scale.tolist()), shape=shape))
    return TypeAdapter(Transform).validate_python({"steps": steps})
