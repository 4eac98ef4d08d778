"""All that training is at one step, as tensors and counters: saved, restored, resumed bit for bit.

Noise and batch order are functions of the seed and the step, so they need no place here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from vaekit.errors import RunError
from vaekit.runs import RunFolder

GOOD, LATEST = "state/good.safetensors", "state/latest.safetensors"
"""The state at the last validation, to which training falls back; and a later one, if it was interrupted in between."""


@dataclass
class Counters:
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

    step: int = 0
    rate_scale: float = 1.0
    recoveries: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    finished: bool = False


@dataclass
class TrainingState:
    """Model, objective, averaged weights, optimiser, running sums and counters.

    Args:
        model: the model in training.
        objective: the loss, which has the model as its `model`, and what it learns besides.
        average: its averaged parameters, in the model's order.
        optimizer: the optimiser.
        sums: totals since the last validation: distortion, rate, examples.
        counters: the numbers.
    """

    model: nn.Module
    objective: nn.Module
    average: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    sums: Tensor
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.parameters: list[Tensor] = list(self.model.parameters())

    def save(self, folder: RunFolder, name: str) -> None:
        """Write everything to one file."""
        tensors = self.objective.state_dict()
        tensors |= {f"average.{key}": value for key, value in self.average.items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in moments.items()}
        folder.write_tensors(name, tensors | {"sums": self.sums}, {"counters": json.dumps(asdict(self.counters))})

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
        tensors, metadata = folder.read_tensors(name)
        objective: dict[str, Tensor] = {}
        groups: dict[str, dict[str, Tensor]] = {"average": {}, "optimizer": {}, "sums": {}}
        try:
            for key, value in tensors.items():
                head, _, tail = key.partition(".")
                if head in groups:
                    groups[head][tail] = value
                else:
                    objective[key] = value
            self.objective.load_state_dict(objective)
            for key, value in self.average.items():
                value.copy_(groups["average"][key])
            self.sums.copy_(groups["sums"][""])
            self.counters = Counters(**json.loads(metadata["counters"]))
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise RunError(
                f"{name} must belong to this run", f"a file that does not fit: {error}", "Restore it from a copy"
            ) from error
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in groups["optimizer"].items():
            index, _, moment = key.partition(".")
            moments.setdefault(int(index), {})[moment] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """ā ← decay·ā + (1 − decay)·a, with a smaller decay in the first steps."""
        decay = min(decay, (1 + self.counters.step) / (10 + self.counters.step))
        torch._foreach_lerp_(list(self.average.values()), self.parameters, 1 - decay)

    def averaged_weights(self) -> dict[str, Tensor]:
        """The model's state with averaged parameters."""
        return {key: self.average.get(key, value) for key, value in self.model.state_dict().items()}
