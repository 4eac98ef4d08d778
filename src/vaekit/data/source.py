"""Rows of data with what their source says of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

Values = npt.NDArray[Any]
Progress = Callable[[int, int], None]
"""Told how many pictures of how many are decoded."""


@dataclass(frozen=True)
class Source:
    """Rows of data with what their source says of them.

    Args:
        values: shape (n, *event), numeric; may be memory-mapped. Pictures are (n, H, W, C).
        labels: class of each row, shape (n,), used to colour pictures and for nothing else.
        columns: names of the columns of a table.
        picture: whether the rows are pictures.
        levels: number of levels of the values where the source knows it, else 0.
        test: held-out rows, where the source brings its own.
        origin: where the rows come from: an absolute path, a name, or `memory`.
    """

    values: Values
    labels: Values | None = None
    columns: tuple[str, ...] = ()
    picture: bool = False
    levels: int = 0
    test: Source | None = None
    origin: str = "memory"
