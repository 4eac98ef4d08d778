"""Progress on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaekit.data.source import Progress as DecodingProgress
from vaekit.training import Reporter


def make_reporter() -> Reporter:
    """Return a reporter that draws a bar if standard error is a terminal, and writes lines otherwise."""
    console = Console(stderr=True, highlight=False)
    return BarReporter(console) if console.is_terminal else LineReporter()


def _figures(row: dict[str, float]) -> str:
    if row["kl_weight"] != row["kl_weight"]:  # an autoencoder has no bound
        return f"squared error {row['distortion']:.4g}"
    if row["elbo"] != row["elbo"]:  # nothing was held out to choose by
        return f"train bound {row['train_elbo']:.2f}"
    return f"bound {row['elbo']:.2f}  D {row['distortion']:.2f}  R {row['rate']:.2f}  active {row['active_units']:.0f}"


class Throughput:
    """A meter of the rows per second in training."""

    def begin(self, step: int, rows_per_step: int) -> None:
        """Start measuring time at a training step."""
        self.first, self.rows_per_step, self.start = step, rows_per_step, time.monotonic()

    def rate(self, step: int) -> float:
        """Return the rows trained per second since the start."""
        return (step - self.first) * self.rows_per_step / max(1e-9, time.monotonic() - self.start)


class LineReporter(Reporter):
    """A reporter that writes a line for every 10 % of the training steps."""

    def __init__(self) -> None:
        self.throughput, self.steps, self.shown = Throughput(), 1, 0

    def say(self, text: str) -> None:
        """Write a line to standard error."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Start measuring time, and store the number of training steps."""
        self.throughput.begin(step, rows_per_step)
        self.steps, self.shown = steps, 10 * step // steps

    def validated(self, row: dict[str, float]) -> None:
        """Write the validation metrics, at most once for every 10 % of the training steps."""
        step = int(row["step"])
        if 10 * step // self.steps > self.shown:
            self.shown = 10 * step // self.steps
            rate = self.throughput.rate(step)
            left = (self.steps - step) * self.throughput.rows_per_step / max(rate, 1e-9)
            self.say(f"{100 * step // self.steps:3d} %  {_figures(row)}  {rate:,.0f} rows/s  {left:.0f} s left")


class BarReporter(Reporter):
    """A reporter that draws a progress bar with validation metrics, rows per second and time left."""

    def __init__(self, console: Console) -> None:
        self.console, self.throughput = console, Throughput()
        self.bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TextColumn("{task.fields[rate]:,.0f} rows/s"),
            TimeRemainingColumn(),
            console=console,
            refresh_per_second=4,
        )

    def say(self, text: str) -> None:
        """Write a line above the progress bar."""
        self.console.print(text, markup=False)

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Show the progress bar."""
        self.throughput.begin(step, rows_per_step)
        self.task = self.bar.add_task("", total=steps, completed=step, figures="", rate=0.0)
        self.bar.start()

    def advance(self, step: int) -> None:
        """Move the progress bar to a step."""
        self.bar.update(self.task, completed=step, rate=self.throughput.rate(step))

    def validated(self, row: dict[str, float]) -> None:
        """Show the validation metrics in the progress bar."""
        self.bar.update(self.task, figures=_figures(row))

    def end(self) -> None:
        """Stop the progress bar, and leave it on the screen."""
        self.bar.stop()


@contextlib.contextmanager
def decoding_progress() -> Iterator[DecodingProgress]:
    """Yield a function that shows the number of decoded pictures in a progress bar."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("Decoding pictures"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bar.add_task("", total=None)

    def tell(done: int, total: int) -> None:
        if done == 1:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    try:
        yield tell
    finally:
        bar.stop()
