"""Ctrl-C and SIGTERM as requests: the loop finishes its step, saves its state and sends the signal again."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any, NoReturn

from vaekit.errors import Interrupted
from vaekit.processes import group

_caught: ContextVar[bool] = ContextVar("caught", default=True)


class Stop:
    """The signal that asked training to stop; 0 if there was none."""

    def __init__(self) -> None:
        self.signal = 0
        self.former: dict[int, Callable[[int, FrameType | None], Any] | int] = {}

    def __call__(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Record the signal, and restore the previous handler, so that a second signal takes effect at once.

        Several processes ignore a second signal, because it may reach some of them only: a launcher repeats what a terminal
        has sent, and ends processes that take too long.
        """
        self.signal = number
        signal.signal(number, self.former[number] if group.count() == 1 else signal.SIG_IGN)


@contextlib.contextmanager
def asked_to_stop() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a request that the loop answers after its step.

    Only the main thread may set handlers. In other threads this has no effect. A signal that the caller ignores
    stays ignored.
    """
    stop = Stop()
    for number in (signal.SIGINT, signal.SIGTERM) if _caught.get() else ():
        former = signal.getsignal(number)
        if former not in (signal.SIG_IGN, None):  # None: it was not set from Python and could not be restored
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
def leave_signals_alone() -> Iterator[None]:
    """Leave signal handlers unchanged while training uses a temporary folder, where a saved state would be lost."""
    token = _caught.set(False)
    try:
        yield
    finally:
        _caught.reset(token)


def hand_on(stopped: Interrupted) -> NoReturn:
    """Send the caught signal to the process again, after the state is saved.

    If SIGTERM has no handler, it ends the process. If a handler raises KeyboardInterrupt, as that of Ctrl-C does, our
    exception replaces it, because it says how to continue.

    Raises:
        Interrupted: if the process goes on.
    """
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(stopped.signal)
    raise stopped
