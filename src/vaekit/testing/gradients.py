"""Compare gradients with central differences, and check that rows do not depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.testing.contract import ContractError, check_finite

WIDTHS = (1e-4, 1e-5, 1e-6)
"""Steps of the differences. The closest difference counts, because rounding and curvature spoil some of them."""
CLOSE = 1e-4
"""Permitted error of a derivative, relative to its size or to 1, whichever is greater."""


def parameters_of(part: nn.Module, **others: Tensor) -> dict[str, Tensor]:
    """Return a module's trainable parameters and other inputs, by name."""
    return {name: p for name, p in part.named_parameters() if p.requires_grad} | others


def check_gradients(part: Any, what: str, value: Callable[[], Tensor], inputs: Mapping[str, Tensor]) -> None:
    """Compare gradients with central differences, for each input along one random direction.

    Args:
        part: what is judged.
        what: the name of the value.
        value: computes a scalar, float64.
        inputs: leaf tensors from which the value is computed; they are changed in place and restored.

    Raises:
        ContractError: if a gradient is wrong or not finite.
    """
    gradients = torch.autograd.grad(value(), list(inputs.values()), allow_unused=True, materialize_grads=True)
    for (name, tensor), gradient in zip(inputs.items(), gradients, strict=True):
        check_finite(
            part, f"the gradient of {what} with respect to {name}", gradient, "an operation has no derivative there"
        )
        direction = torch.randn_like(tensor)
        told = float((gradient * direction).sum())
        off, true = min((abs(told - d), d) for d in _differences(value, tensor, direction))
        if off > CLOSE * max(1.0, abs(true)):
            broken = f"the gradient of {what} with respect to {name} is {told:.6g} along a random direction, but central differences give {true:.6g}"
            raise ContractError(part, broken, "a path is cut (detach, no_grad, .data), or a backward formula is wrong")


@torch.no_grad()
def _differences(value: Callable[[], Tensor], tensor: Tensor, direction: Tensor) -> Iterator[float]:
    kept = tensor.clone()
    for width in WIDTHS:
        tensor.copy_(kept + width * direction)
        above = float(value())
        tensor.copy_(kept - width * direction)
        yield (above - float(value())) / (2 * width)
        tensor.copy_(kept)


def check_used(part: Any, what: str, value: Tensor, inputs: Mapping[str, Tensor]) -> None:
    """Check that a value computed by a part depends on every input.

    Raises:
        ContractError: if the gradient with respect to an input is missing, zero everywhere or not finite.
    """
    gradients = torch.autograd.grad(value, list(inputs.values()), allow_unused=True, retain_graph=True)
    for name, gradient in zip(inputs, gradients, strict=True):
        if gradient is None or not gradient.any():
            told = "has no gradient" if gradient is None else "has a gradient of zero"
            raise ContractError(part, f"{name} {told} from {what}", "it is not used, or its gradient path is cut")
        check_finite(
            part, f"the gradient of {what} with respect to {name}", gradient, "an operation has no derivative there"
        )


def check_rows_apart(
    part: Any, what: str, function: Callable[[Tensor], Tensor], rows: Tensor, own: int | None = None
) -> None:
    """Check that a row gives the same numbers alone as in a batch, and that these numbers depend on the row.

    Args:
        part: what is judged.
        what: the name of the numbers.
        function: from rows (B, ...) to numbers (B, ...).
        rows: B ≥ 2 rows that differ, float64.
        own: the result must depend on the first `own` numbers of a row; on any of them by default.

    Raises:
        ContractError: if a row's numbers depend on other rows, or do not depend on the row itself.
    """
    rows = rows.detach().clone().requires_grad_()
    together = function(rows)
    for i in range(len(rows)):
        alone = function(rows[i : i + 1].detach())[0]
        off = float((alone - together[i]).detach().abs().max())
        if not off <= 1e-8 * max(1.0, float(alone.detach().abs().max())):
            broken = f"{what} of row {i} differs by {off:.3g} between the row alone and a batch of {len(rows)} rows"
            raise ContractError(part, broken, "an operation mixes the rows of a batch, as batch normalisation does")
        gradient = torch.autograd.grad(together[i].square().sum(), rows, retain_graph=True, allow_unused=True)[0]
        if gradient is None or not gradient[i][..., :own].any():
            raise ContractError(
                part, f"{what} of row {i} does not depend on that row", "its input is ignored or detached"
            )
