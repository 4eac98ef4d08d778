"""The graph of an exported part, made of operations that ONNX has and that keep their accuracy there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from vaekit.errors import VaekitError
from vaekit.evaluation import evaluating
from vaekit.export.parts import ExportedPart

if TYPE_CHECKING:
    from torch.export import ExportedProgram

SHIFT, STIRLING = 8, (1 / 12, -1 / 360, 1 / 1260, -1 / 1680)
"""Where Stirling's series of log Γ is evaluated, and the coefficients of 1/y, 1/y³, …"""
ROWS = 3
"""Rows of the example that is traced; another number of rows is allowed in the file."""


def trace(part: ExportedPart) -> ExportedProgram:
    """Trace a part for any number of rows.

    Raises:
        VaekitError: if the part has steps that depend on data, which a graph cannot hold.
    """
    from torch.export import Dim, export

    example = tuple(
        torch.full((ROWS, *port.shape), 0.5 if _is_noise(port) else 0.0, dtype=port.dtype) for port in part.inputs
    )
    batch = Dim("batch", min=1)
    with evaluating(part), OnnxOperations():
        part(*example)  # what is computed once and kept must not be kept from the tracing
        try:
            return export(part, example, dynamic_shapes=(({0: batch},) * len(example),))
        except (RuntimeError, NotImplementedError) as error:
            told = f"The part '{part.name}' of this model cannot be written as a graph ({type(error).__name__})"
            raise VaekitError(told, mend=f"Use run.{part.verb} in Python") from error


def _is_noise(port: Any) -> bool:
    return port.name in ("uniform", "noise", "component", "fill", "rare")


class OnnxOperations(TorchFunctionMode):
    """Replace operations that ONNX lacks, or whose usual form there loses accuracy or time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or what replaces it."""
        return REPLACED.get(func, func)(*args, **(kwargs or {}))


def _log_sigmoid(x: Tensor) -> Tensor:
    """Return log σ(x); the logarithm of a sigmoid that has underflowed would be wrong."""
    return torch.clamp(x, max=0) - torch.log(1 + torch.exp(-x.abs()))


def _softplus(x: Tensor) -> Tensor:
    return torch.clamp(x, min=0) + torch.log(1 + torch.exp(-x.abs()))


def _expm1(x: Tensor) -> Tensor:
    """Return eˣ − 1 in double precision, which loses nothing in single precision."""
    return (torch.exp(x.double()) - 1).to(x.dtype)


def _log1p(x: Tensor) -> Tensor:
    return torch.log(1 + x.double()).to(x.dtype)


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    return torch.maximum(a, b) + torch.log(1 + torch.exp(-(a - b).abs()))


def _lgamma(x: Tensor) -> Tensor:
    """Return log Γ(x) for x > 0 by Stirling's series at x + 8, in double precision; its error is below 10⁻¹¹."""
    y = x.double()
    product = y
    for step in range(1, SHIFT):
        product = product * (y + step)
    y = y + SHIFT
    series = sum(term / y ** (2 * i + 1) for i, term in enumerate(STIRLING))
    return ((y - 0.5) * torch.log(y) - y + 0.5 * math.log(2 * math.pi) + series - torch.log(product)).to(x.dtype)


def _searchsorted(
    places: Tensor,
    x: Tensor,
    right: bool = False,
) -> Tensor:
    """Return how many places lie before each x, by comparison with all of them."""
    before, own = places.unsqueeze(-2), x.unsqueeze(-1)
    return (before <= own if right else before < own).sum(-1)


def _embedding_bag(index: Tensor, weight: Tensor, *_: Any, **__: Any) -> Tensor:
    """Return the sum of the embeddings of each row of an index (B, n); the usual form is a loop over the rows."""
    return weight[index].sum(1)


REPLACED: dict[Any, Callable[..., Tensor]] = {
    F.logsigmoid: _log_sigmoid,
    F.softplus: _softplus,
    F.embedding_bag: _embedding_bag,
    torch.expm1: _expm1,
    torch.log1p: _log1p,
    torch.lgamma: _lgamma,
    torch.Tensor.lgamma: _lgamma,
    torch.logaddexp: _logaddexp,
    torch.searchsorted: _searchsorted,
}
"""The functions of torch that are replaced."""
