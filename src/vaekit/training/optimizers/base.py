"""What all optimisers share."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from vaekit.parts import Part, PartOptions


class Optimizer(Part):
    """How weights follow their gradients.

    The next optimiser is a class with a `name` and with `make`.
    """

    section = "optimizer"
    planned_steps: ClassVar[int] = 6000
    """Steps of a training of open length."""

    class Options(PartOptions):
        """What can be set of every optimiser."""

        weight_decay: float = Field(0.0, ge=0, description="Decoupled weight decay.")

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
        """Return torch's optimiser of all parameters of a module.

        Args:
            options: its options.
            module: the model and its objective.
            learning_rate: the greatest one; the loop sets the learning rate of each step in `param_groups`.
        """
        raise NotImplementedError
