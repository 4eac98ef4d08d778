"""Leave out of a column the values that few rows have.

The codes of the values stay, so the weights of the model stay as they are. A value that was left out is unknown to the
shared run: it is read as one of the values that shared a category because they were rare, and it is never drawn.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vaekit.data import Column
from vaekit.data.tables.cells import Categories
from vaekit.runs.sharing.rebuild import rebuild

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pruned:
    """Hold a column without some of its values.

    Args:
        column: the column.
        categories: its part of the transform.
        codes: the new code of each former code, the last of which is that of unseen values.
    """

    column: Column
    categories: Categories
    codes: Array

    def recode(self, codes: Array) -> Array:
        """Return the new codes of cells, shape (n,), NaN where a cell is missing."""
        known = np.append(self.codes, np.nan)
        return known[np.where(np.isnan(codes), len(self.codes), codes).astype(int)]


def count_values(column: Column, codes: Array) -> Counts:
    """Count the rows of each listed value of a column.

    Args:
        column: a column with categories.
        codes: its codes in all rows of the data, shape (n,), NaN where a cell is missing.
    """
    known = codes[~np.isnan(codes)].astype(np.int64)
    return np.bincount(known, minlength=column.unseen + 1)[: column.unseen]


def find_rare(column: Column, counts: Counts | None, least: int, ends: bool) -> tuple[int, ...]:
    """Return the codes of the values that too few rows have.

    Texts, and numbers that are names, are left out wherever they are rare. Numbers in order are no names: of these, only
    the least and the greatest are left out, so that at least `least` rows lie at or beyond each end. Truth values stay.

    Args:
        column: a column with categories.
        counts: the number of rows of each listed value; None if the data are not at hand. Then the values that training
            decided not to draw are left out.
        least: least number of rows of a value that stays.
        ends: whether the ends of numbers in order are left out.
    """
    listed = column.listed
    is_name = column.kind == "categorical" or any(isinstance(value, str) for value in listed)
    if counts is None:
        own = len(column.categories)
        shared = (own + i for i, (_, count) in enumerate(column.rare) if count < least)
        return tuple(sorted({*column.withheld, *shared})) if is_name else ()
    if is_name:
        return tuple(np.flatnonzero(counts < least).tolist())
    if not ends or any(isinstance(value, bool) for value in listed):
        return ()
    beyond = np.minimum(np.cumsum(counts), np.cumsum(counts[::-1])[::-1])
    return tuple(np.flatnonzero(beyond < least).tolist())


def prune(column: Column, categories: Categories, left: Collection[int]) -> Pruned:
    """Leave values out of a column.

    Args:
        column: a column with categories.
        categories: its part of the transform.
        left: codes of the values that are left out.
    """
    own = len(column.categories)
    kept = [pair for i, pair in enumerate(column.rare) if own + i not in left]
    gone = sum(count for i, (_, count) in enumerate(column.rare) if own + i in left)
    shared = any(code >= own for code in left)
    categories_left = tuple(None if code in left else value for code, value in enumerate(column.categories))
    pruned = rebuild(column, categories=categories_left, rare=(*kept, *([(None, gone)] if shared else [])))
    codes = np.full(column.unseen + 1, float(pruned.unlisted))
    codes[[code for code in range(own) if code not in left]] = [code for code in range(own) if code not in left]
    codes[[own + i for i in range(len(column.rare)) if own + i not in left]] = own + np.arange(len(kept))
    withheld = {int(codes[code]) for code in column.withheld if code not in left}
    withheld |= {code for code in left if code < own} | ({pruned.unlisted} if shared else set())
    pruned = rebuild(pruned, withheld=tuple(sorted(withheld)))
    share = tuple(pruned.log_share().tolist())
    return Pruned(pruned, rebuild(categories, log_share=share, withheld=pruned.withheld), codes)
