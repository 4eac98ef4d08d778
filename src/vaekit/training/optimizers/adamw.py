"""AdamW, the default optimiser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.optimizers.base import Optimizer, States, StepOptimizer, Tensors

FIRST, SECOND, EPSILON = 0.9, 0.999, 1e-8
"""Decay of the mean of gradients, decay of the mean of their squares, and the number added to the denominator."""


class FusedAdamW(StepOptimizer):
    """AdamW, in one fused kernel or as a part of the compiled step.

        m ← β₁m + (1 − β₁)g;   v ← β₂v + (1 − β₂)g²;   θ ← (1 − ηλ)θ − η·m̂ / (√v̂ + ε)

    The state of each parameter holds m (`exp_avg`), v (`exp_avg_sq`) and the number of updates (`step`).

    Args:
        parameters: θ, the parameters to train.
        lr: η, the learning rate.
        weight_decay: λ, decoupled.
    """

    def start(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return moments of zero."""
        step = torch.zeros((), dtype=torch.float32, device=parameter.device)
        return {"step": step, **{key: torch.zeros_like(parameter) for key in ("exp_avg", "exp_avg_sq")}}

    def update(self, parameters: Tensors, gradients: Tensors, states: States, rate: float) -> None:
        """Update parameters in place in one kernel."""
        if not parameters:  # the kernel refuses an empty list
            return
        steps, first, second = ([state[key] for state in states] for key in ("step", "exp_avg", "exp_avg_sq"))
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            list(parameters), list(gradients), first, second, [], steps, lr=rate, beta1=FIRST, beta2=SECOND,
            weight_decay=self.weight_decay, eps=EPSILON, amsgrad=False, maximize=False,
        )  # fmt: skip

    def factors(self, states: States, rate: float) -> Tensor:
        """Return 1 − ηλ, η/(1 − β₁ᵗ) and 1/√(1 − β₂ᵗ) for each parameter, shape (n, 3)."""
        steps = torch.stack([state["step"] for state in states]).tolist()
        pairs = [(1 - FIRST ** (t + 1), 1 - SECOND ** (t + 1)) for t in steps]
        numbers = [(1 - rate * self.weight_decay, rate / first, second**-0.5) for first, second in pairs]
        return torch.tensor(numbers, device=states[0]["step"].device)

    def traced_update(self, parameters: Tensors, gradients: Tensors, states: States, numbers: Tensors) -> None:
        """Update parameters in place, in operations that a compiler fuses."""
        for parameter, gradient, state, (kept, rate, scale) in zip(parameters, gradients, states, numbers, strict=True):
            first, second = state["exp_avg"], state["exp_avg_sq"]
            state["step"].add_(1)
            first.lerp_(gradient, 1 - FIRST)
            second.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
            parameter.mul_(kept).sub_(rate * first / (second.sqrt() * scale + EPSILON))


class AdamW(Optimizer):
    """AdamW for all parameters.

    References:
        Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    name = "adamw"

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> FusedAdamW:
        """Return AdamW for all parameters of a module."""
        return FusedAdamW(list(module.parameters()), learning_rate, options.weight_decay)
