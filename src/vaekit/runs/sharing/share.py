"""Write the shared copy of a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vaekit.data import Rows
from vaekit.errors import DataError, at_least_one
from vaekit.evaluation import Estimate, Evaluator, Figures, MeasuredOn, measure
from vaekit.folder import (
    CARD,
    KNOWN,
    MANIFEST,
    NOT_SHARED,
    OUTLIERS,
    REPORT,
    ROW,
    SHARED,
    WEIGHTS,
    RunFolder,
    write_manifest,
)
from vaekit.runs.run import Run
from vaekit.runs.sharing.card import make_card
from vaekit.runs.sharing.plan import PRIVATE, Plan, count_rows
from vaekit.runs.sharing.record import NOTABLE, Item, ScoreChange, Sharing

MOST_MEASURED, MOST_TRAIN = 2000, 20_000
"""Most rows that are scored before and after, and most training rows for simple models."""
WHY = {
    KNOWN: "hashes of the training rows; the shared run cannot recognise them",
    OUTLIERS: "training rows; the shared run scores unusual rows by log p(x) alone",
    ROW: "a typical row and the categories of the data frame; the shared run returns Arrow tables",
    REPORT: "values of rows, and paths",
    "state": "the optimizer; the shared run cannot be trained further",
    "training.lock": "the process and the host that train the run",
    "vaekit": "the files of trackers",
}
"""What the files hold that are left out."""
ROWS: dict[MeasuredOn, str] = {"held-out": "held-out rows", "all": "rows of the data", "given": "given rows"}


@dataclass(frozen=True)
class _AtHand:
    """Hold the rows that scores are measured on before and after.

    Args:
        rows: the rows.
        train: training rows, for simple models.
        which: which rows these are.
    """

    rows: Rows
    train: Rows | None
    which: MeasuredOn


def share(
    run: Run,
    folder: str | Path,
    X: object | None = None,
    *,
    least_count: int | None = None,
    blunt: bool = True,
    license: str | None = None,  # noqa: A002 - as the Hub calls it
    address: str | None = None,
) -> Sharing:
    """Write a copy of a run that may leave the house; for the arguments see `Run.share`.

    Args:
        run: the run.
        folder: a new or empty folder.
        X: rows to measure.
        least_count: least number of rows of a value that is shared.
        blunt: whether extremes move inwards, and pseudo-inputs are replaced.
        license: the licence, for the model card.
        address: where the run will be, for the model card; the folder by default.
    """
    target = RunFolder(folder)
    target.check_free("folder")
    least = at_least_one(run.recipe.data.least_count if least_count is None else least_count, "least_count")
    at_hand = _open(run, X)
    counted = count_rows(run)
    _check_blunted(run, least)
    _check_counts(run, counted is not None, least)
    plan = Plan(run, least, blunt, counted)
    shared = plan.make(target)
    figures, change = _measure(run, shared, plan, at_hand)
    record = Sharing(
        folder=str(folder) if address is None else address,
        files=(),
        least_count=least,
        blunt=blunt,
        left_out=tuple(_left_out(run)),
        changed=tuple(plan.changed),
        remaining=tuple(plan.remaining),
        change=change,
        figures=figures,
    )
    card = make_card(shared, record, address or target.path.name, license)

    def write(made: RunFolder) -> None:
        history = run.read_history()
        made.write_metrics(history.validations)
        made.write_tensors(WEIGHTS, shared.model.state_dict(), {"step": str(history.step)})
        made.write(CARD, card)
        write_manifest(made)

    shared.write(target, write)
    return replace(record, files=tuple(name for name in (*SHARED, MANIFEST, CARD) if target.has(name)))


def _open(run: Run, X: object | None) -> _AtHand | None:
    """Return rows to measure; None if none were passed and the run's own cannot be read."""
    for which in ("held-out", "all"):
        try:
            rows, train, measured_on = run.to_measure(X, which)
        except DataError:
            if X is not None:
                raise
            continue
        some = Rows(rows.part.subset(MOST_MEASURED, run.recipe.seed), rows.transform, rows.seed)
        if train is not None:
            train = Rows(train.part.subset(MOST_TRAIN, run.recipe.seed), train.transform, train.seed)
        return _AtHand(some, train, measured_on)
    return None


def _check_counts(run: Run, counted: bool, least: int) -> None:
    """Refuse a number of rows that the run cannot count."""
    most = run.recipe.data.least_count
    listed = any(column.listed and (column.modelled or column.context) for column in run.schema.table)
    if not counted and listed and least > most:
        told = f"A run does not keep how many rows have each value, only which values fewer than {most} rows have, and its data are not at hand"
        raise DataError(told, mend=f"Pass the data that it was trained on, or use a least count of at most {most}")


def _check_blunted(run: Run, least: int) -> None:
    """Refuse to move the extremes of a shared run further inwards, because it does not tell how many rows lie beyond."""
    before = run.provenance.get("blunted", 0)
    if 0 < before < least:
        told = f"'{run.path}' was shared with least_count={before}, so its extremes cannot be moved further inwards"
        raise DataError(told, mend="Share the original run")


def _measure(run: Run, shared: Run, plan: Plan, at_hand: _AtHand | None) -> tuple[Figures | None, ScoreChange | None]:
    """Measure the shared run, and how the scores of the rows changed."""
    if at_hand is None:
        return None, None
    samples = run.recipe.evaluation.samples
    rows = plan.recode(at_hand.rows, shared.transform)
    train = None if at_hand.train is None else plan.recode(at_hand.train, shared.transform)
    found = Evaluator(shared.model, shared.schema, train, run.recipe.effective_beta).evaluate(rows, samples)
    figures = replace(found, measured_on=at_hand.which, training_rows=0 if at_hand.which == "held-out" else None)
    if not plan.changed:
        return figures, None
    before, after = measure(run.model, at_hand.rows, samples).score, found.measured.score
    difference = Estimate.of(after - before)
    change = ScoreChange(
        rows=len(rows),
        rows_from=ROWS[at_hand.which],
        before=float(before.mean()),
        after=float(after.mean()),
        difference=difference.value,
        error=difference.standard_error,
        affected=int(np.count_nonzero(np.abs(after - before) > NOTABLE)),
    )
    return figures, change


def _left_out(run: Run) -> list[Item]:
    """List the files of a run, and the keys in its files, that are not shared."""
    found = [Item(name, why) for name, why in WHY.items() if run.folder.has(name)]
    empty: tuple[Any, ...] = (None, [], "", NOT_SHARED)
    if keys := [key for key in PRIVATE if run.provenance.get(key) not in empty]:
        found.append(Item("provenance.json", f"the keys {', '.join(keys)}"))
    data = run.recipe.data
    texts = {"description": run.recipe.description, "reference": run.recipe.reference, "data.query": data.query}
    if keys := [key for key, text in texts.items() if text]:
        found.append(Item("recipe.toml", f"the keys {', '.join(keys)}"))
    if run.schema.table:
        found.append(Item("schema.json", "why each column has its kind, and the words for its missing cells"))
    return found
