"""Whether log p(x) is computed in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from vaekit.auditing.check import AGAIN, Check, compare
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject, differences, rounding
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

FRESH = AGAIN // 2
"""How far the seeds of evaluation mode are from those of the mode as it is."""


class Modes(Check):
    """Compare log p(x) as it is with log p(x) when every module is held in evaluation mode."""

    name = "mode"
    question = "Is the module in evaluation mode, or are both modes alike?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if modules run in training mode and evaluation mode gives other numbers."""
        module = subject.module
        if module is None:
            yield self.skipped(
                "Training and evaluation mode were not compared.", "`vaekit.audit(…, model=…)` takes the torch module."
            )
            return
        with subject.unchanged(), _watched(module) as trained:
            as_is, left = subject.values_and_state(subject.few)
        if not trained:
            yield self.measured("No module ran in training mode.")
            return
        with subject.unchanged(), _held(module):
            held, also_left = subject.values_and_state(subject.few)
        apart = np.abs(differences(as_is, held))
        size, guilty = Estimate(float(apart.max()), None), bool((apart > rounding(held)).any())
        if not subject.repeatable or left != also_left:  # the noise is not the same
            size, guilty = compare(
                lambda first: self._values(subject, None, first),
                lambda first: self._values(subject, module, first + FRESH),
            )
        if guilty:
            names = ", ".join(sorted({type(p).__name__ for p in trained if isinstance(p, _NormBase | _DropoutNd)}))
            who = f"Modules ran in training mode ({names})" if names else "Modules ran in training mode"
            yield self.found(f"{who}, and in evaluation mode log p(x) is another. Call `eval()` first.", size)
        else:
            yield self.measured("Modules ran in training mode; in evaluation mode log p(x) is the same.")

    def _values(self, subject: Subject, held: nn.Module | None, first: int) -> Array:
        """Return log p(x) of the few rows, shape (S, n), as it is or with a module held in evaluation mode."""
        with subject.unchanged(), _held(held):
            return subject.repeats(subject.few, first)


@contextmanager
def _watched(module: nn.Module) -> Iterator[list[nn.Module]]:
    """Yield the list of modules that run in training mode within a `with` block."""
    found: list[nn.Module] = []

    def note(part: nn.Module, _: Any) -> None:
        if part.training:
            found.append(part)

    with _hooked(module, note):
        yield found


@contextmanager
def _held(module: nn.Module | None) -> Iterator[None]:
    """Put every module into evaluation mode whenever it is called within a `with` block."""

    def hold(part: nn.Module, _: Any) -> None:
        part.training = False

    with _hooked(module, hold):
        yield


@contextmanager
def _hooked(module: nn.Module | None, hook: Any) -> Iterator[None]:
    """Call a hook before every call of a module or one of its parts within a `with` block."""
    handles = [] if module is None else [part.register_forward_pre_hook(hook) for part in module.modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
