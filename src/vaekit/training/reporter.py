"""Who is told how training goes; the library itself prints nothing."""

from __future__ import annotations

import logging
from typing import Protocol

logger = logging.getLogger("vaekit")


class Reporter(Protocol):
    """Told of choices, steps and validations."""

    def say(self, text: str) -> None:
        """A sentence for the user."""

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Training starts at `step` of `steps`."""

    def advance(self, step: int) -> None:
        """`step` steps are done."""

    def validated(self, row: dict[str, float]) -> None:
        """A row of metrics.csv."""

    def end(self) -> None:
        """Training is over, well or not."""


class SilentReporter:
    """Sends sentences to the logger `vaekit` and keeps quiet otherwise."""

    def say(self, text: str) -> None:
        """Log at level INFO."""
        logger.info(text)

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Nothing."""

    def advance(self, step: int) -> None:
        """Nothing."""

    def validated(self, row: dict[str, float]) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
