"""The record of all figures of calibration, with a verdict on each in words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from vaekit.evaluation.calibration.cells import CellCalibration, GroupCoverage
from vaekit.evaluation.calibration.coverage import Coverage
from vaekit.evaluation.calibration.errors import StandardErrors
from vaekit.evaluation.calibration.simulation import Simulation
from vaekit.evaluation.calibration.uniformity import Uniformity
from vaekit.evaluation.record import Record

ERRORS, TOLERANCE = 2.5, 0.02
"""A coverage is off if it differs from its level by more than so many standard errors, and by more than this share."""
MATERIAL = 0.05
"""Distributions whose positions are this far from uniform are named."""
LEAST_ERROR = 0.02
"""Expected calibration errors below this do not matter."""
LOW = 0.1
"""A coverage of standard errors that is lower than its level by this much is named."""
NAMED = 5
"""Most columns that are named."""

About = Literal[
    "intervals",
    "sets",
    "columns",
    "probabilities",
    "posterior",
    "encoder",
    "errors over test sets",
    "errors over seeds",
]


@dataclass(frozen=True)
class Verdict(Record):
    """Hold what a figure of calibration means.

    Args:
        about: what is judged.
        level: `good`, `note` or `warning`.
        text: the verdict, in one or two sentences.
    """

    about: About
    level: Literal["good", "note", "warning"]
    text: str


@dataclass(frozen=True)
class Calibration(Record):
    """Hold the calibration of a model.

    Args:
        cells: coverage of hidden cells of a mixed table, for each way of hiding; empty for other data.
        recalibrated_rows: rows from which the levels of intervals were recalibrated; 0 if they are the model's own.
        posterior: simulation-based calibration, on rows drawn from the model.
        errors: coverage of the standard errors of log p(x); None for fewer than two rows.
        verdicts: what the figures mean.
    """

    cells: tuple[CellCalibration, ...]
    recalibrated_rows: int
    posterior: Simulation
    errors: StandardErrors | None
    verdicts: tuple[Verdict, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """Return the lines that `vaekit evaluate` prints, each as a name and a text."""
        found = []
        for cells in self.cells:
            parts = [
                f"{what} {', '.join(map(str, group.returned))}"
                for what, group in (("numbers", cells.numbers), ("categories", cells.categories))
                if group is not None
            ]
            found.append((f"coverage, hidden {cells.hidden}", "; ".join(parts)))
        weighted, encoder = (Simulation.worst(each) for each in (self.posterior.weighted, self.posterior.encoder))
        draws = f"{self.posterior.samples} weighted draws are worth {self.posterior.effective:.0f}"
        found.append(("posterior", f"{_fault(weighted)}; {draws}"))
        found.append(("encoder, without weights", _fault(encoder)))
        if self.errors is not None:
            both = (("resampled test sets", self.errors.test_sets), ("pairs of seeds", self.errors.over_seeds))
            parts = [f"{100 * shares[1]:.0f} % of {what}" for what, shares in both if shares]
            found.append(("standard errors", f"90 % intervals of log p(x) are right in {' and '.join(parts)}"))
        return found


def _fault(found: Uniformity) -> str:
    return f"{found.fault}, judged by {found.name}" if found.fault else "calibrated"


def judge_calibration(found: Calibration) -> Iterator[Verdict]:
    """Yield what figures of calibration mean."""
    for cells in found.cells:
        yield from _judge_cells(cells, found.recalibrated_rows)
    yield from _judge_posterior(found.posterior)
    if found.errors is not None:
        yield from _judge_errors(found.errors)


def _judge_cells(found: CellCalibration, calibrated: int) -> Iterator[Verdict]:
    how = f"cells hidden {found.hidden}"
    if found.numbers is not None:
        yield _judge_group("intervals", "numbers", found.numbers, how, calibrated)
    if found.categories is not None:
        yield _judge_group("sets", "categories", found.categories, how, calibrated)
    known = [each.positions for each in found.columns if each.positions is not None]
    faults = [each for each in known if each.fault and each.distance > MATERIAL]
    faults.sort(key=lambda each: -each.distance)
    if faults:
        named = "; ".join(f"'{each.name}' is {_in_columns(found, each)}" for each in faults[:NAMED])
        more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
        yield Verdict(
            "columns", "warning", f"The model's distribution of a cell given its row is wrong ({how}): {named}{more}."
        )
    elif known:
        yield Verdict(
            "columns", "good", f"The model's distributions of single cells fit in all {len(known)} columns ({how})."
        )
    if (shares := found.reliability) is not None:
        off = shares.error > max(LEAST_ERROR, 2 * shares.by_chance)
        sure = (
            sum(n * (c - a) for n, c, a in zip(shares.counts, shares.confidence, shares.accuracy, strict=True) if n) > 0
        )
        text = f"the expected calibration error is {shares.error:.3f}, by chance {shares.by_chance:.3f} ({how})"
        kind = f"Categories are {'less' if sure else 'more'} often right than their probability says: "
        told = f"{kind}{text}." if off else f"Probabilities of categories hold: {text}."
        yield Verdict("probabilities", "warning" if off else "good", told)


def _in_columns(found: CellCalibration, each: Uniformity) -> str:
    """Return the fault of a column in words; positions of values without order say only how sure the model is."""
    kind = next(column.kind for column in found.columns if column.column == each.name)
    if kind in ("binary", "categorical"):
        return f"too {'sure' if each.shift > 0 else 'unsure'} (off by {each.distance:.2f})"
    return each.fault


def _judge_group(about: About, what: str, group: GroupCoverage, how: str, calibrated: int) -> Verdict:
    chosen = group.returned[1]
    off = [each for each in group.returned if _is_off(each, calibrated)]
    if not off:
        return Verdict(
            about, "good", f"{about.capitalize()} of level 90 % hold {_share(chosen)} of hidden {what} ({how})."
        )
    worst = chosen if chosen in off else off[0]
    narrow = worst.share < worst.level
    kind = ("narrow" if about == "intervals" else "small") if narrow else ("wide" if about == "intervals" else "large")
    only = "only " if narrow else ""
    text = f"{about.capitalize()} of level {100 * worst.level:g} % hold {only}{_share(worst)} of hidden {what}: they are too {kind} ({how})."
    return Verdict(about, "warning", text)


def _is_off(found: Coverage, calibrated: int) -> bool:
    """Tell whether a coverage is off; levels that come from few rows are uncertain, too."""
    from_rows = found.level * (1 - found.level) / calibrated if calibrated else 0.0
    return abs(found.share - found.level) > max(ERRORS * math.hypot(found.error, from_rows**0.5), TOLERANCE)


def _share(found: Coverage) -> str:
    return f"{100 * found.share:.1f} ± {100 * found.error:.1f} %"


def _judge_posterior(found: Simulation) -> Iterator[Verdict]:
    weighted, encoder = found.worst(found.weighted), found.worst(found.encoder)
    size = f"{found.effective:.0f} effective draws of {found.samples}"
    if weighted.fault and weighted.distance > MATERIAL:
        text = f"The importance-weighted posterior is {weighted.fault} ({weighted.name}), with {size}."
        yield Verdict("posterior", "warning", f"{text} More draws (samples) may mend it.")
    else:
        yield Verdict("posterior", "good", f"The importance-weighted posterior is that of the model ({size}).")
    if encoder.fault and encoder.distance > MATERIAL:
        text = f"The encoder's q alone is not the posterior: it is {encoder.fault} ({encoder.name})"
        mended = not weighted.fault or weighted.distance <= MATERIAL
        yield Verdict("encoder", "note", f"{text}, which the weights {'correct' if mended else 'do not correct'}.")
    else:
        yield Verdict("encoder", "good", "The encoder's q alone is close to the posterior.")


def _judge_errors(found: StandardErrors) -> Iterator[Verdict]:
    for about, over, shares, cause in (
        ("errors over test sets", "resampled test sets", found.test_sets, "a few rows dominate the mean"),
        (
            "errors over seeds",
            "seeds of the noise",
            found.over_seeds,
            f"rows have {found.effective:.0f} effective draws of {found.samples}",
        ),
    ):
        if not shares:
            continue
        off = shares[1] < found.levels[1] - LOW
        text = f"Intervals of 90 % of log p(x) hold in {100 * shares[1]:.0f} % of {over}"
        told = f"{text}: standard errors are too small, as {cause}." if off else f"{text}."
        yield Verdict(about, "warning" if off else "good", told)  # type: ignore[arg-type]
