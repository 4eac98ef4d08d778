"""Reporters, which receive the progress of training. The library itself prints nothing."""

from __future__ import annotations

import logging

logger = logging.getLogger("vaekit")


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
