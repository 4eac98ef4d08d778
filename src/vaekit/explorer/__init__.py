"""An explorer of a run in the browser: a map of codes, sliders of the latent space, conditions, and strange rows.

`Explorer` computes what is shown, and needs nothing but vaekit. The page is made with Panel (`pip install 'vaekit[explore]'`).
"""

from __future__ import annotations

import importlib
from typing import Any

from vaekit.errors import VaekitError
from vaekit.explorer.explorer import Dimension, Explorer
from vaekit.explorer.rows import MOST_ROWS
from vaekit.runs.run import Run

__all__ = ["Dimension", "Explorer", "explore", "serve"]


def explore(run: Run, X: object | None = None, most: int = MOST_ROWS) -> Any:
    """Return the page of an explorer as a Panel object, which a notebook shows.

    Args:
        run: the run.
        X: rows, as `Explorer` takes them.
        most: most rows that are shown.

    Raises:
        VaekitError: if Panel is not installed.
        DataError: if X does not fit the schema.
    """
    view = _import("vaekit.explorer.view")
    _import("panel").extension()
    return view.View(Explorer(run, X, most)).layout


def serve(run: Run, X: object | None = None, port: int = 0, most: int = MOST_ROWS) -> Any:
    """Return an `ExplorerServer` for a run, which does not serve pages before its `run` is called.

    Args:
        run: the run.
        X: rows, as `Explorer` takes them.
        port: the port, or 0 for a free one.
        most: most rows that are shown.

    Raises:
        VaekitError: if Panel is not installed, or the port is in use.
        DataError: if X does not fit the schema.
    """
    server = _import("vaekit.explorer.server")
    return server.ExplorerServer(Explorer(run, X, most), port)


def _import(name: str) -> Any:
    """Import a module that needs Panel, or raise an error with the command that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("panel", "bokeh", "param", "tornado"):
            raise
        fault = f"The package {error.name}, which the explorer needs, is not installed"
        raise VaekitError(fault, mend="Run: pip install 'vaekit[explore]'") from error
