"""All that training is at one step, as tensors and counters: saved, restored, resumed bit for bit.

Noise and batch order are functions of the seed and the step, so they need no place here.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, field
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn

from vaekit.errors import RunError
from vaekit.folder import COPY, Count, RunFolder

GOOD, LATEST = "state/good.safetensors", "state/latest.safetensors"
"""The state at the last validation, to which training falls back; and a later one, if it was interrupted in between."""
UNBOUNDED = ("optimizer.", "sums")
"""What a state may hold besides weights."""


class Counters(BaseModel):
    """The numbers of the training state.

    Args:
        step: steps done.
        rate_scale: factor on the step size, halved at each recovery.
        recoveries: how often training went back after a number that was not finite.
        best: greatest held-out bound so far (for an autoencoder, minus the error); None before the first choice.
        best_step: the step at which it was measured.
        stale: validations since.
        finished: whether training is over.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    step: Count = 0
    rate_scale: Annotated[float, Field(gt=0, le=1)] = 1.0
    recoveries: Count = 0
    best: Annotated[float, Field(lt=math.inf)] | None = None
    best_step: Count = 0
    stale: Count = 0
    finished: bool = False


@dataclass
class TrainingState:
    """Model, objective, averaged weights, optimiser, running sums and counters.

    Args:
        model: the model in training.
        loss: the model and its objective, with what this learns besides.
        average: its averaged parameters, in the model's order.
        optimizer: the optimiser.
        sums: totals since the last validation: distortion, rate, examples.
        counters: the numbers.
    """

    model: nn.Module
    loss: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    sums: Tensor
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = list(self.model.parameters())

    def save(self, folder: RunFolder, name: str) -> None:
        """Write everything to one file."""
        tensors = self.loss.state_dict()
        tensors |= {f"average.{key}": value for key, value in self.average.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
        folder.write_tensors(name, tensors | {"sums": self.sums}, {"counters": json.dumps(self.counters.model_dump())})

    def load_newest(self, folder: RunFolder) -> None:
        """Read the good state, or the interrupted one where it is further on."""
        self.load(folder, GOOD)
        if (folder.path / LATEST).exists():
            good = self.counters.step
            self.load(folder, LATEST)
            if self.counters.step <= good:  # left over: the process ended before it was removed
                self.load(folder, GOOD)

    def load(self, folder: RunFolder, name: str) -> None:
        """Read everything from one file.

        Raises:
            RunError: if the file is damaged or belongs to another model.
        """
        tensors, counters = read_state(folder, name)
        loss: dict[str, Tensor] = {}
        groups: dict[str, dict[str, Tensor]] = {"average": {}, "optimizer": {}, "sums": {}}
        for key, value in tensors.items():
            head, _, tail = key.partition(".")
            if head in groups:
                groups[head][tail] = value
            else:
                loss[key] = value
        try:
            moments = self._moments(groups["optimizer"])
            self.loss.load_state_dict(loss)
            for key, value in self.average.items():
                value.copy_(groups["average"][key])
            self.sums.copy_(groups["sums"][""])
        except (KeyError, IndexError, RuntimeError, ValueError) as error:
            raise RunError(f"{name} must belong to this run", f"a file that does not fit: {error}", COPY) from error
        self.counters = counters
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})

    def _moments(self, saved: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """What the optimiser keeps of each parameter: numbers, or tensors of its shape."""
        sizes = [p.shape for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in saved.items():
            index, _, moment = key.partition(".")
            if value.ndim and value.shape != sizes[int(index)]:
                raise ValueError(f"optimizer.{key} of shape {tuple(value.shape)}")
            moments.setdefault(int(index), {})[moment] = value
        return moments

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """ā ← decay·ā + (1 − decay)·a, with a smaller decay in the first steps."""
        decay = min(decay, (1 + self.counters.step) / (10 + self.counters.step))
        torch._foreach_lerp_(list(self.average.values()), self.parameters, 1 - decay)

    def averaged_weights(self) -> dict[str, Tensor]:
        """The model's state with averaged parameters."""
        return {key: self.average.get(key, value) for key, value in self.model.state_dict().items()}


def read_state(folder: RunFolder, name: str) -> tuple[dict[str, Tensor], Counters]:
    """The tensors and the counters of a saved state.

    Raises:
        RunError: if the file is damaged, or its counters are none.
    """
    tensors, metadata = folder.read_tensors(name)
    try:
        return tensors, Counters.model_validate_json(metadata.get("counters", ""))
    except ValidationError as error:
        first = error.errors()[0]
        given = f"{'.'.join(map(str, first['loc']))}: {first['msg']}, in '{folder.path}'"
        raise RunError(f"{name} must hold the counters of training", given, COPY) from error


def mend_states(folder: RunFolder) -> str:
    """Put a state that is damaged out of the way where the other one is whole.

    Returns:
        A sentence that says what was done; empty where nothing was.

    Raises:
        RunError: if the only state is damaged.
    """
    damaged: dict[str, RunError] = {}
    for name in (GOOD, LATEST):
        if os.path.lexists(folder.path / name):
            try:
                tensors, _ = read_state(folder, name)
                if bad := [
                    k for k, v in tensors.items() if not k.startswith(UNBOUNDED) and not torch.isfinite(v).all()
                ]:
                    raise RunError(f"weights must be finite, in {name} too", f"others in '{bad[0]}'", COPY)
            except RunError as error:
                if (path := folder.path / name).is_symlink() or not path.is_file():
                    raise  # no state of training's own
                damaged[name] = error
    if LATEST in damaged and GOOD not in damaged and os.path.lexists(folder.path / GOOD):
        folder.remove(LATEST)
        return f"{LATEST} is damaged: the run goes on from the state of its last validation."
    if GOOD in damaged and LATEST not in damaged and (folder.path / LATEST).exists():
        os.replace(folder.path / LATEST, folder.path / GOOD)
        return f"{GOOD} is damaged: the run goes on from {LATEST}, which was saved apart from it."
    if damaged:
        raise next(iter(damaged.values()))
    return ""
