"""The function that is audited: it is called on batches of rows with fixed noise, and what it returns is checked."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vaekit.auditing.record import Finding
from vaekit.auditing.space import Space
from vaekit.data import SeedStream, seeded
from vaekit.errors import VaekitError, shorten
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]
LogProb = Callable[..., Any]

BATCH = 256
"""Rows in a batch."""
FEW = 16
"""Rows on which properties of single rows are checked."""
EVALUATIONS = 1 << 17
"""Rows that one sum evaluates, by default at most."""
SEEDS = 16
"""Seeds of the noise of a random bound."""
ROUNDING = 1e-5
"""Relative error of log p(x) that single precision can explain."""
RAISED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""The exceptions by which a function refuses rows."""


class CallError(VaekitError, ValueError):
    """The audited function raised an exception, or returned something other than one number for each row."""


@contextmanager
def fixed_noise(seed: int) -> Iterator[None]:
    """Seed the global generators of torch, NumPy and Python within a `with` block, and restore their states afterwards."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the audited function may draw from it
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        with seeded(seed):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def generator_state() -> bytes:
    """Return the states of the global generators of torch, NumPy and Python as bytes."""
    _, numbers, position, *_ = np.random.get_state()  # noqa: NPY002
    own = bytes(np.asarray(numbers)) + repr((position, random.getstate())).encode()
    return own + torch.get_rng_state().numpy().tobytes()


def rounding(values: Array) -> Array:
    """Return how much each log p(x) may be off because of single precision, in nats."""
    return ROUNDING * (1 + np.abs(np.where(np.isfinite(values), values, 0.0)))


def differences(a: Array, b: Array) -> Array:
    """Return a − b; it is 0 where both are −∞."""
    with np.errstate(invalid="ignore"):
        return np.where(a == b, 0.0, a - b)


@dataclass
class Subject:
    """Hold the audited function, with everything that is known about it.

    Args:
        log_prob: rows (B, *shape) ↦ log p(x), shape (B,); with a parameter `seed`, it is given the seed of its noise.
        space: the rows that are possible.
        rows: typical rows, shape (n, *shape), or None.
        dtype: the type of the rows that the function takes: a NumPy type for arrays, a torch type for tensors.
        exact: whether the function claims to be log p(x) itself, not a lower bound.
        module: the torch module behind the function, or None.
        decoder: a variational autoencoder whose log p(x) the function bounds, for annealing, or None.
        obstacle: why there is no such autoencoder, in a sentence.
        inner: the function for rows as the decoder draws them; the same function if nothing is transformed.
        context: what the decoder is conditional on, one row, or None.
        refine: (rows, k) ↦ the same bound with k times as much work, or None.
        fit: training rows ↦ a function like `log_prob` of a model that was trained on them, or None.
        transform: rows ↦ transformed rows, and rows ↦ log |det|, or None.
        bits_per_dim: a published figure for `rows`, or None.
        evaluations: greatest number of rows that one sum evaluates.
        seed: seed of everything random.
        title: what is audited, in words.
        findings: the findings so far, which later checks may build on.
    """

    log_prob: LogProb
    space: Space
    rows: Array | None = None
    dtype: Any = np.float64
    exact: bool = False
    module: nn.Module | None = None
    decoder: VariationalAutoEncoder | None = None
    obstacle: str = "There is no decoder whose rows could be simulated and annealed."
    inner: LogProb | None = None
    context: Tensor | None = None
    refine: LogProb | None = None
    fit: Callable[[Any], LogProb] | None = None
    transform: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None
    bits_per_dim: float | None = None
    evaluations: int = EVALUATIONS
    seed: int = 0
    title: str = "log_prob"
    findings: list[Finding] = field(default_factory=list)

    @cached_property
    def few(self) -> Array:
        """Return a few different rows: typical ones if there are any, else rows made up at random."""
        rng = SeedStream.AUDIT_ROWS.rng(self.seed)
        rows = self.space.draw(4 * FEW, rng) if self.rows is None else self.rows
        _, first = np.unique(rows.reshape(len(rows), -1), axis=0, return_index=True)
        return rows[np.sort(first)[:FEW]]

    @cached_property
    def _probe(self) -> tuple[bool, bool]:
        first, again, other = (self.values(self.few, seed) for seed in (0, 0, 1))
        same = bool((np.abs(differences(first, again)) <= rounding(first)).all())
        return same, same and bool((np.abs(differences(first, other)) <= rounding(first)).all())

    @property
    def repeatable(self) -> bool:
        """Return whether the same seed gives the same numbers."""
        return self._probe[0]

    @property
    def random(self) -> bool:
        """Return whether another seed, or another call, gives other numbers."""
        return not self._probe[1]

    @property
    def seeds(self) -> int:
        """Return how many seeds of the noise a figure is averaged over; 1 without noise."""
        return SEEDS if self.random else 1

    def values(self, X: Array, seed: int = 0, batch: int = BATCH, function: LogProb | None = None) -> Array:
        """Return log p(x) of rows with the noise of one seed, evaluated batch by batch.

        Args:
            X: rows, shape (n, *shape).
            seed: seed of the noise.
            batch: rows in a batch.
            function: another function that is called in the same way.

        Returns:
            Nats, shape (n,).

        Raises:
            CallError: if the function raises an exception, or does not return one number for each row.
        """
        return self.values_and_state(X, seed, batch, function)[0]

    def values_and_state(
        self, X: Array, seed: int = 0, batch: int = BATCH, function: LogProb | None = None
    ) -> tuple[Array, bytes]:
        """Return log p(x) of rows as `values` does, and the state in which the global generators are left."""
        function = self.log_prob if function is None else function
        with fixed_noise(self.seed + seed):
            found = [self._call(function, X[i : i + batch], seed) for i in range(0, len(X), batch)]
            return np.concatenate(found), generator_state()

    def repeats(
        self, X: Array, first: int = 0, batch: int = BATCH, function: LogProb | None = None, most: int = SEEDS
    ) -> Array:
        """Return log p(x) for each seed of the noise, shape (S, n); S = 1 without noise.

        Args:
            X: rows, shape (n, *shape).
            first: the first seed.
            batch: rows in a batch.
            function: another function that is called in the same way.
            most: greatest S.
        """
        return np.stack([self.values(X, first + s, batch, function) for s in range(min(most, self.seeds))])

    def _call(self, function: LogProb, X: Array, seed: int) -> Array:
        given = {"seed": self.seed + seed} if takes_seed(function) else {}
        what = f"{len(X)} row{'s' if len(X) > 1 else ''} of shape {self.space.shape}, {self.dtype}"
        try:
            found = function(self.encode(X), **given)
        except VaekitError:
            raise
        except RAISED as error:
            told = f"The audited function raised {type(error).__name__} for {what}: {shorten(str(error))}"
            mend = "It must take a batch of rows; `dtype=` chooses between tensors and arrays, and their type"
            raise CallError(told, mend=mend) from error
        return check_values(found, X)

    def encode(self, X: Array) -> Any:
        """Convert rows to the type that the function takes, on the device of its module."""
        if not isinstance(self.dtype, torch.dtype):
            return X.astype(self.dtype)
        made = torch.from_numpy(np.ascontiguousarray(X)).to(self.dtype)
        weight = None if self.module is None else next(self.module.parameters(), None)
        return made if weight is None else made.to(weight.device)

    def other(self, function: LogProb, **changes: Any) -> Subject:
        """Return a subject with another function, of which nothing is known yet."""
        return replace(self, log_prob=function, findings=[], **changes)

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Restore the module's modes and buffers at the end of a `with` block: running averages must not drift."""
        if self.module is None:
            yield
            return
        modes = [(module, module.training) for module in self.module.modules()]
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            with torch.no_grad():
                for name, buffer in self.module.named_buffers():
                    buffer.copy_(buffers[name])


