"""From coded rows of a table to what the model sees of them: places, scores, and the measure of each cell.

Every column becomes one slot, or two: a place in a list (a category, or an atom of a column of numbers), a score on the
line (a number that is no atom). A row is its S slots, followed by the S logarithms of their measures:

    place   log-measure log P(value | place), 0 unless rare values share it       score   log t'(x), or log width on a lattice

so that the likelihood speaks of the data as given. A missing cell is NaN in all its slots.
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
from vaekit.data.tables.marginals import Marginal, fit_marginal

Array = npt.NDArray[np.float64]


class Places(BaseModel):
    """A column of values in a list.

    Args:
        places: how many places the model has for them.
        known: how many of them have values that were seen; only these are drawn.
        log_share: log P(value | place) by code; codes from `places` − 1 on share the last place where there are more.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    places: int
    known: int
    log_share: tuple[float, ...]


class Layout(BaseModel):
    """What the slots of a row are: K places, then R scores.

    Args:
        sizes: how many places each of the first K slots chooses from, increasing.
        lattice: of each score, whether values lie on a lattice; these come first.
        edges: of each score, the scores of the least and the greatest level, which take the tails.
        gates: of each score, the slot of the list whose last place it stands for; −1 where it has none.
    """

    model_config = ConfigDict(frozen=True)

    sizes: tuple[int, ...]
    lattice: tuple[bool, ...]
    edges: tuple[tuple[float, float], ...]
    gates: tuple[int, ...] = ()

    @property
    def slots(self) -> int:
        """S = K + R."""
        return len(self.sizes) + len(self.lattice)


class Cells(Step):
    """Codes (B, C), NaN where missing, to slots and measures (B, 2S); back from slots (…, S) to codes (…, C)."""

    kind: Literal["cells"] = "cells"
    columns: tuple[Places | Marginal, ...]

    @cached_property
    def _slots(self) -> list[tuple[int, int]]:
        """For each column its slot among the places and its slot among the scores; −1 where it has none.

        Places stand in order of the length of their lists, scores on a lattice before reals, so that a family is a slice.
        """
        listed = [i for i, c in enumerate(self.columns) if isinstance(c, Places) or c.atoms]
        listed.sort(key=lambda i: _length(self.columns[i]))
        lines = [(i, c) for i, c in enumerate(self.columns) if isinstance(c, Marginal)]
        numbers = [i for i, c in sorted(lines, key=lambda pair: pair[1].step == 0)]
        place = {column: slot for slot, column in enumerate(listed)}
        score = {column: len(listed) + slot for slot, column in enumerate(numbers)}
        return [(place.get(i, -1), score.get(i, -1)) for i in range(len(self.columns))]

    @cached_property
    def slot_columns(self) -> npt.NDArray[np.int64]:
        """The column that each of the S slots belongs to."""
        pairs = [(slot, i) for i, both in enumerate(self._slots) for slot in both if slot >= 0]
        return np.array([column for _, column in sorted(pairs)])

    @cached_property
    def layout(self) -> Layout:
        """What the slots are."""
        sizes = sorted(_length(c) for c, (place, _) in zip(self.columns, self._slots, strict=True) if place >= 0)
        marginals = sorted((c for c in self.columns if isinstance(c, Marginal)), key=lambda c: c.step == 0)
        return Layout(
            sizes=tuple(sizes),
            lattice=tuple(m.step > 0 for m in marginals),
            edges=tuple(m.edge_scores for m in marginals),
            gates=tuple(place for _, place in sorted((s, p) for p, s in self._slots if s >= 0)),
        )

    def forward(self, x: Tensor, uniform: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Codes (B, C) to slots and measures (B, 2S), float32."""
        codes, slots = x.double().numpy(), self.layout.slots
        seen = np.full((len(codes), 2 * slots), np.nan)
        for column, (place, score), code in zip(self.columns, self._slots, codes.T, strict=True):
            here = ~np.isnan(code)
            if isinstance(column, Places):
                chosen = code[here]
                seen[here, place] = np.minimum(chosen, column.places - 1)
                seen[here, slots + place] = np.array(column.log_share)[chosen.astype(np.int64)]
                continue
            if place >= 0:
                atom = column.atom(code)
                seen[here, place] = atom[here]
                seen[here, slots + place] = 0.0
                here &= atom == len(column.atoms)
            seen[here, score], seen[here, slots + score] = column.cell(code[here])
        return torch.from_numpy(seen).float()

    def on_lattice(self, codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Numbers between the values of their column brought to the nearest: whole ages, and cents; shape (n, C)."""
        columns = [
            c.nearest(x) if isinstance(c, Marginal) and c.step else x
            for c, x in zip(self.columns, codes.T, strict=True)
        ]
        return np.stack(columns, 1) if columns else codes

    def inverse(self, y: Tensor) -> Tensor:
        """Slots (…, S) to codes (…, C), float64; a shared place gives the code of its most frequent value."""
        slots = y.double().numpy()
        codes = np.empty((*slots.shape[:-1], len(self.columns)))
        for i, (column, (place, score)) in enumerate(zip(self.columns, self._slots, strict=True)):
            if isinstance(column, Marginal):
                codes[..., i] = column.inverse(slots[..., score])
                if place >= 0:
                    atom = slots[..., place]
                    values = np.append(column.atoms, np.nan)
                    codes[..., i] = np.where(
                        atom < len(column.atoms), values[np.nan_to_num(atom).astype(np.int64)], codes[..., i]
                    )
            else:
                codes[..., i] = np.minimum(slots[..., place], column.known - 1)
        return torch.from_numpy(codes)

    def hide(self, x: Tensor, whole: int, generator: torch.Generator) -> Tensor:
        """Slots in which cells are hidden at random, each row at a rate of its own.

        Args:
            x: slots and measures, shape (B, 2S).
            whole: how many rows, from the first, are left as they are.
            generator: draws.
        """
        rest = len(x) - whole
        rate = torch.rand((rest, 1), generator=generator)
        hidden = torch.rand((rest, len(self.columns)), generator=generator) < rate
        hidden = hidden[:, torch.from_numpy(self.slot_columns)].repeat(1, 2)
        return torch.cat([x[:whole], torch.where(hidden, torch.nan, x[whole:])])


def _length(column: Places | Marginal) -> int:
    """How many places a column chooses from."""
    return column.places if isinstance(column, Places) else len(column.atoms) + 1


def fit_cells(columns: Sequence[Column], codes: Array) -> Cells:
    """The slots of a table, from coded training rows.

    Args:
        columns: the modelled columns, C of them.
        codes: shape (n, C), NaN where missing.

    Returns:
        The step.
    """
    found: list[Places | Marginal] = []
    for column, code in zip(columns, codes.T, strict=True):
        if column.kind in CATEGORICAL:
            known = len(column.categories) + bool(column.rare)
            found.append(Places(places=column.places, known=known, log_share=tuple(column.log_share().tolist())))
        else:
            found.append(fit_marginal(column, code[~np.isnan(code)]))
    return Cells(columns=tuple(found))
