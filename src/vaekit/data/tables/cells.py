"""The step that maps encoded cells of a table to the model's input, and back.

Each column becomes one or two slots. A slot holds a category, the index of a point mass, or the normal score of a
number that is not a point mass. A row consists of its S slots, followed by the logarithms of their S measures:

    category   log P(value | category), which is 0 unless rare values share the category
    score      log t'(x) for a real column, the log width of the value's interval for a column on a grid

With these measures, the likelihood refers to the original cells, not to the slots. A missing cell is NaN in all of
its slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from vaekit.data.steps import Step
from vaekit.data.tables.columns import CATEGORICAL, Column
from vaekit.data.tables.families import Families
from vaekit.data.tables.marginals import MOST_MASSES, Marginal, fit_marginal, standardize
from vaekit.data.tables.neighbours import are_exact, find_neighbours

Array = npt.NDArray[np.float64]


class Categories(BaseModel):
    """Describes a categorical column: the number of categories, and each value's share of the rows of its category.

    Args:
        n_categories: how many categories the model has for the values.
        known: how many of these stand for values in the training data; only these are sampled.
        log_share: log P(value | category) by code; codes from `n_categories` − 1 on share the last category.
        withheld: codes of the values that are not drawn, because too few rows have them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_categories: int
    known: int
    log_share: tuple[float, ...]
    withheld: tuple[int, ...] = ()

    @property
    def drawable(self) -> tuple[float, ...]:
        """Return for each category the share of its rows whose value may be drawn: 0 or 1, except for the shared category."""
        last, share = self.n_categories - 1, self._shares(common=True)
        known = self._shares(common=False)[last:].sum()
        return (*share[:last].tolist(), float(share[last:].sum() / known) if known else 0.0)

    def _shares(self, common: bool) -> Array:
        """Return the share of each value among the rows of its category, without unseen values; 0 if common and withheld."""
        share = np.exp(self.log_share[:-1])
        if common:
            share[list(self.withheld)] = 0
        return share

    def draw_rare(self, codes: Tensor, uniform: Tensor, common: bool) -> Tensor:
        """Replace the shared category in codes by one of its values, drawn by its share; arguments as in `Cells.draw_rare`."""
        last = self.n_categories - 1
        share = self._shares(common)[last:]
        if common and not any(self.drawable):
            return torch.full_like(codes, torch.nan)
        if not share.any():
            return codes
        reached = torch.from_numpy(np.cumsum(share))
        rare = torch.searchsorted(reached, (uniform * reached[-1]).contiguous(), right=True)
        return torch.where(codes == last, codes + rare.clamp(max=int(np.flatnonzero(share)[-1])), codes)


class Layout(BaseModel):
    """Describes the slots of a row: K categories, followed by R scores.

    Args:
        sizes: the number of categories of each of the first K slots, increasing.
        on_grid: for each score, whether its values lie on a grid; such scores come first.
        edges: for each score, the scores of the bounds of draws; on a grid, the intervals there include the tails.
        lists: for each score, the slot with the point masses of its column and a last category for other numbers, or −1.
        marginals: for each score, the map from the values of its column.
        neighbours: for each score, other scores whose values are often near its own, or equal to it.
        exact: for each score, whether single precision tells its values on the grid apart.
        drawable: for each of the first K slots, the share of the rows of each of its categories whose value may be drawn.
        order: the autoregressive order of the slots, 0 … S − 1 by default.
    """

    model_config = ConfigDict(frozen=True)

    sizes: tuple[int, ...]
    on_grid: tuple[bool, ...]
    edges: tuple[tuple[float, float], ...]
    lists: tuple[int, ...] = ()
    marginals: tuple[Marginal, ...] = ()
    neighbours: tuple[tuple[int, ...], ...] = ()
    exact: tuple[bool, ...] = ()
    drawable: tuple[tuple[float, ...], ...] = ()
    order: tuple[int, ...] = ()

    @property
    def slots(self) -> int:
        """Return the number of slots of a row, S = K + R."""
        return len(self.sizes) + len(self.on_grid)


