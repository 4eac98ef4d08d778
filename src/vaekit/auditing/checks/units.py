"""Whether a figure has the units that it claims: densities of whole numbers, and bits per dimension."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from vaekit.auditing.check import Check, accuses
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject
from vaekit.data import SeedStream
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

MOST_LEVELS = 1024
"""Most different values that count as levels of a grid."""
CLOSE = 0.005
"""Greatest difference of published bits/dim, which are rounded to two decimals."""


class Units(Check):
    """Look for a density on values of a grid, and recompute a published figure in bits per dimension.

    A density at whole numbers is no probability, and it has no upper limit. The mean over uniform noise in the cells of
    the grid is a lower bound on the log-probability:

        log P(x) = log ∫ p(x + u) du ≥ E_u[log p(x + u)],   P in units of the grid's spacing

    References:
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016.
    """

    name = "units"
    question = "Is it a probability of the data as given, and is bits/dim computed from it?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield findings on densities of whole numbers, and on published figures that the rows do not give."""
        if subject.rows is None:
            yield self.skipped(
                "Units were not checked.", "`vaekit.audit(…, rows=…)` takes typical rows, such as test rows."
            )
            return
        rows = subject.rows[:256]
        if all(cell.real and not cell.values for cell in subject.space.cells):
            yield self._spread(subject, rows)
        yield from self._bits(subject)

    def _spread(self, subject: Subject, rows: Array) -> Verdict:
        """Compare the density of values on a grid with its mean over the cells around them."""
        spacing = grid_spacing(rows)
        if not spacing:
            return self.measured("The numbers of the rows are not on a grid, so a density is what they have.")
        rng = SeedStream.AUDIT_ROWS.rng(subject.seed, 4)
        own, repeats = subject.repeats(rows).mean(0), range(8)
        noise = [rng.random(rows.shape) * spacing for _ in repeats]
        inside = np.mean([subject.repeats(rows + u).mean(0) for u in noise], 0)
        around = np.mean([subject.repeats(rows + u - spacing / 2).mean(0) for u in noise], 0)
        excess = Estimate.of(own - max((inside, around), key=np.mean))
        told = f"The rows lie on a grid of spacing {spacing:.6g}, but log_prob is a density"
        if accuses(excess):
            text = f"{told}: at the values themselves it is higher than on average over their cells. Add uniform noise to the rows, or use a discrete likelihood."
            return self.found(text, excess)
        shift = len(subject.space.cells) * math.log(spacing)
        return self.measured(
            f"{told}; as a log-probability of the values add {shift:.4g} nats to its mean over their cells."
        )

    def _bits(self, subject: Subject) -> Iterator[Verdict]:
        """Recompute bits/dim from log p(x) of the rows."""
        if subject.bits_per_dim is None or subject.rows is None:
            needs = "`vaekit.audit(…, rows=…, bits_per_dim=…)` takes a figure and its rows."
            yield self.skipped("No figure in bits/dim was given to compare with.", needs)
            return
        size = len(subject.space.cells)
        mean = float(subject.repeats(subject.rows).mean())
        own, claim = -mean / (size * math.log(2)), subject.bits_per_dim
        told = f"log p(x) of the {len(subject.rows):,} rows gives {own:.4g} bits/dim over {size:,} dimensions"
        if abs(own - claim) <= CLOSE:
            yield self.measured(f"{told}, as published.")
            return
        reason = _explain(own, claim, subject)
        size_of_gap = Estimate(abs(own - claim) * size * math.log(2), None)
        yield self.found(f"{told}, not {claim:g}{reason}.", size_of_gap)


def grid_spacing(rows: Array) -> float:
    """Return the spacing of the grid on which all numbers of the rows lie, or 0 if there is none.

    Examples:
        >>> grid_spacing(np.array([[0.0, 2.0, 2.0], [0.0, 7.0, 2.0]])), grid_spacing(np.array([[0.1, 0.25], [3.7, 0.4]]))
        (1.0, 0.0)
    """
    values = np.unique(rows)
    if not 1 < len(values) <= MOST_LEVELS or len(values) > rows.size / 2:
        return 0.0
    for parts in (1, 2, 3):  # no two values may be neighbours on the grid
        spacing = float(np.diff(values).min()) / parts
        steps = (values - values[0]) / spacing
        if np.abs(steps - np.round(steps)).max() < 1e-3:
            return spacing
    return 0.0


def _explain(own: float, claim: float, subject: Subject) -> str:
    """Return what a published figure seems to be, as a clause; empty if no usual slip explains it."""
    levels, shape = len(subject.space.cells[0].values), subject.space.shape
    slips = {
        "nats, not bits": own * math.log(2),
        "bits for each row": own * len(subject.space.cells),
        "bits for each pixel of several channels": own * shape[-1] if len(shape) == 3 else math.nan,
        "the mean over the batch of a sum over log 2 twice": own / math.log(2),
    }
    if levels > 2:
        slips |= {
            "the figure of levels that were rescaled to [0, 1] without the log-determinant": own
            - math.log2(levels - 1),
            "the figure of levels that were rescaled to [−1, 1] without the log-determinant": own
            - math.log2((levels - 1) / 2),
        }
    return next((f"; that would be {what}" for what, value in slips.items() if abs(value - claim) <= CLOSE), "")
