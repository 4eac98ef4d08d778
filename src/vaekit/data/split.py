"""The random split of rows into training, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vaekit.data.noise import SeedStream
from vaekit.data.options import DEFAULTS, DataOptions
from vaekit.data.part import Part, all_rows
from vaekit.data.source import Source
from vaekit.errors import DataError

MOST_VALIDATION = 5000
MOST_CALIBRATION, LEAST_CALIBRATION = 500, 20
"""Most validation rows that do not choose the weights, and least: fewer all choose."""


@dataclass(frozen=True)
class Split:
    """Holds the training, validation and test rows of a run.

    Args:
        train: rows that the model is fitted to.
        validation: rows used to choose the best weights; may be empty. Some of a mixed table's calibrate its intervals instead.
        test: rows used for evaluation only; may be empty.
    """

    train: Part
    validation: Part
    test: Part

    def divide_validation(self) -> tuple[Part, Part]:
        """Divide the validation rows of a mixed table into those that choose the weights, and those that calibrate intervals.

        Returns:
            At least half of the rows; and at most 500 rows, spread evenly over them, or no rows if there are fewer than 40.
        """
        count = min(len(self.validation) // 2, MOST_CALIBRATION)
        if count < LEAST_CALIBRATION:
            return self.validation, self.validation.crop(0, 0)
        chosen = np.arange(count) * len(self.validation) // count
        index = self.validation.index
        return tuple(replace(self.validation, index=own) for own in (np.delete(index, chosen), index[chosen]))  # type: ignore[return-value]


def split_source(source: Source, test: Source | None, seed: int, options: DataOptions = DEFAULTS) -> Split:
    """Split the rows of a source into training, validation and test rows.

    Args:
        source: the training rows, and the validation and test rows if the source has its own.
        test: separate test rows; by default the source's own test rows, or a random share of its rows.
        seed: decides the split.
        options: the shares of `validation` and `test` rows. If the source has its own validation rows, a `validation` of 0
            ignores them, and any other value uses at most 5,000 of them.

    Returns:
        The three parts.

    Raises:
        DataError: if fewer than two training rows would be left.
    """
    validation, held_out = options.validation, options.test
    order = SeedStream.SPLIT.rng(seed).permutation(len(source.values))
    given, choosing = _as_trained(test or source.test, source), _as_trained(source.validation, source)
    n_test = 0 if given or not held_out else max(1, round(held_out * len(order)))
    rest = len(order) - n_test
    n_validation = 0 if choosing or not validation else min(MOST_VALIDATION, max(1, round(validation * rest)))
    n_train = rest - n_validation
    if n_train < 2:
        raise DataError(
            f"Too few rows are left for training: the test takes {n_test} of {len(order)} rows, and validation takes {n_validation}",
            mend="Pass more rows, so that at least two are left",
        )
    sections = np.split(order, [n_test, n_test + n_validation])
    drawn, chosen, trained = (replace(all_rows(source), index=np.sort(s)) for s in sections)
    if choosing:
        chosen = all_rows(choosing).subset(MOST_VALIDATION if validation else 0, seed)
    return Split(trained, chosen, all_rows(given) if given else drawn)


def _as_trained(part: Source | None, source: Source) -> Source | None:
    """Match test or validation rows to the columns, channels and levels of the training rows."""
    if part is None:
        return None
    return part.in_order(source.columns).drawn_as(source.values.shape[1:], source.levels)
