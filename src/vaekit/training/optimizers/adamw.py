"""AdamW, the default optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vaekit.training.optimizers.base import Optimizer


class AdamW(Optimizer):
    """AdamW for all parameters, in one fused kernel.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    name = "adamw"

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> torch.optim.AdamW:
        """Return AdamW for all parameters of a module."""
        return torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=options.weight_decay, fused=True)
