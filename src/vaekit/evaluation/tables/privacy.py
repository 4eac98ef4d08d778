"""Measure whether a model of a mixed table gives away the rows that it was trained on.

    nearer        share of generated rows that are nearer to a training row than to any of as many held-out rows
    copies        share of generated rows that equal a training row, next to the share of held-out rows that do
    membership    AUC of log p(x) as a test of whether x was a training row

Training rows and held-out rows come from one population. So the first share is about ½ for a model that has not memorised
rows, the copies are as frequent as in held-out rows, and the AUC is about ½. The measures can show a leak; they cannot
prove that there is none.

The distance of two rows is that of Gower: the mean over the cells that both have, of 0 or 1 for equal or different
categories, and of the absolute difference of normal scores for numbers.

References:
    Gower, "A General Coefficient of Similarity and Some of Its Properties", 1971;
    Yeom, Giacomelli, Fredrikson and Jha, "Privacy Risk in Machine Learning: Analyzing the Connection to Overfitting", 2018;
    DeLong, DeLong and Clarke-Pearson, "Comparing the Areas under Two or More Correlated ROC Curves", 1988.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import rankdata

from vaekit.data import Rows, SeedStream
from vaekit.data.tables.columns import CATEGORICAL, Column, round_to
from vaekit.data.tables.marginals import Marginal
from vaekit.evaluation.bounds import measure_bounds
from vaekit.evaluation.record import Record
from vaekit.evaluation.tables.model import TableModel
from vaekit.evaluation.tables.rows import Sampler, codes_of

Array = npt.NDArray[np.float64]

MOST_ROWS, MOST_COMPARISONS = 2000, 1.5e8
"""Most rows of each kind, and most comparisons of cells."""
FEW_ROWS, MOST_TRAIN = 500, 10_000
"""Most generated and held-out rows, and most training rows, for the usual distance to the closest training row."""
MOST_SEARCHED = 1_000_000
"""Most training rows that are searched for copies."""
MOST_SCORED, SAMPLES = 1000, 50
"""Most rows of each kind with a likelihood, and most draws K for each."""
BLOCK = 100
"""Rows whose distances to all others are computed together."""
ERRORS = 3.0
"""Standard errors above the expected value that count as a sign of memorised rows."""


@dataclass(frozen=True)
class Privacy(Record):
    """Hold measures of whether a model gives away its training rows.

    Args:
        rows: the number of generated rows, held-out rows and training rows that were compared.
        nearer: share of generated rows that are nearer to a training row than to any held-out row; ties count one half.
        nearer_error: standard error of `nearer` for a model that has not memorised rows.
        distance: median distance of a generated row to the closest of (at most 10,000) training rows.
        distance_held_out: median distance of a held-out row to the closest of these.
        copies: share of generated rows that equal one of all training rows.
        copies_held_out: share of held-out rows that do.
        scored_rows: the number of training rows, and of held-out rows, whose likelihoods were compared.
        membership: AUC of log p(x) for telling training rows from held-out rows.
        membership_error: standard error of the AUC.
    """

    rows: int
    nearer: float
    nearer_error: float
    distance: float
    distance_held_out: float
    copies: float
    copies_held_out: float
    scored_rows: int
    membership: float
    membership_error: float

    @property
    def is_nearer(self) -> bool:
        """Return whether generated rows are nearer to training rows than by chance."""
        return self.nearer > 0.5 + ERRORS * self.nearer_error

    @property
    def has_copies(self) -> bool:
        """Return whether generated rows equal training rows more often than held-out rows do, and not by chance."""
        both = (self.copies * (1 - self.copies) + self.copies_held_out * (1 - self.copies_held_out)) / self.rows
        return self.copies > self.copies_held_out + ERRORS * math.sqrt(both)

    @property
    def tells_members(self) -> bool:
        """Return whether training rows are likelier than held-out rows, and not by chance."""
        return self.membership > 0.5 + ERRORS * self.membership_error

    def __str__(self) -> str:
        return (
            f"{self.nearer:.2f} ± {self.nearer_error:.2f} of generated rows are nearer to training rows (0.50 by chance); "
            f"copies {self.copies:.2%} (held-out rows {self.copies_held_out:.2%}); membership AUC {self.membership:.2f} ± "
            f"{self.membership_error:.2f} (0.50 by chance)"
        )


def measure_privacy(model: TableModel, rows: Rows, train: Rows, sample: Sampler) -> Privacy:
    """Measure whether a model of a mixed table gives away its training rows.

    Args:
        model: the model; at most 50 draws are made for each row.
        rows: held-out rows.
        train: training rows.
        sample: draws n coded rows from the model, given the context of each row.

    Returns:
        Shares and AUC from 0 to 1; distances are 0 between equal rows, and about 1 between two rows at random.
    """
    columns = model.schema.modelled
    most = min(MOST_ROWS, math.isqrt(int(MOST_COMPARISONS / len(columns))), len(rows), len(train))
    part = rows.part.subset(most, rows.seed)
    made = np.asarray(sample(Rows(part, rows.transform, rows.seed).context(), most), np.float64)
    rare = torch.from_numpy(SeedStream.PRIVACY_RARE.rng(rows.seed).random(made.shape))
    generated = model.cells.draw_rare(torch.from_numpy(made), rare).numpy()
    held_out, known = codes_of(rows, most), codes_of(train, most)
    drawn, others, trained = (_place(model, codes) for codes in (generated, held_out, known))
    listed = np.array([column.kind in CATEGORICAL for column in columns])
    nearer, error = compare_distances(drawn, others, trained, listed)
    every = _place(model, codes_of(train, MOST_TRAIN))
    distance, distance_held_out = (float(np.median(closest(x[:FEW_ROWS], every, listed)[0])) for x in (drawn, others))
    copies, copies_held_out = count_copies(columns, generated, held_out, train)
    scores = _score(model, train), _score(model, rows)
    membership, membership_error = area_under_curve(*scores)
    return Privacy(
        rows=most,
        nearer=nearer,
        nearer_error=error,
        distance=distance,
        distance_held_out=distance_held_out,
        copies=copies,
        copies_held_out=copies_held_out,
        scored_rows=len(scores[1]),
        membership=membership,
        membership_error=membership_error,
    )


def _place(model: TableModel, codes: Array) -> Array:
    """Replace the numbers among coded cells by their normal scores."""
    columns = zip(model.cells.columns, codes.T, strict=True)
    return np.stack([c.forward(x) if isinstance(c, Marginal) else x for c, x in columns], 1)


def _score(model: TableModel, rows: Rows) -> Array:
    """Return log p(x) of some rows, as the importance-weighted bound."""
    some = Rows(rows.part.subset(MOST_SCORED, rows.seed), rows.transform, rows.seed)
    return measure_bounds(model.model, some, min(SAMPLES, model.samples)).score


def closest(rows: Array, others: Array, listed: npt.NDArray[np.bool_]) -> tuple[Array, npt.NDArray[np.int64]]:
    """Find the closest other row of each row.

    Args:
        rows: categories and normal scores, NaN where missing, shape (n, C).
        others: the same of other rows, shape (m, C).
        listed: which columns have categories, shape (C,).

    Returns:
        The distances, infinite where two rows have no column in common, and the positions among the others; shape (n,).
    """
    distance, position = np.empty(len(rows)), np.empty(len(rows), np.int64)
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        total, count = np.zeros((len(block), len(others))), np.zeros((len(block), len(others)))
        for own, other, is_list in zip(block.T, others.T, listed, strict=True):
            apart = np.abs(own[:, None] - other)
            there = ~np.isnan(apart)
            total += np.where(there, apart > 0 if is_list else apart, 0)
            count += there
        mean = np.where(count > 0, total / np.maximum(count, 1), np.inf)
        at = slice(first, first + len(block))
        position[at] = mean.argmin(1)
        distance[at] = mean.min(1)
    return distance, position


def compare_distances(
    generated: Array, held_out: Array, train: Array, listed: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Compare the distances of generated rows to training rows and to as many held-out rows.

    If nothing was memorised, the closest of all these rows is a training row with probability ½. Generated rows with the
    same closest row count once for the standard error, because they say the same.

    Args:
        generated: categories and normal scores of generated rows, shape (n, C).
        held_out: the same of m held-out rows.
        train: the same of m training rows.
        listed: which columns have categories, shape (C,).

    Returns:
        The share that is nearer to training rows, and its standard error.
    """
    to_train, own = closest(generated, train, listed)
    to_held_out, other = closest(generated, held_out, listed)
    nearer = (to_train < to_held_out) + 0.5 * (to_train == to_held_out)
    counts = np.bincount(np.where(to_train <= to_held_out, own, len(train) + other))
    error = 0.5 * math.sqrt(float(np.square(counts).sum())) / len(generated)
    return float(nearer.mean()), error


