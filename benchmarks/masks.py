"""Masks of cells to hide: completely at random, by other columns, or by the cells' own values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from common import data_folder
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import rankdata
from table_data import Table, as_codes

RATE, STRENGTH, MOST = 0.2, 2.0, 0.8
"""Share of cells to hide, slope of the logit of this share in standardised ranks, and greatest share.

Without the last, a rare category would hide the cells of all of its rows, and no method could know what they are.
"""
MECHANISMS = ["MCAR", "MAR", "MNAR"]


def hidden_cells(table: Table, mechanism: str, seed: int) -> np.ndarray:
    """Return a mask of the cells to hide, shape (n, columns), without cells that are missing anyway."""
    known = table.frame.notna().to_numpy()
    random = np.random.default_rng(seed)
    if mechanism == "MCAR":
        published = published_cells(table) if seed == 0 else None
        return known & (random.random(known.shape) < RATE if published is None else published)
    cells = as_codes(table.frame).to_numpy()
    return known & (random.random(known.shape) < (by_others if mechanism == "MAR" else by_itself)(cells, random))


def published_cells(table: Table) -> np.ndarray | None:
    """Return the mask that was published with a table, if there is one."""
    path = data_folder() / table.name / "missing20_1.csv.gz"
    if not path.exists():
        return None
    hidden = np.zeros(table.frame.shape, dtype=bool)
    rows, columns = pd.read_csv(path, header=None).to_numpy().T - 1  # the published indices count from 1
    hidden[rows, columns] = True
    return hidden


def by_others(cells: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return probabilities that depend on a column that is never hidden; a third of the columns are not.

    Args:
        cells: numbers and codes of categories, shape (n, columns), NaN where missing.
        random: chooses the columns that are never hidden, one of them for each other column, and the order of categories.
    """
    columns = random.permutation(cells.shape[1])
    kept = columns[: max(1, cells.shape[1] // 3)]
    share = np.zeros(cells.shape)
    for column in columns[len(kept) :]:
        share[:, column] = probabilities(cells[:, random.choice(kept)])
    return share


def by_itself(cells: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return probabilities that depend on the value of the cell itself: great or small values are hidden more often."""
    return np.column_stack([probabilities(random.choice([-1, 1]) * column) for column in cells.T])


def probabilities(driver: np.ndarray) -> np.ndarray:
    """Return the logistic function of the driver's standardised rank, at most `MOST`, with a mean of `RATE` over known values.

    Args:
        driver: numbers, shape (n,); missing ones have the probability of the middle rank.
    """
    known = ~np.isnan(driver)
    rank = np.zeros(len(driver))
    rank[known] = rankdata(driver[known])
    spread = rank[known].std() or 1.0
    rank[known] = STRENGTH * (rank[known] - rank[known].mean()) / spread
    offset = brentq(lambda a: np.minimum(expit(a + rank[known]), MOST).mean() - RATE, -50, 50)
    return np.minimum(expit(offset + rank), MOST)
