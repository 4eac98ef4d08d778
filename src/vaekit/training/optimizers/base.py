"""The base class of all optimisers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from vaekit.parts import Part, PartOptions

States = Sequence[Mapping[str, Tensor]]
"""The optimiser's tensors of each parameter, by name."""


class Optimizer(Part):
    """An optimiser, which updates weights by their gradients.

    To add an optimiser, define a class with a `name` and with `make`. If the torch optimiser has static methods `update`
    and `factors`, like `FusedAdamW`, the compiled step includes it.
    """

    section = "optimizer"
    planned_steps: ClassVar[int] = 6000
    """Steps that `training.epochs=auto` aims at."""

    class Options(PartOptions):
        """Options of every optimiser."""

        weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay.")

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
        """Return a torch optimiser of all parameters of a module.

        Args:
            options: options of the optimiser.
            module: the model and its objective.
            learning_rate: the highest learning rate; the loop sets that of each step in `param_groups`.
        """
        raise NotImplementedError
