"""Ctrl-C and SIGTERM as requests: the loop ends its step, saves, and says how to go on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Whether, and by which signal, training was asked to stop."""

    signal: int = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note the signal; a second one ends the process as usual."""
        self.signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that the loop heeds after its step (in the main thread only)."""
    stop, before = Stop(), {}
    with contextlib.suppress(ValueError):  # other threads may not set handlers
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
