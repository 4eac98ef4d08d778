"""The values by which the codes on the map are coloured, and the colours of these values."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.explorer.plane import Bins
from vaekit.plots.numbers import cut, significant, write_value

Array = npt.NDArray[np.float64]
MOST_CLASSES = 10
"""Most categories with a colour of their own; all others share a last one."""
GREY = (140, 140, 140)
"""The colour of missing values."""
FAINTEST = 0.45
"""Opacity of a cell with a single point; the fullest cell has 1."""


@dataclass(frozen=True)
class Colouring:
    """Hold a value for each row, and what the colours mean.

    Args:
        name: name of the values.
        values: a number or a category 0, 1, … for each row, NaN where it is missing; shape (n,).
        classes: names of the categories; empty if the values are numbers.
        ends: the numbers with the first and the last colour, as texts.
        limits: these numbers.
    """

    name: str
    values: Array
    classes: tuple[str, ...] = ()
    ends: tuple[str, str] = ("", "")
    limits: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of_numbers(cls, name: str, values: Array, column: Column | None = None) -> Colouring:
        """Colour by numbers, from their 1 % quantile to their 99 % quantile."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(name, values)
        low, high = (float(limit) for limit in np.quantile(known, [0.01, 0.99]))
        ends = [significant(limit) if column is None else write_value(column, limit, 3) for limit in (low, high)]
        return cls(name, values, (), (ends[0], ends[1]), (low, high))

    @classmethod
    def of_classes(cls, name: str, given: npt.NDArray[np.generic]) -> Colouring:
        """Colour by classes: the most frequent have their own colours, and others share one."""
        names, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
        return cls._of_codes(name, codes.astype(np.float64), [cut(str(each)) for each in names], counts)

    @classmethod
    def of_column(cls, column: Column, codes: Array) -> Colouring:
        """Colour by a column of a table, from its codes."""
        if column.kind not in CATEGORICAL:
            return cls.of_numbers(column.name, codes, column)
        if column.kind == "ordinal":
            return cls._of_levels(column, codes)
        codes = np.where(
            codes < len(column.categories), codes, np.where(np.isnan(codes), np.nan, column.n_categories - 1)
        )
        names = [
            cut(str(cell)) for cell in column.decode(np.arange(len(column.categories), dtype=np.float64)).to_pylist()
        ]
        counts = np.bincount(codes[np.isfinite(codes)].astype(np.int64), minlength=column.n_categories)
        return cls._of_codes(column.name, codes, [*names, "rare values"], counts)

    @classmethod
    def _of_levels(cls, column: Column, codes: Array) -> Colouring:
        """Colour ordered levels by a scale from the first to the last."""
        last = len(column.categories) - 1
        first_name, last_name = (cut(str(cell)) for cell in column.decode(np.array([0.0, last])).to_pylist())
        codes = np.where(codes > last, np.nan, codes)  # rare values have no place in the order
        return cls(column.name, codes, (), (first_name, last_name), (0.0, float(last)))

    @classmethod
    def _of_codes(cls, name: str, codes: Array, names: list[str], counts: npt.NDArray[np.int64]) -> Colouring:
        there = np.flatnonzero(counts)
        kept = there if len(there) <= MOST_CLASSES else np.sort(np.argsort(-counts, kind="stable")[: MOST_CLASSES - 1])
        place = np.full(len(names), len(kept), np.float64)
        place[kept] = np.arange(len(kept))
        shown = [names[k] for k in kept] + ([f"{len(there) - len(kept)} others"] if len(kept) < len(there) else [])
        known = np.isfinite(codes)
        values = np.full(len(codes), np.nan)
        values[known] = place[codes[known].astype(np.int64)]
        return cls(name, values, tuple(shown))

    @property
    def missing(self) -> bool:
        """Return whether some rows have no value."""
        return bool(np.isnan(self.values).any())

    def palette(self) -> npt.NDArray[np.uint8]:
        """Return the colours of the categories, or the scale of numbers, shape (colours, 3)."""
        shown = (
            mpl.colormaps["tab10"](np.arange(len(self.classes)) % 10)
            if self.classes
            else mpl.colormaps["viridis"](np.linspace(0, 1, 256))
        )
        return (255 * np.asarray(shown)[:, :3]).round().astype(np.uint8)

    def paint(self, bins: Bins) -> npt.NDArray[np.uint8]:
        """Return the colours of the cells of a grid as RGBA, shape (rows, columns, 4): fuller cells are more opaque."""
        palette, known = self.palette(), np.isfinite(bins.value)
        low, high = self.limits
        at = bins.value if self.classes else 255 * (bins.value - low) / max(high - low, 1e-300)
        index = np.where(known, at, 0).round().clip(0, len(palette) - 1).astype(np.int64)
        colour = np.where(known[..., None], palette[index] if len(palette) else 0, np.array(GREY))
        fullest = max(int(bins.count.max()), 1)
        share = np.log1p(bins.count - 1.0, where=bins.count > 0, out=np.zeros(bins.count.shape)) / max(
            np.log(fullest), 1e-9
        )
        alpha = np.where(bins.count > 0, FAINTEST + (1 - FAINTEST) * (share if fullest > 1 else 1), 0)
        return np.concatenate([colour, (255 * alpha[..., None]).round()], -1).astype(np.uint8)
