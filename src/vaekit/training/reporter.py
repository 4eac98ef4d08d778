"""Progress of training for whoever wants it; the library itself prints nothing."""

from __future__ import annotations

import logging

logger = logging.getLogger("vaekit")


class Reporter:
    """Receives sentences, steps and validations. A subclass overrides what it wants to know.

    Examples:
        >>> class Lines(Reporter):
        ...     def validated(self, row):
        ...         print(row["step"], row["elbo"])
    """

    def say(self, text: str) -> None:
        """Receive a sentence for the user; by default it goes to the logger `vaekit` at level INFO."""
        logger.info(text)

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:
        """Training starts at step `step` of `steps`."""

    def advance(self, step: int) -> None:
        """Step `step` is done."""

    def validated(self, row: dict[str, float]) -> None:
        """A validation is done; `row` holds its figures, as a row of metrics.csv."""

    def end(self) -> None:
        """Training has ended, with or without an error."""