class Cells(Step):
    """Maps the codes (B, C) of a table to slots and log-measures (B, 2S), and slots (…, S) back to codes (…, C).

    Args:
        columns: the map of each column.
        neighbours: for each column of numbers, the positions among them of columns whose cells are often near its own.
        exact: for each column of numbers, whether single precision tells its values on the grid apart.
        missing: for each column, 0 if no training cell is missing, else 1 + the tenths of the cells that are.
    """

    kind: Literal["cells"] = "cells"
    columns: tuple[Categories | Marginal, ...]
    neighbours: tuple[tuple[int, ...], ...] = ()
    exact: tuple[bool, ...] = ()
    missing: tuple[int, ...] = ()

    @cached_property
    def column_slots(self) -> list[tuple[int, int]]:
        """Return the category slot and the score slot of each column, with −1 for an absent slot.

        Category slots are sorted by number of categories, and scores on a grid come first: each family is a slice.
        """
        listed = [i for i, c in enumerate(self.columns) if isinstance(c, Categories) or c.point_masses]
        listed.sort(key=lambda i: self.columns[i].n_categories)
        lines = [(i, c) for i, c in enumerate(self.columns) if isinstance(c, Marginal)]
        numbers = [i for i, c in sorted(lines, key=lambda pair: pair[1].spacing == 0)]
        category = {column: slot for slot, column in enumerate(listed)}
        score = {column: len(listed) + slot for slot, column in enumerate(numbers)}
        return [(category.get(i, -1), score.get(i, -1)) for i in range(len(self.columns))]

    @cached_property
    def slot_columns(self) -> npt.NDArray[np.int64]:
        """Return the index of the column that each slot belongs to, shape (S,)."""
        pairs = [(slot, i) for i, both in enumerate(self.column_slots) for slot in both if slot >= 0]
        return np.array([column for _, column in sorted(pairs)])

    @cached_property
    def layout(self) -> Layout:
        """Return the layout of the slots."""
        sizes = sorted(
            c.n_categories for c, (category, _) in zip(self.columns, self.column_slots, strict=True) if category >= 0
        )
        given = [c for c in self.columns if isinstance(c, Marginal)]
        order = sorted(range(len(given)), key=lambda i: given[i].spacing == 0)
        marginals, place = [given[i] for i in order], {i: at for at, i in enumerate(order)}
        return Layout(
            sizes=tuple(sizes),
            on_grid=tuple(m.spacing > 0 for m in marginals),
            edges=tuple(m.edge_scores for m in marginals),
            marginals=tuple(marginals),
            lists=tuple(category for _, category in sorted((s, c) for c, s in self.column_slots if s >= 0)),
            neighbours=tuple(tuple(place[other] for other in self.neighbours[i]) for i in order if self.neighbours),
            exact=tuple(self.exact[i] for i in order if self.exact),
            drawable=tuple(self._drawable(self.columns[i]) for i in self.slot_columns[: len(sizes)]),
            order=self._order() if self.missing else (),
        )

    def _order(self) -> tuple[int, ...]:
        """Return the slots of complete columns first, then the others by how many cells are missing, the fewest first."""
        return tuple(sorted(range(len(self.slot_columns)), key=lambda slot: self.missing[self.slot_columns[slot]]))

    @staticmethod
    def _drawable(column: Categories | Marginal) -> tuple[float, ...]:
        every = (1.0,) * column.n_categories
        return column.drawable if isinstance(column, Categories) and any(column.drawable) else every

    @cached_property
    def _families(self) -> Families:
        """Return the columns of both families, as tensors."""
        return Families(self.columns, self.column_slots)

    def forward(self, x: Tensor, uniform: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Map the codes (B, C) of a table to slots and log-measures (B, 2S), float32."""
        own, codes = self._families, x.double().T.contiguous()  # rows of columns, which lie together in memory
        chosen, numbers = codes.index_select(0, own.categories), codes.index_select(0, own.numbers)
        missing, absent = chosen.isnan(), numbers.isnan()
        share = own.log_share[chosen.nan_to_num().long() + own.first]
        score, measure = (found.T for found in own.maps.score_cells(numbers.T, own.every))
        mass = own.maps.point_mass(numbers.T, own.every).T
        no_number = absent | (mass < own.maps.counts.unsqueeze(-1))
        slots = [
            torch.minimum(chosen, own.last).masked_fill(missing, torch.nan),  # one NaN, of the same bits
            mass.double().masked_fill(absent, torch.nan),
            score.masked_fill(no_number, torch.nan),
        ]
        measures = [
            share.masked_fill(missing, torch.nan),
            torch.zeros_like(numbers).masked_fill(absent, torch.nan),
            measure.masked_fill(no_number, torch.nan),
        ]
        seen = [torch.cat(parts).index_select(0, own.order) for parts in (slots, measures)]
        return torch.cat(seen).float().T.contiguous()

    def round(self, codes: Tensor) -> Tensor:
        """Round numbers (n, C) to values that their columns can take, such as whole years or cents."""
        own = self._families
        numbers = own.maps.to_grid(codes[:, own.numbers], own.every)
        return torch.cat([codes[:, own.categories], numbers], 1)[:, own.columns]

    def inverse(self, y: Tensor) -> Tensor:
        """Map slots (…, S) back to codes (…, C), float64; a shared category becomes its most frequent value."""
        own, slots = self._families, y.double().reshape(-1, y.shape[-1]).T.contiguous()
        chosen = torch.minimum(slots.index_select(0, own.category_slots), own.known - 1)
        values = own.maps.values(slots.index_select(0, own.score_slots).T, own.every)
        mass = torch.where(own.has_masses, slots.index_select(0, own.mass_slots), torch.nan)
        values = own.maps.mass(mass.nan_to_num(MOST_MASSES).long().T, own.every, values)
        codes = torch.cat([chosen, values.T]).index_select(0, own.columns)
        return codes.T.reshape(*y.shape[:-1], len(self.columns))

    def draw_rare(self, codes: Tensor, uniform: Tensor, common: bool = True) -> Tensor:
        """Replace the shared category of rare values by one of these values, drawn by its share.

        Args:
            codes: sampled codes, shape (..., C).
            uniform: numbers in [0, 1) of the same shape.
            common: whether to draw no value that too few rows have; a column of which all values are withheld becomes
                empty then.
        """
        columns = [
            c.draw_rare(x, u, common) if isinstance(c, Categories) else x
            for c, x, u in zip(self.columns, codes.unbind(-1), uniform.unbind(-1), strict=True)
        ]
        return torch.stack(columns, -1)

    def withhold(self, codes: Array, given: Array | None = None) -> Array:
        """Empty the cells of new rows that hold a value of too few rows, which a rule may have put there.

        Args:
            codes: codes of new rows, shape (n, C).
            given: codes of cells that the user gave, which stay, NaN elsewhere, shape (C,).
        """
        kept = codes.copy()
        for i, column in enumerate(self.columns):
            if isinstance(column, Categories) and (given is None or np.isnan(given[i])):
                kept[np.isin(codes[:, i], column.withheld), i] = np.nan
        return kept

    def hide(self, x: Tensor, unhidden: int, uniform: Tensor) -> Tensor:
        """Hide random cells of a batch, with a different random rate for each row.

        Args:
            x: slots and measures, shape (B, 2S).
            unhidden: number of rows at the start that are left unchanged.
            uniform: noise in (0, 1), shape (B, 1 + C): the first number of a row is its rate.
        """
        hidden = uniform[unhidden:, 1:] < uniform[unhidden:, :1]
        hidden = hidden[:, torch.from_numpy(self.slot_columns)].repeat(1, 2)
        return torch.cat([x[:unhidden], torch.where(hidden, torch.nan, x[unhidden:])])


def fit_cells(columns: Sequence[Column], codes: Array, linear: bool = False) -> Cells:
    """Fit the `Cells` step of a table to encoded training rows.

    Args:
        columns: the C modelled columns.
        codes: shape (n, C), NaN where missing.
        linear: whether numbers are only shifted and scaled, rather than mapped by their distribution function.

    Returns:
        The step.
    """
    found: list[Categories | Marginal] = []
    for column, code in zip(columns, codes.T, strict=True):
        if column.kind in CATEGORICAL:
            known = len(column.categories) + bool(column.rare)
            share = tuple(column.log_share().tolist())
            found.append(
                Categories(n_categories=column.n_categories, known=known, log_share=share, withheld=column.withheld)
            )
        else:
            cells = code[~np.isnan(code)]
            found.append(standardize(cells) if linear else fit_marginal(column, cells))
    numbers = [column for column in found if isinstance(column, Marginal)]
    own = codes[:, [isinstance(column, Marginal) for column in found]]
    return Cells(
        columns=tuple(found),
        neighbours=find_neighbours(numbers, own),
        exact=are_exact(numbers, own),
        missing=tuple(1 + round(10 * float(gone.mean())) if gone.any() else 0 for gone in np.isnan(codes).T),
    )


def near_columns(columns: Sequence[Column], codes: Array) -> list[list[str]]:
    """Return groups of columns of numbers whose cells in a row are often near each other, or equal.

    Args:
        columns: the C modelled columns.
        codes: shape (n, C), NaN where missing.

    Returns:
        The names of the columns of each group.
    """
    cells, groups = fit_cells(columns, codes), []
    names = [c.name for c, how in zip(columns, cells.columns, strict=True) if isinstance(how, Marginal)]
    left = dict(enumerate(cells.neighbours))
    while left:
        group, wave = set(), {next(iter(left))}
        while wave:
            group |= wave
            wave = {other for own in wave for other in left.pop(own)} - group
        if len(group) > 1:
            groups.append([names[i] for i in sorted(group)])
    return groups
