"""Show whether a model of a mixed table gives away its training rows, and say what each measure means."""

from __future__ import annotations

import math

from vaekit.evaluation.tables import Privacy
from vaekit.plots.numbers import percent
from vaekit.report.panel import Grid, Meter, Panel, Section

NO_PROOF = (
    "These measures can show that rows leak; they cannot prove that none does. A proof needs training with differential "
    "privacy, which vaekit does not have."
)


def privacy_section(found: Privacy, whose: str) -> Section:
    """Compare generated rows, training rows and held-out rows.

    Args:
        found: the measures.
        whose: a sentence on which run the generated rows come from; empty for a single run.
    """
    text = (
        f"{found.rows:,} generated rows, as many held-out rows and as many training rows. Held-out rows come from the same "
        "population as training rows, but the model has not seen them. So a model that treats the two differently has "
        f"memorised something of single rows. {NO_PROOF}{whose}"
    )
    head = ["measure", "this model", "without memorised rows", "in words"]
    grid = Grid(head, [_nearer_row(found), _copies_row(found), _membership_row(found)])
    return Section("Privacy", [Panel("", "", grid=grid, wide=True)], text)


def _nearer_row(found: Privacy) -> list[str | Meter]:
    value = Meter(_with_error(found.nearer, found.nearer_error), found.nearer, bad=found.is_nearer)
    words = (
        "Generated rows are nearer to training rows than chance explains: the model repeats some of them, or parts of them."
        if found.is_nearer
        else "Up to chance, generated rows are as near to rows that the model has not seen."
    )
    usual = (
        f" The usual distance to the closest training row is {found.distance:.2f} for generated rows and "
        f"{found.distance_held_out:.2f} for held-out rows."
    )
    return ["Generated rows nearer to a training row than to a held-out row", value, "50 %", words + usual]


def _copies_row(found: Privacy) -> list[str | Meter]:
    value = Meter(percent(found.copies), found.copies, bad=found.has_copies)
    if found.has_copies:
        words = "More generated rows than held-out rows are equal to a training row: some were copied."
    elif found.copies:
        words = "Some generated rows are equal to a training row, as some held-out rows are: such rows are common."
    else:
        words = "No generated row is equal to a training row."
    return [
        "Generated rows equal to a training row",
        value,
        f"{percent(found.copies_held_out)} of held-out rows",
        words,
    ]


def _membership_row(found: Privacy) -> list[str | Meter]:
    value = Meter(_with_error(found.membership, found.membership_error), found.membership, bad=found.tells_members)
    words = (
        f"Someone who has the model and a training row and a held-out row can tell by log p(x) which is which in "
        f"{percent(found.membership)} of the cases. Less training, or a smaller model, makes this harder."
        if found.tells_members
        else "Up to chance, the likelihood of a row does not show whether the model was trained on it."
    )
    return ["Training rows with a higher log p(x) than a held-out row (AUC)", value, "50 %", words]


def _with_error(share: float, error: float) -> str:
    return percent(share) if math.isnan(error) else f"{percent(share)}\u00a0±\u00a0{100 * error:.1f}"
