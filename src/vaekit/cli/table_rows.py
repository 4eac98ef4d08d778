"""The figures of a mixed table in a few lines, the worst columns first."""

from __future__ import annotations

from typing import Any

WORST = 5
"""Columns or pairs of columns in a line."""


def table_rows(tables: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures of a mixed table as pairs of texts.

    Args:
        tables: the figures, as `TableFigures.as_json` gives them.
    """
    known = [each for each in tables["marginals"] if each["cells"]]
    worst = sorted(known, key=lambda each: -each["distance"] / max(each["by_chance"], 1e-9))[:WORST]
    rows = [("columns furthest apart", "; ".join(_distance(each) for each in worst) or "–")]
    if (found := tables["associations"]) is not None:
        pairs = [f"{' × '.join(each['columns'])} {_values(each)}" for each in found["differences"][:WORST]]
        mean = f"V differs by {found['gap']:.3f} on average ({found['gap_by_chance']:.3f} by chance)"
        rows.append(("associations", "; ".join([mean, *pairs])))
    if hidden := [each for each in tables["hidden"] or () if each["cells"]]:
        rows.append(("hidden cells", _hidden(hidden)))
    return rows


def _distance(found: dict[str, Any]) -> str:
    return f"{found['column']} {found['distance']:.2f} ({found['by_chance']:.2f} by chance)"


def _values(found: dict[str, Any]) -> str:
    text = f"{found['held_out']:.2f} → {found['generated']:.2f}"
    ranks = (found["held_out_rank"], found["generated_rank"])
    return text if None in ranks else f"{text} (ranks {ranks[0]:.2f} → {ranks[1]:.2f})"


def _hidden(hidden: list[dict[str, Any]]) -> str:
    """Return how many columns are predicted better from the rest of their row than without it, and name the others."""
    others = [each["column"] for each in hidden if not each["is_predicted"]]
    text = f"{len(hidden) - len(others)} of {len(hidden)} columns are predicted better from the rest of their row"
    return text + (f"; not {', '.join(others[:WORST])}{' …' if len(others) > WORST else ''}" if others else "")
