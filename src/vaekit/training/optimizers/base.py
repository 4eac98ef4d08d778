"""The base classes of all optimisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.parts import Part, PartOptions

Tensors = Sequence[Tensor]
States = Sequence[Mapping[str, Tensor]]
"""The optimiser's tensors of each parameter, by name."""


class StepOptimizer:
    """An optimiser that is a part of the step of training, compiled or not.

    It has `param_groups`, `state` and `state_dict` like torch's optimisers, but is not one of them: they import torch's
    compiler, which takes one to two seconds, and cannot be compiled together with the gradients that they use.

    Args:
        parameters: the parameters to train.
        lr: η, the learning rate.
        weight_decay: λ, decoupled.
    """

    def __init__(self, parameters: Tensors, lr: float, weight_decay: float) -> None:
        self.weight_decay = weight_decay
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr, "weight_decay": weight_decay}]
        self.state = {parameter: self.start(parameter) for parameter in parameters}

    def start(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return the first state of a parameter."""
        raise NotImplementedError

    def update(self, parameters: Tensors, gradients: Tensors, states: States, rate: float) -> None:
        """Update parameters and their states in place.

        Args:
            parameters: the parameters with a gradient.
            gradients: their gradients, in the same order.
            states: their states, in the same order.
            rate: η of this step.
        """
        raise NotImplementedError

    def factors(self, states: States, rate: float) -> Tensor:
        """Return numbers for each parameter's next `traced_update`, shape (n, numbers).

        They are computed before the compiled update, which would compute them again for each element of a parameter.
        """
        raise NotImplementedError

    def traced_update(self, parameters: Tensors, gradients: Tensors, states: States, numbers: Tensors) -> None:
        """Do the same as `update` in operations that a compiler fuses, with rows of `factors` in the same order."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return the states by the parameters' positions."""
        return {"state": dict(enumerate(self.state.values()))}

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Copy saved states into the present ones.

        Raises:
            ValueError: if the names differ.
        """
        for index, state in enumerate(self.state.values()):
            saved = content["state"].get(index, {})
            if state.keys() != saved.keys():
                raise ValueError(
                    f"optimizer.{index} holds {', '.join(saved) or 'nothing'} instead of {', '.join(state)}"
                )
            for key, value in saved.items():
                state[key].copy_(value)


class Optimizer(Part):
    """An optimiser, which updates weights by their gradients.

    To add an optimiser, define a class with a `name` and with `make`. A compiled step includes it if it is a `StepOptimizer`.
    """

    section = "optimizer"
    planned_steps: ClassVar[int] = 6000
    """Steps that `training.epochs=auto` aims at."""

    class Options(PartOptions):
        """Options of every optimiser."""

        weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay.")

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> StepOptimizer | torch.optim.Optimizer:
        """Return an optimiser of all parameters of a module.

        Args:
            options: options of the optimiser.
            module: the model and its objective.
            learning_rate: the highest learning rate; the loop sets that of each step in `param_groups`.
        """
        raise NotImplementedError
