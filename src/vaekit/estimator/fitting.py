"""Helpers that fit an estimator."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from vaekit.data import Frame
from vaekit.processes.group import together, wait
from vaekit.recipe import load_recipe
from vaekit.training.signals import leave_signals_alone

SEEDS = 2**31 - 1


def draw_seed(random_state: Any) -> int:
    """Return the training seed for a scikit-learn `random_state`.

    Examples:
        >>> draw_seed(7)
        7
    """
    if isinstance(random_state, Integral):
        return int(random_state) % SEEDS
    return int(check_random_state(random_state).randint(SEEDS))


def complete_settings(
    recipe: Any, settings: Mapping[str, Any], own: Mapping[str, Any], rows: object, random_state: Any
) -> tuple[dict[str, Any], int | None]:
    """Return the settings and the seed with which an estimator trains.

    Args:
        recipe: the recipe, as `vaekit.train` takes it.
        settings: dotted keys and values.
        own: settings that replace these, unless they are None or "auto".
        rows: training rows; each column of a table is modelled by its kind, unless recipe or settings say otherwise.
        random_state: determines the seed; None leaves it to the recipe, if the recipe has one.

    Returns:
        Settings that by default hold out no rows, and the seed (None to use the recipe's).
    """
    chosen = {k: v.item() if isinstance(v, np.generic) else v for k, v in own.items() if v not in (None, "auto")}
    full = {"data.test": 0, **settings, **chosen}
    plan = load_recipe(recipe, full)
    is_open = plan.has_parts("likelihood") and plan.data.kind == "auto" and plan.likelihood.name == "auto"
    if is_open and (isinstance(rows, Frame) or (isinstance(rows, np.ndarray) and rows.ndim == 2)):
        full["data.kind"] = "mixed"
    has_seed = random_state is None and "seed" in plan.model_fields_set
    return full, None if has_seed else draw_seed(random_state)


@contextlib.contextmanager
def choose_folder(out: str | Path | None) -> Iterator[str | Path]:
    """Yield the folder to train in: `out`, or a temporary folder if `out` is None.

    Training in a temporary folder sets no signal handlers.
    """
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="vaekit-") as name, leave_signals_alone():
        yield Path(name) / "run"
        with together():  # other processes may still read the folder of the first
            wait()
