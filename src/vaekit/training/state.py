"""The state of training: tensors and counters from which a run resumes bit for bit.

Noise and the order of batches are functions of seed and step, so they are not saved.
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

from vaekit.errors import RunError, shorten
from vaekit.folder import COPY, Count, RunFolder
from vaekit.models import LatentModel
from vaekit.training.optimizers import StepOptimizer

GOOD, LATEST = "state/good.safetensors", "state/latest.safetensors"
"""The state at the last validation, to which training goes back, and a later state if training was interrupted since."""
UNBOUNDED = ("optimizer.", "sums")
"""Prefixes of tensors that are not weights, and may have any size."""


class Counters(BaseModel):
    """The numbers in the training state that are not tensors, such as steps, recoveries and the best bound.

    Args:
        step: number of steps done.
        rate_scale: factor on the learning rate, halved at each recovery.
        recoveries: number of times training went back after a number that was not finite.
        best: greatest validation bound so far (for an autoencoder, minus the error); None before the first choice.
        best_step: step at which `best` was measured.
        stale: number of validations since `best_step`.
        finished: whether training has ended.
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
    """Hold the model, objective, averaged weights, optimiser, running sums and counters.

    Args:
        model: the model in training.
        loss: the model and its objective in one module, which includes weights of the objective's own.
        average: averaged parameters, in the model's order.
        optimizer: the optimiser.
        sums: totals since the last validation: distortion, rate, number of examples.
        counters: the counters.
    """

    model: LatentModel
    loss: nn.Module
    average: dict[str, Tensor]
    optimizer: StepOptimizer | torch.optim.Optimizer
    sums: Tensor
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = list(self.model.parameters())

    def save(self, folder: RunFolder, name: str) -> None:
        """Write the training state to a file."""
        tensors = self.loss.state_dict()
        tensors |= {f"average.{key}": value for key, value in self.average.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
        folder.write_tensors(name, tensors | {"sums": self.sums}, {"counters": json.dumps(self.counters.model_dump())})

    def load_newest(self, folder: RunFolder) -> None:
        """Load the newer of two saved states: that of the last validation, or that of an interruption."""
        self.load(folder, GOOD)
        if (folder.path / LATEST).exists():
            good = self.counters.step
            self.load(folder, LATEST)
            if self.counters.step <= good:  # the process ended before it removed this file
                self.load(folder, GOOD)

    def load(self, folder: RunFolder, name: str) -> None:
        """Load the training state from a file.

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
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        except (KeyError, IndexError, RuntimeError, ValueError) as error:
            told = f"'{folder.path / name}' does not belong to this run: {shorten(str(error))}"
            raise RunError(told, mend=COPY) from error
        self.counters = counters

    def _moments(self, saved: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
        """Group the optimiser's saved values by parameter, and check their shapes."""
        sizes = [p.shape for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in saved.items():
            index, _, moment = key.partition(".")
            if value.ndim and value.shape != sizes[int(index)]:
                raise ValueError(f"optimizer.{key} of shape {tuple(value.shape)}")
            moments.setdefault(int(index), {})[moment] = value
        return moments

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return the model's state with averaged parameters."""
        return {key: self.average.get(key, value) for key, value in self.model.state_dict().items()}


def read_state(folder: RunFolder, name: str) -> tuple[dict[str, Tensor], Counters]:
    """Return the tensors and the counters of a saved state.

    Raises:
        RunError: if the file is damaged, or its counters cannot be read.
    """
    tensors, notes = folder.read_tensors(name)
    try:
        return tensors, Counters.model_validate_json(notes.get("counters", ""))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"its counters cannot be read ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        raise folder.damage_error(name, problem) from error


def mend_states(folder: RunFolder) -> str:
    """Discard a damaged state file of a run, so that training resumes from the intact state file.

    Returns:
        A sentence that says what was done; an empty text if both states are intact.

    Raises:
        RunError: if every state is damaged.
    """
    damaged: dict[str, RunError] = {}
    for name in (GOOD, LATEST):
        if os.path.lexists(folder.path / name):
            try:
                tensors, _ = read_state(folder, name)
                if bad := [
                    k for k, v in tensors.items() if not k.startswith(UNBOUNDED) and not torch.isfinite(v).all()
                ]:
                    raise folder.damage_error(name, f"'{bad[0]}' holds numbers that are not finite")
            except RunError as error:
                if (path := folder.path / name).is_symlink() or not path.is_file():
                    raise  # training did not write this
                damaged[name] = error
    if LATEST in damaged and GOOD not in damaged and os.path.lexists(folder.path / GOOD):
        folder.remove(LATEST)
        return f"{LATEST} is damaged. The run continues from the state of its last validation."
    if GOOD in damaged and LATEST not in damaged and (folder.path / LATEST).exists():
        os.replace(folder.path / LATEST, folder.path / GOOD)
        return f"{GOOD} is damaged. The run continues from {LATEST}, which is intact."
    if damaged:
        raise next(iter(damaged.values()))
    return ""
