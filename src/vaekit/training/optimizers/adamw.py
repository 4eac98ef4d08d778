"""AdamW, the default optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.optimizers.base import Optimizer, States

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""Decay of the mean of gradients, decay of the mean of their squares, and the number added to the denominator."""


def adamw(
    parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: States, rate: Tensor, decay: float
) -> None:
    """Update parameters in place by AdamW, in operations that a compiler fuses.

        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   θ ← (1 − ηλ)θ − η·m̂ / (√v̂ + ε)

    Args:
        parameters: θ, a tensor for each parameter.
        gradients: g, in the same order.
        states: m (`exp_avg`), v (`exp_avg_sq`) and the number of updates (`step`) of each parameter.
        rate: η, a scalar tensor.
        decay: λ, decoupled.
    """
    for parameter, gradient, state in zip(parameters, gradients, states, strict=True):
        step, first, second = state["step"], state["exp_avg"], state["exp_avg_sq"]
        step.add_(1)
        first.lerp_(gradient, 1 - FIRST)
        second.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
        scale = second.sqrt() / (1 - SECOND**step).sqrt() + EPSILON
        parameter.mul_(1 - rate * decay).sub_(rate / (1 - FIRST**step) * first / scale)


class FusedAdamW(torch.optim.AdamW):
    """torch's AdamW in one fused kernel, with an `update` for the compiled step.

    Args:
        parameters: the parameters to train.
        lr: η, the learning rate.
        weight_decay: λ, decoupled.
    """

    update = staticmethod(adamw)

    def __init__(self, parameters: Sequence[Tensor], lr: float, weight_decay: float) -> None:
        betas = (FIRST, SECOND)
        super().__init__(parameters, lr=lr, betas=betas, eps=EPSILON, weight_decay=weight_decay, fused=True)
        for parameter in parameters:  # as torch does in the first step; the compiled step needs them before
            step = torch.zeros((), dtype=torch.float32, device=parameter.device)
            moments = {key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}
            self.state[parameter] = {"step": step, **moments}


class AdamW(Optimizer):
    """AdamW for all parameters, in one fused kernel.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    name = "adamw"

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> FusedAdamW:
        """Return AdamW for all parameters of a module."""
        return FusedAdamW(list(module.parameters()), learning_rate, options.weight_decay)
