"""The possible values of each number in an example of a likelihood, and a grid of all examples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Layout
from vaekit.errors import VaekitError
from vaekit.evaluation.grid import MOST_POINTS, Axis, Grid, listed_axis, real_axis
from vaekit.models import Likelihood

Array = npt.NDArray[np.float64]
Values = tuple[float, ...] | str

STEPS = 4
"""Levels of a column on a grid, between its edges."""


@dataclass(frozen=True)
class Support:
    """The possible values of each number in an example of a likelihood.

    Args:
        values: for each number, its possible values: a list, `counts` for 0, 1, 2, …, or `real`.
        event_shape: shape of an example.
        measures: for a mixed table, the logarithms of the cells' widths, which follow the cells in an example.
    """

    values: tuple[Values, ...]
    event_shape: tuple[int, ...]
    measures: tuple[float, ...] = ()

    @classmethod
    def of(cls, likelihood: Likelihood) -> Support:
        """Derive the support of a likelihood from the likelihood's kinds of data.

        Raises:
            VaekitError: if its examples are too large for a grid.
        """
        if isinstance(layout := getattr(likelihood, "layout", None), Layout):
            support = cls._of_table(layout)
        else:
            each: Values = (0.0, 1.0)
            if likelihood.density:
                each = "real"
            elif "counts" in likelihood.kinds:
                each = "counts"
            elif "levels" in likelihood.kinds:
                each = tuple(map(float, range(likelihood.levels)))
            support = cls((each,) * math.prod(likelihood.event_shape), likelihood.event_shape)
        levels = math.prod(len(each) for each in support.values if not isinstance(each, str))
        if not 1 <= len(support.values) <= 3 or support.values.count("real") > 2 or levels > MOST_POINTS:
            must = "an example must have 1 to 3 numbers, at most 2 of them real, because the likelihood is checked on a grid"
            given = f"{len(support.values)} numbers with {levels:,} combinations of levels"
            raise VaekitError(must, given, "Check a smaller likelihood of the same class")
        return support

    @classmethod
    def _of_table(cls, layout: Layout) -> Support:
        values: list[Values] = [tuple(map(float, range(size))) for size in layout.sizes]
        measures = [0.0] * len(values)
        for lattice, (low, high) in zip(layout.on_grid, layout.edges, strict=True):
            values.append(tuple(np.linspace(low, high, STEPS)) if lattice else "real")
            measures.append(math.log((high - low) / (STEPS - 1)) if lattice else 0.0)
        return cls(tuple(values), (2 * layout.slots,), tuple(measures))

    @property
    def typical(self) -> bool:
        """Tell whether the likelihood is that of a mixed table, whose `mean` is a typical row."""
        return bool(self.measures)

    def grid(self, draws: Array) -> Grid:
        """Return a grid of all examples, or of the most probable examples if there are infinitely many.

        Args:
            draws: examples, shape (n, numbers).
        """
        return Grid.of([self._axis(each, draws[:, i]) for i, each in enumerate(self.values)])

    def _axis(self, each: Values, draws: Array) -> Axis:
        if each == "real":
            return real_axis(draws, min(2, len(self.values)))
        if each == "counts":
            most = int(MOST_POINTS ** (1 / len(self.values)))
            if 2 * draws.max() + 20 > most:
                must = "the likelihood's counts must be small enough to enumerate"
                raise VaekitError(
                    must, f"a draw of {draws.max():.0f}", "Check the likelihood with examples of one number"
                )
            return listed_axis(np.arange(min(most, 4 * int(draws.max()) + 40)))
        return listed_axis(each)

    def settle(self, draws: Array) -> Array:
        """Round the draws of a mixed table to the nearest level in each column with levels."""
        settled = draws.copy()
        for i, each in enumerate(self.values):
            if self.measures and not isinstance(each, str):
                settled[:, i] = np.array(each)[np.abs(draws[:, i, None] - np.array(each)).argmin(1)]
        return settled

    def encode(self, numbers: Array) -> Tensor:
        """Convert examples of shape (n, numbers) to the shape (n, *event) that the likelihood takes."""
        numbers = self.settle(numbers)
        if self.measures:
            numbers = np.concatenate([numbers, np.broadcast_to(self.measures, numbers.shape)], 1)
        return torch.from_numpy(numbers.reshape(len(numbers), *self.event_shape))