def count_copies(columns: tuple[Column, ...], generated: Array, held_out: Array, train: Rows) -> tuple[float, float]:
    """Return the shares of generated rows and of held-out rows that equal a training row, as all are written.

    Args:
        columns: the modelled columns.
        generated: codes of generated rows, shape (n, C).
        held_out: codes of held-out rows, shape (m, C).
        train: training rows, of which at most a million are searched.
    """
    written = [_write(columns, codes) for codes in (generated, held_out)]
    wanted: set[bytes] = set().union(*written)
    found: set[bytes] = set()
    for _, block in train.part.subset(MOST_SEARCHED, train.seed).blocks():
        found |= wanted.intersection(_write(columns, np.asarray(block, np.float64)))
    made, true = (float(np.mean([row in found for row in rows])) for rows in written)
    return made, true


def _write(columns: tuple[Column, ...], codes: Array) -> list[bytes]:
    """Return the bytes of coded rows, with numbers rounded as they are written."""
    pairs = zip(columns, codes.T, strict=True)
    rounded = np.stack([round_to(x, c.rounding) if c.rounding else x for c, x in pairs], 1) + 0.0  # −0 is 0
    return [row.tobytes() for row in np.where(np.isnan(rounded), np.nan, rounded)]


def area_under_curve(positive: Array, negative: Array) -> tuple[float, float]:
    """Return the AUC of a score, P(score of a positive > score of a negative) with half of the ties, and its standard error.

    The standard error is that of DeLong et al. (1988).

    Args:
        positive: scores of positives, shape (n,).
        negative: scores of negatives, shape (m,).

    Examples:
        >>> area_under_curve(np.array([3.0, 1.0]), np.array([0.0, 2.0]))
        (0.75, 0.3535533905932738)
    """
    n, m = len(positive), len(negative)
    both = rankdata(np.concatenate([positive, negative]))
    above = (both[:n] - rankdata(positive)) / m  # for each positive, the share of negatives below it
    below = 1 - (both[n:] - rankdata(negative)) / n
    if min(n, m) < 2:
        return float(above.mean()), math.nan
    return float(above.mean()), math.sqrt(float(above.var(ddof=1) / n + below.var(ddof=1) / m))
