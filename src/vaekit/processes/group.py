"""What several processes do together: share rows, add tensors, and wait for the first of them.

Everything here is for the processes that are in a `together` block at the same time; all must do the same things in the
same order. Outside such a block, and in a single process, there is one process with all rows.
"""

from __future__ import annotations

import atexit
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed

from vaekit import errors
from vaekit.errors import TrainingError, VaekitError
from vaekit.processes.launch import is_launched, local_place, restarts

T = TypeVar("T")
PATIENCE = timedelta(minutes=5)
"""How long a process waits for the others within a step, a validation or the writing of a file."""
REST = 0.2
"""Seconds for threads to come to rest before Python ends."""
PAUSE = 0.02
"""Seconds between two looks whether the first process has done its work."""


@dataclass
class _Group:
    """The processes that work together.

    Args:
        rank: number of this process, from 0.
        count: number of processes.
        told: how many times the first process has told the others something.
    """

    rank: int = 0
    count: int = 1
    told: int = field(default=0, compare=False)


_ALONE = _Group()
_joined: _Group | None = None
_active = _ALONE


@contextmanager
def together() -> Iterator[None]:
    """Let the processes that were launched together share the work in a `with` block.

    Training does so by itself. Measuring does so within this block: each process then measures a share of the rows, and all
    get the figures of all rows. In a single process the block changes nothing.

    Raises:
        TrainingError: if the processes do not find each other, or one of them ends within the block.

    Examples:
        >>> with together():
        ...     rank(), count(), share(10)
        (0, 1, slice(0, 10, None))
    """
    global _active
    former, _active = _active, _join()
    try:
        yield
    finally:
        _active = former


@contextmanager
def _alone() -> Iterator[None]:
    """Work without the other processes in a `with` block."""
    global _active
    former, _active = _active, _ALONE
    try:
        yield
    finally:
        _active = former


def _join() -> _Group:
    """Return the group of the processes that were launched together; the first call makes them find each other."""
    global _joined
    if _joined is None and (is_launched() or distributed.is_initialized()):
        if not distributed.is_initialized():
            _find_each_other()
        _joined = _Group(distributed.get_rank(), distributed.get_world_size())
    return _joined or _ALONE


def _find_each_other() -> None:
    with _answered():
        store, number, size = next(distributed.rendezvous("env://", timeout=PATIENCE))  # type: ignore[attr-defined]
        # a launcher keeps its store, in which the addresses of processes before a restart still stand
        store = distributed.PrefixStore(f"vaekit/{restarts()}", store)  # type: ignore[attr-defined]
        distributed.init_process_group(_backend(), store=store, rank=number, world_size=size, timeout=PATIENCE)
    atexit.register(_leave)


def _backend() -> str:
    """Return the backend: nccl for graphics cards if each process has its own, gloo otherwise."""
    place, beside = local_place()
    if not torch.cuda.is_available() or torch.cuda.device_count() < beside:
        return "gloo"
    torch.cuda.set_device(place)
    return "cpu:gloo,cuda:nccl"


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
        # Modules of torch that were imported meanwhile may keep the group, and its threads, alive. They need Python to let
        # go of the last tensors; a thread that asked for Python while it ends would abort the process.
        time.sleep(REST)


@contextmanager
def _answered() -> Iterator[None]:
    """Turn the error of a process that does not answer into a `TrainingError`."""
    try:
        yield
    except RuntimeError as error:  # also of torch.distributed
        raise TrainingError(
            "Another process of this training has ended, or does not answer",
            mend="See what it said, and continue with `resume=`",
        ) from error


def rank() -> int:
    """Return the number of this process, from 0."""
    return _active.rank


def count() -> int:
    """Return how many processes work together."""
    return _active.count


def share(rows: int) -> slice:
    """Return which of some rows this process takes: neighbouring rows, as many as the others or one more or less."""
    return slice(rows * rank() // count(), rows * (rank() + 1) // count())


def add(tensors: Sequence[Tensor]) -> None:
    """Add tensors over all processes, in place; all processes get the same bits."""
    if count() == 1 or not tensors:
        return
    whole = torch.cat([tensor.flatten() for tensor in tensors])
    with _answered():
        distributed.all_reduce(whole)
    for tensor, part in zip(tensors, whole.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def greatest(number: int) -> int:
    """Return the greatest of the numbers of all processes."""
    if count() == 1:
        return number
    found = torch.tensor(number)
    with _answered():
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return int(found)


def wait() -> None:
    """Wait until all processes are here."""
    greatest(0)


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes in their order; gradients flow back to the process that each row came from.

    Args:
        rows: rows of this process, shape (b, ...); the processes may have different numbers of rows.

    Returns:
        Shape (Σ b, ...), the same in all processes.
    """
    return rows if count() == 1 else cast(Tensor, _Gathered.apply(rows))  # type: ignore[no-untyped-call]


def own_rows(whole: Tensor) -> Tensor:
    """Return this process's share of the rows of a whole batch, shape (B, ...)."""
    return whole[share(len(whole))]


def of_first(drawn: Tensor) -> Tensor:
    """Return the tensor of the first process, such as random numbers that must be the same in all processes."""
    if count() > 1:
        drawn = drawn.clone() if rank() == 0 else torch.zeros_like(drawn)
        add([drawn])
    return drawn


class _Gathered(torch.autograd.Function):
    """The rows of all processes; the gradient of a row is the sum of its gradients in all processes."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        """Return all rows."""
        counts = torch.zeros(count(), dtype=torch.int64)
        counts[rank()] = len(rows)
        add([counts])
        start = int(counts[: rank()].sum())
        context.own = slice(start, start + len(rows))
        whole = rows.new_zeros(int(counts.sum()), *rows.shape[1:])
        whole[context.own] = rows
        add([whole])
        return whole

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient of this process's rows."""
        gradient = gradient.clone()
        add([gradient])
        return gradient[context.own]


def from_first(make: Callable[[], str]) -> str:
    """Return what the first process makes, in all processes; the others wait for it as long as it takes.

    Args:
        make: called in the first process only, which works alone meanwhile.

    Raises:
        VaekitError: in all processes, if it is raised in the first.
        TrainingError: in the others, if the first process ends with another error.
    """
    if count() == 1:
        return make()
    _active.told += 1
    store = distributed.distributed_c10d._get_default_store()
    key = f"vaekit/{_active.told}"
    if rank() == 0:
        return _tell(make, store, key)
    with _answered():
        while not store.check([key]):  # a look at a time, so that signals are answered
            time.sleep(PAUSE)
        told = json.loads(store.get(key))
    wait()
    if "error" in told:
        error: VaekitError = getattr(errors, told["error"], VaekitError)(*told["text"])
        error.told = True
        raise error
    return str(told["value"])


def _tell(make: Callable[[], str], store: Any, key: str) -> str:
    """Make something, and tell the other processes what it is, or why it could not be made."""
    told: dict[str, Any] = {"error": "TrainingError", "text": ["The first process has ended with an error"]}
    failure: VaekitError | None = None
    try:
        with _alone():
            told = {"value": make()}
    except VaekitError as error:
        failure = error
        told = {"error": type(error).__name__, "text": [error.must, error.given, error.mend]}
    finally:
        store.set(key, json.dumps(told))
    wait()  # until all have read it
    if failure is not None:
        raise failure
    return str(told["value"])


def in_turn(make: Callable[[], T]) -> T:
    """Return what each process makes by itself, the first before all others; if it fails, all fail."""
    made: list[T] = []

    def keep() -> str:
        made.append(make())
        return ""

    from_first(keep)
    if made:
        return made[0]
    with _alone():
        return make()
