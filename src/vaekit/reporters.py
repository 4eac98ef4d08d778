"""Progress: a bar where a person watches (a terminal or a notebook), and reporters of training.

`Reporter` is what training tells; `BarReporter` draws it, `LineReporter` writes lines. `track` draws a bar for any other
work of more than two seconds. Where nobody watches, the library prints nothing.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from vaekit.processes import leads

logger = logging.getLogger("vaekit")
PATIENCE = 2.0
"""Seconds before a bar appears."""
SEARCHES = ("joblib", "sklearn.model_selection")
"""Modules that call the library many times, so that a bar for each call would be noise."""


class _Depth(threading.local):
    """How many `quiet` blocks this thread is in."""

    blocks = 0


_QUIET = _Depth()


class Reporter:
    """Receive the messages, steps and validations of training. A subclass overrides the methods that it needs.

    Examples:
        >>> class Lines(Reporter):
        ...     def validated(self, row):
        ...         print(row["step"], row["elbo"])
    """

    def say(self, text: str) -> None:
        """Receive a sentence for the user; by default it goes to the logger `vaekit` at level INFO."""
        logger.info(text)

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Receive the start of training, at step `step` of `steps`."""

    def advance(self, step: int) -> None:
        """Receive the end of step `step`."""

    def validated(self, row: dict[str, float]) -> None:
        """Receive the figures of a validation; `row` is a row of metrics.csv."""

    def end(self) -> None:
        """Receive the end of training, with or without an error."""


class Mute(Reporter):
    """Tell nobody anything: for the processes that do not speak for all."""

    def say(self, text: str) -> None:
        """Do nothing."""


class BarReporter(Reporter):
    """Draw a progress bar with the figures of the last validation, rows per second and time left."""

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Show the bar."""
        self.step, self.rows_per_step = step, rows_per_step
        first, last = step * rows_per_step, steps * rows_per_step
        self.bar = make_bar(initial=first, total=last, unit=" rows", unit_scale=True, desc="training")

    def say(self, text: str) -> None:
        """Write a sentence above the bar."""
        with _without_bars():
            sys.stderr.write(text + "\n")

    def advance(self, step: int) -> None:
        """Move the bar to a step."""
        self.bar.update((step - self.step) * self.rows_per_step)
        self.step = step

    def validated(self, row: dict[str, float]) -> None:
        """Show the figures of a validation beside the bar."""
        self.bar.set_postfix_str(describe_validation(row), refresh=False)

    def end(self) -> None:
        """Leave the bar where it is."""
        self.bar.close()


class LineReporter(Reporter):
    """Write a line to standard error for every 10 % of the training steps."""

    def say(self, text: str) -> None:
        """Write a sentence."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Start measuring time."""
        self.first, self.rows_per_step, self.start = step, rows_per_step, time.monotonic()
        self.steps, self.shown = steps, 10 * step // steps

    def validated(self, row: dict[str, float]) -> None:
        """Write the figures of a validation, at most once for every 10 % of the steps."""
        step = int(row["step"])
        if 10 * step // self.steps > self.shown:
            self.shown = 10 * step // self.steps
            rate = (step - self.first) * self.rows_per_step / max(1e-9, time.monotonic() - self.start)
            left = (self.steps - step) * self.rows_per_step / max(rate, 1e-9)
            figures = describe_validation(row)
            self.say(f"{100 * step // self.steps:3d} %  {figures}  {rate:,.0f} rows/s  {left:.0f} s left")


def describe_validation(row: dict[str, float]) -> str:
    """Return the figures of a validation as a short text."""
    if row["kl_weight"] != row["kl_weight"]:  # an autoencoder has no bound
        return f"squared error {row['distortion']:.4g}"
    if row["elbo"] != row["elbo"]:  # nothing was held out to choose by
        return f"train bound {row['train_elbo']:.2f}"
    return f"bound {row['elbo']:.2f}  D {row['distortion']:.2f}  R {row['rate']:.2f}  active {row['active_units']:.0f}"


def choose_reporter(progress: bool | None = None) -> Reporter:
    """Return a reporter that draws a bar if a person watches, and one that only logs otherwise.

    Args:
        progress: whether to draw a bar; by default `is_watched` decides.
    """
    return BarReporter() if (is_watched() if progress is None else progress) else Reporter()


def make_reporter() -> Reporter:
    """Return a reporter for the command line: a bar in a terminal, lines elsewhere."""
    return BarReporter() if is_watched() else LineReporter()


def is_watched() -> bool:
    """Tell whether a person watches: in a terminal or a notebook, but not within a search of scikit-learn or in joblib."""
    if _QUIET.blocks or not leads() or not (in_notebook() or in_terminal()):
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(SEARCHES):
            return False
        frame = frame.f_back
    return True


def in_terminal() -> bool:
    """Tell whether standard error is shown in a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def in_notebook() -> bool:
    """Tell whether the code runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


@contextmanager
def quiet() -> Iterator[None]:
    """Draw no bars in a `with` block.

    Examples:
        >>> with quiet():
        ...     is_watched()
        False
    """
    _QUIET.blocks += 1
    try:
        yield
    finally:
        _QUIET.blocks -= 1


@contextmanager
def track(total: int, what: str = "rows") -> Iterator[Callable[[int], object]]:
    """Draw a bar for some work if a person watches and it takes more than two seconds.

    Args:
        total: the amount of work.
        what: its unit.

    Returns:
        A context, which gives a function to call with the amount of work that was done since the last call.

    Examples:
        >>> with track(100) as advance:
        ...     for _ in range(10):
        ...         _ = advance(10)
    """
    if not is_watched():
        yield lambda _: None
        return
    with quiet():  # work within this work has no bar of its own
        bar = make_bar(total=total, unit=f" {what}", unit_scale=True, delay=PATIENCE, leave=False)
        try:
            yield bar.update
        finally:
            bar.close()


def make_bar(**options: Any) -> Any:
    """Return tqdm's bar for a terminal or a notebook."""
    with without_warnings():
        import tqdm.auto

        kind = tqdm.auto.tqdm if in_notebook() else tqdm.tqdm
        return kind(file=sys.stderr, dynamic_ncols=True, mininterval=0.25, **options)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence tqdm's warning that a notebook has no widgets, while tqdm or a package that uses it is imported.

    Such a notebook has bars of text.
    """
    import tqdm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tqdm.TqdmWarning)
        yield


def _without_bars() -> Any:
    import tqdm

    return tqdm.tqdm.external_write_mode(file=sys.stderr)
