"""The error for a broken contract of a part, and the comparisons that detect it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[np.float64]


class ContractError(AssertionError):
    """A part does not keep the contract of its kind.

    Args:
        part: the part, or its class.
        broken: what does not hold, how far off and at which input, as a clause.
        likely: what is likely wrong or how to mend it, as a clause.

    Examples:
        >>> print(ContractError(torch.nn.Identity(), "the density integrates to 2 instead of 1", "a constant is missing"))
        Identity: the density integrates to 2 instead of 1; a constant is missing.
    """

    def __init__(self, part: Any, broken: str, likely: str) -> None:
        self.part, self.broken, self.likely = part, broken, likely
        name = part.__name__ if isinstance(part, type) else type(part).__name__
        super().__init__(f"{name}: {broken}; {likely}.")


def to_array(values: Tensor) -> Array:
    """Return a tensor's values as numpy's float64."""
    return values.detach().cpu().double().numpy()


def write_numbers(values: npt.ArrayLike) -> str:
    """Format numbers for a message.

    Examples:
        >>> write_numbers([0.25, -1.0])
        '[0.25, -1]'
    """
    numbers = np.asarray(values, dtype=np.float64)
    return f"{numbers:.4g}" if numbers.ndim == 0 else f"[{', '.join(write_numbers(each) for each in numbers)}]"


def check_close(
    part: Any,
    what: str,
    found: Tensor | Array,
    expected: npt.ArrayLike,
    likely: str,
    tolerance: npt.ArrayLike = 1e-6,
    at: tuple[str, Array] | None = None,
) -> None:
    """Check that values of a part agree with the expected values.

    Args:
        part: the part.
        what: the name of the values.
        found: the part's values, any shape.
        expected: the expected values, of the same shape or one that can be broadcast to it.
        likely: what is likely wrong if they differ.
        tolerance: the largest permitted difference, ≥ 0.
        at: the name and the values of the inputs, one input for each value or row of values.

    Raises:
        ContractError: if a value is off by more than the tolerance, or not a number.
    """
    values = to_array(found) if isinstance(found, Tensor) else np.asarray(found, dtype=np.float64)
    wanted = np.broadcast_to(np.asarray(expected, dtype=np.float64), values.shape)
    excess = np.where(values == wanted, 0.0, np.abs(values - wanted) - tolerance)
    excess = np.where(np.isnan(excess), np.inf, excess)
    if not excess.size or excess.max() <= 0:
        return
    worst = np.unravel_index(excess.argmax(), excess.shape)
    place = f" at {at[0]} = {write_numbers(at[1][worst[0]])}" if at is not None else ""
    raise ContractError(part, f"{what} is {values[worst]:.6g} instead of {wanted[worst]:.6g}{place}", likely)


def check_finite(part: Any, what: str, values: Tensor | None, likely: str, at: tuple[str, Array] | None = None) -> None:
    """Check that all values of a part are finite; the arguments are as in `check_close`.

    Raises:
        ContractError: if a value is infinite or not a number.
    """
    if values is None or torch.isfinite(values).all():
        return
    bad = ~torch.isfinite(values).cpu().numpy()
    worst = np.unravel_index(bad.argmax(), bad.shape)
    place = f" at {at[0]} = {write_numbers(at[1][worst[0]])}" if at is not None else ""
    raise ContractError(part, f"{what} is {to_array(values)[worst]:g}{place}", likely)


def check_shape(part: Any, what: str, found: tuple[int, ...], expected: tuple[int, ...], likely: str) -> None:
    """Check that a result of a part has the expected shape.

    Raises:
        ContractError: if they differ.
    """
    if tuple(found) != tuple(expected):
        raise ContractError(part, f"{what} has the shape {tuple(found)} instead of {tuple(expected)}", likely)
