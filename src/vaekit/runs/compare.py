"""Compare runs: their bounds, the differences between them, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vaekit import html
from vaekit.errors import RunError, VaekitError, shorten
from vaekit.evaluation import BoundFigures, Estimate, Figures
from vaekit.runs.load import load
from vaekit.runs.run import Run

MISSING = "–"


@dataclass(frozen=True, repr=False)
class Comparison:
    """Hold several runs with their figures.

    Args:
        names: a different name for each run.
        runs: the runs.
        figures: the figures of each run.
        paired: whether all runs were measured on the same rows, so that differences have an error of their own.
    """

    names: tuple[str, ...]
    runs: tuple[Run, ...]
    figures: tuple[Figures, ...]
    paired: bool

    def differences(self) -> list[Estimate | None]:
        """Return by how much each run is better than the first, in nats per example, with the paired standard error.

        It is the difference of log-likelihoods, or of negative squared errors of autoencoders; None if the runs were
        measured on different rows, or have different kinds of figures.
        """
        first = self.figures[0]
        alike = [self.paired and isinstance(each, type(first)) for each in self.figures]
        return [
            Estimate.of(each.measured.score - first.measured.score) if same else None
            for each, same in zip(self.figures, alike, strict=True)
        ]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the name of each figure or setting, and its value for each run as text; equal settings are left out."""
        found = [("measured on", *(each.rows()[0][1] for each in self.figures))]
        found.append(("log-likelihood, nats", *(_bound(each) for each in self.figures)))
        other = "other rows" if not self.paired else MISSING
        gains = [other if each is None else str(each) for each in self.differences()]
        found.append(("better than the first by", MISSING, *gains[1:]))
        found.append(("bits/dim", *(_number(getattr(each, "bits_per_dim", None), 4) for each in self.figures)))
        found += [
            (name.replace("_", " "), *(_number(getattr(each, name, None), 2) for each in self.figures))
            for name in ("elbo", "distortion", "rate", "train_elbo", "reconstruction_error")
        ]
        found.append(("active dimensions", *(f"{each.active_units} of {each.latent_dim}" for each in self.figures)))
        found.append(("parameters", *(f"{sum(p.numel() for p in run.model.parameters()):,}" for run in self.runs)))
        found.append(("best weights at step", *(f"{run.read_history().step:,}" for run in self.runs)))
        kept = [row for row in found if set(row[1:]) != {MISSING}]
        return kept + [(key, *map(_setting, values)) for key, values in self.settings().items()]

    def settings(self) -> dict[str, tuple[Any, ...]]:
        """Return the dotted keys of the recipes whose values differ, with the value of each run."""
        recipes = [dict(_flat(run.recipe.as_json())) for run in self.runs]
        keys = dict.fromkeys(key for recipe in recipes for key in recipe)
        found = {key: tuple(recipe.get(key) for recipe in recipes) for key in keys if key != "description"}
        return {key: values for key, values in found.items() if any(value != values[0] for value in values)}

    def as_table(self) -> pa.Table:
        """Return the comparison as an Arrow table with a row for each figure and a column for each run."""
        columns = list(zip(*self.rows(), strict=True))
        return pa.table({"": columns[0], **dict(zip(self.names, columns[1:], strict=True))})

    def __repr__(self) -> str:
        return "\n".join(html.aligned([("", *self.names), *self.rows()]))

    def _repr_html_(self) -> str:
        return html.table(("", *self.names), self.rows())


def compare(runs: Sequence[Run | str | Path], X: object | None = None, samples: int | None = None) -> Comparison:
    """Measure several runs, and compare them with the first.

        gain = mean of log p(x; second) − log p(x; first),   its error is that of the differences row by row

    Args:
        runs: two or more runs, or paths of run folders.
        X: rows to measure, as in `Run.evaluate`; by default the held-out rows of each run's own data.
        samples: number of draws K; each recipe's `evaluation.samples` by default.

    Returns:
        A record that prints as a table, in a notebook too.

    Raises:
        VaekitError: for fewer than two runs.
        RunError: if the runs cannot be compared.

    Examples:
        >>> import tempfile, vaekit
        >>> place, small = tempfile.mkdtemp(), {"training.epochs": 1, "evaluation.samples": 2}
        >>> runs = [
        ...     vaekit.train("digits", settings=small | {"latent_dim": size}, out=f"{place}/{size}") for size in (2, 4)
        ... ]
        >>> compare(runs).settings()
        {'latent_dim': (2, 4)}
    """
    if isinstance(runs, str | Path | Run):
        raise VaekitError("`runs` must be a list of runs", shorten(str(runs)), "Pass [first, second]")
    opened = [run if isinstance(run, Run) else load(run) for run in runs]
    if len(opened) < 2:
        raise VaekitError("`runs` must be two or more runs", f"{len(opened)}")
    for run in opened[1:]:
        check_comparable(opened[0], run)
    figures = [run.evaluate(X, samples) for run in opened]
    return Comparison(_names(opened), tuple(opened), tuple(figures), _same_rows(opened, figures, X))


def check_comparable(run: Run, beside: Run) -> None:
    """Raise a `RunError` if the results of two runs cannot be compared."""
    own, other = run.schema, beside.schema
    if run.reads_tables != beside.reads_tables:
        raise RunError(
            f"Only one of the two runs was trained on a mixed table: their data are {own.kind} and {other.kind}",
            mend="Choose a run on the same table",
        )
    if run.reads_tables and (unlike := set(own.columns) ^ set(other.columns)):
        raise RunError(
            f"The two runs model different columns: '{min(unlike)}' is in only one of them",
            mend="Choose a run that models the same columns",
        )
    if not run.reads_tables and own.shape != other.shape:
        raise RunError(
            f"The two runs were trained on examples of different shapes: {own.shape} and {other.shape}",
            mend="Choose a run on the same source",
        )
    if own.context != other.context:
        names = " and ".join(str([c.name for c in schema.context]) for schema in (own, other))
        raise RunError(
            f"The two runs are conditional on different columns, {names}, so their likelihoods cannot be compared",
            mend="Choose a run with the same data.context",
        )


def _same_rows(runs: Sequence[Run], figures: Sequence[Figures], X: object | None) -> bool:
    """Tell whether all runs were measured on the same rows."""
    if len({(each.examples, each.measured_on) for each in figures}) > 1:
        return False
    if figures[0].measured_on == "held-out":
        digests = {run.provenance.get("test_fingerprint") for run in runs}
        return len(digests) == 1 and digests != {None}
    return X is not None


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the names of the folders, or their paths if two have the same name."""
    names = tuple(run.folder.name for run in runs)
    return names if len(set(names)) == len(names) else tuple(f"{i + 1}: {run.path}" for i, run in enumerate(runs))


def _flat(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _bound(figures: Figures) -> str:
    return f"≥ {figures.log_likelihood}" if isinstance(figures, BoundFigures) else MISSING


def _number(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def _setting(value: Any) -> str:
    return MISSING if value is None else shorten(str(value))
