"""The columns of a mixed table in two families, categories and numbers, each mapped at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vaekit.data.tables.marginals import Marginal
from vaekit.data.tables.score_maps import ScoreMaps

if TYPE_CHECKING:
    from vaekit.data.tables.cells import Categories


class Families:
    """Holds where the columns of both families stand among the columns and among the slots of a row, as tensors.

    Args:
        columns: the map of each column.
        column_slots: the category slot and the score slot of each column, −1 for an absent slot.
    """

    def __init__(self, columns: Sequence[Categories | Marginal], column_slots: Sequence[tuple[int, int]]) -> None:
        listed = [(i, c) for i, c in enumerate(columns) if not isinstance(c, Marginal)]
        numbers = [(i, c) for i, c in enumerate(columns) if isinstance(c, Marginal)]
        self.maps, self.every = ScoreMaps([c for _, c in numbers]), torch.arange(len(numbers))
        self.categories, self.numbers = (torch.tensor([i for i, _ in own]).long() for own in (listed, numbers))
        """The columns of each family."""
        self.last = torch.tensor([c.n_categories - 1.0 for _, c in listed], dtype=torch.float64).unsqueeze(-1)
        self.known = torch.tensor([float(c.known) for _, c in listed], dtype=torch.float64).unsqueeze(-1)
        shares = [c.log_share for _, c in listed]
        self.log_share = torch.tensor([each for share in shares for each in share] or [0.0], dtype=torch.float64)
        self.first = torch.tensor([0, *map(len, shares)]).cumsum(0)[:-1].unsqueeze(-1)
        """log P(value | category) of all columns of categories, one after another, and where each begins."""
        self.category_slots = torch.tensor([column_slots[i][0] for i, _ in listed]).long()
        choices = torch.tensor([column_slots[i][0] for i, _ in numbers]).long()
        self.mass_slots, self.has_masses = choices.clamp(min=0), (choices >= 0).unsqueeze(-1)
        self.score_slots = torch.tensor([column_slots[i][1] for i, _ in numbers]).long()
        slots = torch.cat([self.category_slots, choices, self.score_slots])
        order = slots.argsort()
        self.order = order[slots[order] >= 0]
        """Which of all categories, choices of point masses and scores stands in each slot."""
        self.columns = torch.cat([self.categories, self.numbers]).argsort()
        """Which of all categories and numbers stands in each column."""
