"""Whether a row's log p(x) depends on the batch around it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vaekit.auditing.check import AGAIN, Check, compare
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import CallError, Subject, differences, rounding
from vaekit.data import SeedStream
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

ARRANGEMENTS = ("in pairs", "in another order", "beside other rows", "alone")
TRIES = 6
"""How often other rows are put beside the few rows; rejection sampling may use as much noise by chance, but not each time."""
FRESH = AGAIN // 2
"""How far the seeds of the other arrangement are from those of one batch."""


class Batches(Check):
    """Evaluate the same rows in batches of other sizes, in another order, and beside other rows."""

    name = "batch"
    question = "Is log p(x) of a row independent of the batch around it?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding for the arrangement that changes the values most."""
        worst = self._replace(subject)
        refused, exact = "", subject.repeatable
        for how in ARRANGEMENTS:
            try:
                size, guilty = self._compare(subject, how)
            except CallError as error:
                refused = f"Rows {how} were refused: {error}"
                continue
            exact &= size.value == 0
            if guilty and (worst is None or size.value > worst[0].value):
                worst = size, how
        if worst is not None:
            text = f"A row's log p(x) depends on the batch around it: {worst[1]}, it is not what it is in one batch."
            yield self.found(text, worst[0])
        else:
            told = f"{len(subject.few)} rows have the same log p(x) in one batch, {', '.join(ARRANGEMENTS)}"
            within = f", within the error of {subject.seeds} seeds" if subject.random and not exact else ""
            yield self.measured(f"{told}{within}.")
        if refused:
            yield self.skipped(refused, "Let the function take a single row.")

    def _replace(self, subject: Subject) -> tuple[Estimate, str] | None:
        """Exchange every second row, and keep the noise: a change of the others needs no statistics to accuse.

        If the generators are ever left in another state, the amount of noise depends on the rows, as in rejection sampling.
        Then the noise of a row may be another one, and nothing follows.
        """
        if not subject.repeatable:
            return None
        rng, worst = SeedStream.AUDIT_ROWS.rng(subject.seed, 2), 0.0
        for seed in range(TRIES):
            others = subject.space.draw(len(subject.few), rng)
            others[1::2] = subject.few[1::2]
            (before, left), (after, also_left) = (subject.values_and_state(X, seed) for X in (subject.few, others))
            if left != also_left:
                return None
            apart = np.abs(differences(after, before))[1::2]
            worst = max(worst, float(np.where(apart > rounding(before)[1::2], apart, 0.0).max(initial=0.0)))
        return (Estimate(worst, None), "with the same noise and other rows beside it") if worst else None

    def _compare(self, subject: Subject, how: str) -> tuple[Estimate, bool]:
        """Compare log p(x) of the few rows in one batch with that in another arrangement."""
        together, arranged = subject.values(subject.few), _arranged(subject, how)
        if subject.repeatable and (np.abs(differences(arranged, together)) <= rounding(together)).all():
            return Estimate(0.0, None), False  # noise that belongs to the rows, or no noise

        def other(first: int) -> Array:
            return np.stack([_arranged(subject, how, first + FRESH + s) for s in range(subject.seeds)])

        return compare(lambda first: subject.repeats(subject.few, first), other)


def _arranged(subject: Subject, how: str, seed: int = 0) -> Array:
    """Return log p(x) of the few rows in another arrangement, in their own order."""
    rows, rng = subject.few, SeedStream.AUDIT_ROWS.rng(subject.seed, 2)
    order = rng.permutation(len(rows))
    if how == "alone":
        return subject.values(rows, seed, 1)
    if how == "beside other rows":
        others = subject.space.draw(len(rows), rng)
        mixed = np.stack([rows, others], 1).reshape(-1, *rows.shape[1:])
        return subject.values(mixed, seed)[::2]
    found = np.empty(len(rows))
    found[order] = subject.values(rows[order], seed, 2 if how == "in pairs" else len(rows))
    return found
