"""Histograms of the held-out and the generated numbers of a column, in common bins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.evaluation.record import Record

Array = npt.NDArray[np.float64]
Axis = Literal["linear", "log", "date"]

BINS = 30
RANGE = 30.0
"""Positive numbers that span more than this factor get logarithmic bins."""


@dataclass(frozen=True)
class Histogram(Record):
    """Hold the histograms of a column's held-out and generated cells in common bins.

    Args:
        edges: edges of the bins in units of the column (dates in microseconds since 1970), shape (b + 1,), increasing;
            the outermost bins also count the cells beyond them.
        held_out: share of the held-out cells in each bin, shape (b,).
        generated: share of the generated cells, shape (b,).
        axis: the scale of the axis that suits the bins.
    """

    edges: Array
    held_out: Array
    generated: Array
    axis: Axis


def make_histogram(column: Column, held_out: Array, generated: Array, apart: Array) -> Histogram | None:
    """Count a column's held-out and generated cells in common bins.

    Args:
        column: a column of numbers or dates.
        held_out: held-out cells, shape (n,), n ≥ 1.
        generated: generated cells, shape (m,), m ≥ 1.
        apart: values that are left out because they are shown separately.

    Returns:
        Shares of all cells; together with the shares of `apart` they sum to one. None if no held-out cell is left.
    """
    left = [x[~np.isin(x, apart)] for x in (held_out, generated)]
    if not len(left[0]):
        return None
    edges, axis = bin_edges(column, *left)
    inside = (np.clip(x, np.nextafter(edges[0], np.inf), np.nextafter(edges[-1], -np.inf)) for x in left)
    counts = [np.histogram(x, edges)[0] for x in inside]
    return Histogram(edges, counts[0] / len(held_out), counts[1] / len(generated), axis)


def bin_edges(column: Column, held_out: Array, generated: Array) -> tuple[Array, Axis]:
    """Choose bin edges that cover nearly all held-out cells and most generated cells of a column.

    If values lie on a grid, every bin holds the same number of grid points, since bins with fewer would look rare.
    """
    low, high = (float(v) for v in np.quantile(held_out, [0.002, 0.998]))
    if len(generated):
        bulk = np.quantile(generated, [0.02, 0.98])
        low, high = min(low, float(bulk[0])), max(high, float(bulk[1]))
    spacing = column.spacing
    if column.kind == "positive" and low > 0 and high > RANGE * low:
        edges = np.geomspace(low, high, BINS + 1)
        if spacing:
            edges = np.unique(np.maximum(np.round(edges / spacing - 0.5), 0) * spacing + 0.5 * spacing)
        if len(edges) > 2:
            return edges, "log"
    axis: Axis = "date" if column.kind == "datetime" else "linear"
    if spacing:
        width = spacing * max(1, math.ceil((high - low + spacing) / spacing / BINS))
        start = math.floor(low / spacing + 0.5) * spacing - spacing / 2
        bins = math.ceil((high + spacing / 2 - start) / width - 1e-9)
        return start + width * np.arange(bins + 1, dtype=np.float64), axis
    if high <= low:
        margin = max(abs(low), 1.0) * 0.05
        low, high = low - margin, high + margin
    return np.linspace(low, high, BINS + 1), axis
