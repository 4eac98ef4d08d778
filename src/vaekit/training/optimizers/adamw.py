"""AdamW, the default optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.optimizers.base import Optimizer, States

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""Decay of the mean of gradients, decay of the mean of their squares, and the number added to the denominator."""


def factors(states: States, rate: float, decay: float) -> Tensor:
    """Return three numbers for each parameter's next update by `adamw`: 1 − ηλ, η/(1 − β₁ᵗ) and 1/√(1 − β₂ᵗ), shape (n, 3).

    They are computed before the compiled update, which would compute them again for each number of a parameter.
    """
    steps = torch.stack([state["step"] for state in states]).tolist()
    kept, pairs = 1 - rate * decay, [(1 - FIRST ** (t + 1), 1 - SECOND ** (t + 1)) for t in steps]
    numbers = [(kept, rate / first, second**-0.5) for first, second in pairs]
    return torch.tensor(numbers, device=states[0]["step"].device)


def adamw(parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: States, numbers: Sequence[Tensor]) -> None:
    """Update parameters in place by AdamW, in operations that a compiler fuses.

        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   θ ← (1 − ηλ)θ − η·m̂ / (√v̂ + ε)

    Args:
        parameters: θ, a tensor for each parameter.
        gradients: g, in the same order.
        states: m (`exp_avg`), v (`exp_avg_sq`) and the number of updates (`step`) of each parameter.
        numbers: rows of `factors`, in the same order.
    """
    for parameter, gradient, state, (kept, rate, scale) in zip(parameters, gradients, states, numbers, strict=True):
        first, second = state["exp_avg"], state["exp_avg_sq"]
        state["step"].add_(1)
        first.lerp_(gradient, 1 - FIRST)
        second.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
        parameter.mul_(kept).sub_(rate * first / (second.sqrt() * scale + EPSILON))


class FusedAdamW(torch.optim.AdamW):
    """torch's AdamW in one fused kernel, with an `update` for the compiled step.

    Args:
        parameters: the parameters to train.
        lr: η, the learning rate.
        weight_decay: λ, decoupled.
    """

    factors = staticmethod(factors)
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