def takes_seed(function: LogProb) -> bool:
    """Return whether a function has a parameter called `seed`."""
    try:
        return "seed" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a built-in function without a signature
        return False


def check_values(found: Any, X: Array) -> Array:
    """Return what a function returned for rows X as float64, shape (B,).

    Raises:
        CallError: if it is not one number of at least single precision for each row; the message says what to change.
    """
    n = len(X)
    kind = str(found.dtype) if isinstance(found, Tensor | np.ndarray | np.generic) else type(found).__name__
    if "float16" in kind:
        raise CallError(
            "the log-probabilities must have at least single precision",
            kind,
            "Sum them in float32: near −100 nats, neighbouring numbers of half precision are 0.06 nats apart or more",
        )
    values = np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found)
    if values.dtype.kind != "f":
        raise CallError("the log-probabilities must be real numbers, in float32 or float64", str(values.dtype))
    if values.shape != (n,):
        raise CallError(
            f"the audited function must return one number for each row, shape ({n},)",
            str(values.shape),
            _mend(values, X),
        )
    values = values.astype(np.float64)
    bad = np.isnan(values) | (values == np.inf)
    if bad.any():
        at, row = int(bad.argmax()), np.array2string(X[bad.argmax()].ravel()[:8], separator=", ")
        raise CallError(
            "log p(x) must be a number, or −∞ where x is impossible", f"{values[at]} for the row {shorten(row)}"
        )
    return values


def _mend(values: Array, X: Array) -> str:
    """Say how to get one number for each row from values of another shape."""
    if values.size == 1:
        return "Do not average over the batch"
    if values.shape == X.shape:
        return "Sum the log-probabilities over the numbers of a row"
    if values.shape == (len(X), 1):
        return "Drop the last axis"
    return "Sum over the numbers of a row, and keep the batch"
