"""Ctrl-C and SIGTERM as requests: the loop ends its step, saves, and hands the signal on to whom it would have reached."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, NoReturn

from vaekit.errors import Interrupted

_heeded: ContextVar[bool] = ContextVar("heeded", default=True)


class Stop:
    """Whether, and by which signal, training was asked to stop."""

    def __init__(self) -> None:
        self.signal = 0
        self.former: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Note the signal; a second one does what it would have done without us."""
        self.signal = number
        signal.signal(number, self.former[number])


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that the loop heeds after its step.

    In the main thread only, for others may not set handlers. A signal that the caller ignores stays ignored.
    """
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM) if _heeded.get() else ():
        former = signal.getsignal(number)
        if former not in (signal.SIG_IGN, None):  # None was not set from Python, and could not be set again
            stop.former[number] = former
            with contextlib.suppress(ValueError):  # another thread
                signal.signal(number, stop)
    try:
        yield stop
    finally:
        for restored, handler in stop.former.items():
            with contextlib.suppress(ValueError):
                signal.signal(restored, handler)


@contextlib.contextmanager
def unheeded() -> Iterator[None]:
    """Let signals do what they do, where nothing that training saves would outlive it."""
    token = _heeded.set(False)
    try:
        yield
    finally:
        _heeded.reset(token)


def hand_on(stopped: Interrupted) -> NoReturn:
    """Send the signal again, now that the state is saved and the former handler is back.

    Where nobody handles SIGTERM, the process ends by it. A handler that raises KeyboardInterrupt, as that of Ctrl-C does,
    knows less than we do: our sentence takes its place.

    Raises:
        Interrupted: if the process goes on.
    """
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(stopped.signal)
    raise stopped
