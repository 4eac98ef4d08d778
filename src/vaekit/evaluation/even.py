"""Matrix products whose rows do not depend on where they stand.

On a processor, products with few columns, or in double precision with odd sizes, are computed by kernels that sum the rows of
a tile in different orders. Filled up with zeros, all rows are computed in one order (docs/decisions/tiles.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

FEWEST, MULTIPLE = 16, 8
"""Products have at least so many columns; in double precision, columns and summands are multiples of 8."""


class EvenProducts(TorchFunctionMode):
    """Fill up matrix products with few columns with zeros, and cut them off again, while this is entered.

    Examples:
        >>> layer, x = torch.nn.Linear(9, 5), torch.randn(32, 9)
        >>> with torch.no_grad(), EvenProducts():
        ...     bool((layer(x).flip(0) == layer(x.flip(0))).all())
        True
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        widened = _WIDENED.get(func)
        if widened is None or kwargs:
            return func(*args, **(kwargs or {}))
        return widened(*args)


def _spare(n: int, like: Tensor) -> int:
    """Return how many zeros are appended to n columns; one column alone is a sum for each row, in one order."""
    if n == 1:
        return 0
    return max(FEWEST - n, -n % MULTIPLE if like.dtype == torch.float64 else 0, 0)


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    n, more = len(weight), _spare(len(weight), weight)
    odd = -x.shape[-1] % MULTIPLE if x.dtype == torch.float64 else 0
    if not more and not odd:
        return F.linear(x, weight, bias)
    bias = None if bias is None else F.pad(bias, (0, more))
    return F.linear(F.pad(x, (0, odd)), F.pad(weight, (0, odd, 0, more)), bias)[..., :n]


def _matmul(x: Tensor, weight: Tensor) -> Tensor:
    if weight.ndim != 2 or x.ndim < 2:  # a product of each row alone
        return torch.matmul(x, weight)
    return _linear(x, weight.T)


def _einsum(equation: str, *operands: Any) -> Tensor:
    last, n = equation.partition("->")[0][-1], operands[-1].shape[-1]
    more = _spare(n, operands[-1])
    if equation[-1] != last or equation.count(last) != 2 or not more:  # another operand has the last dimension, too
        return torch.einsum(equation, *operands)
    return torch.einsum(equation, *operands[:-1], F.pad(operands[-1], (0, more)))[..., :n]


_WIDENED: dict[Any, Callable[..., Tensor]] = {
    F.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    torch.einsum: _einsum,
}
