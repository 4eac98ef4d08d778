"""Rows on the way to obeying rules: their codes, their values, and which cells may change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from vaekit.data.tables.rules.base import Truth
from vaekit.data.tables.rules.scales import Scales

Array = npt.NDArray[np.float64]


class Draft:
    """Holds rows whose free cells are changed until they obey rules.

    Args:
        codes: codes of the modelled columns, shape (n, C); they are copied.
        given: which cells stay as they are, shape (n, C).
        scales: the scales of the columns that stand in rules.
        places: the place of each of these columns among the modelled ones.
    """

    def __init__(self, codes: Array, given: Truth, scales: Scales, places: Mapping[str, int]) -> None:
        self.codes, self.scales, self.places = codes.copy(), scales, places
        self.fixed = {name: given[:, place].copy() for name, place in places.items()}
        self.solved = self.fixed  # in addition, the cells that were solved for (see `RuleSet.compute`)
        self.values = {}
        for name, place in places.items():
            scale = scales[name]
            found = scale.values(codes[:, place])
            written = scale.values(scale.codes(found))  # as drawn numbers are written
            self.values[name] = np.where(self.fixed[name] | np.isnan(written), found, written)

    def __len__(self) -> int:
        return len(self.codes)

    def free(self, name: str) -> Truth:
        """Return in which rows the cell of a column may change; a cell that stays missing may not."""
        return ~self.fixed[name] & ~np.isnan(self.values[name])

    def put(self, name: str, values: Array, where: Truth) -> Truth:
        """Set free cells of a column to values, where the column can have them.

        Args:
            name: the column.
            values: shape (n,); a NaN changes nothing.
            where: which rows to change.

        Returns:
            Which rows now have their value.
        """
        scale = self.scales[name]
        codes = scale.codes(values)
        done = where & self.free(name) & ~np.isnan(codes)
        self.values[name] = np.where(done, scale.values(codes), self.values[name])
        self.codes[done, self.places[name]] = codes[done]
        return done

    def hide(self, cells: Truth) -> None:
        """Let rules see no value in some cells, shape (n, C); their codes stay."""
        for name, place in self.places.items():
            self.values[name] = np.where(cells[:, place], np.nan, self.values[name])

    def immovable(self, name: str, computed: Collection[str]) -> Truth:
        """Return in which rows a cell may not be moved, because it is fixed, missing or computed."""
        return ~self.free(name) | (name in computed)
