"""Muon, an optimiser with updates of equal size in all directions of a weight matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.optimizers.adamw import FusedAdamW, adamw, factors
from vaekit.training.optimizers.base import Optimizer, States

MOMENTUM, SCALE = 0.95, 10.0
"""Decay μ of the mean of gradients, and the spectral norm of an update as a multiple of the learning rate."""
LEAST_WIDTH = 32
"""Least width of a matrix for Muon. Smaller matrices have few directions, and Adam's update is as good for them."""
ITERATION = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration that makes a matrix orthogonal; it is steep at zero, so small singular values grow fast."""


def orthogonal(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Make matrices nearly orthogonal by matrix products: all singular values become about 1.

        X ← G/‖G‖;   X ← aX + (bA + cA²)X,  A = XXᵀ,  five times:   UΣVᵀ → about UVᵀ

    Args:
        matrices: G, shape (k, m, n), m ≤ n.
        iterations: number of iterations, ≥ 1; after five, singular values above 0.01 of the norm are between 0.6 and 1.3.

    Returns:
        Matrices of the same shape with the same singular vectors.

    References:
        Bernstein and Newhouse, "Old Optimizer, New Norm: An Anthology", 2024.

    Examples:
        >>> values = torch.linalg.svdvals(orthogonal(torch.diag(torch.tensor([5.0, 1.0, 0.2]))[None]))
        >>> bool((values > 0.6).all() and (values < 1.3).all())
        True
    """
    a, b, c = ITERATION
    x = matrices / matrices.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    for _ in range(iterations):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _is_hidden(layer: nn.Module) -> bool:
    """Tell whether Muon updates a layer's weights: it must be wide and have as many outputs as inputs."""
    return isinstance(layer, nn.Linear | nn.Conv2d) and layer.weight.shape[0] == layer.weight.shape[1] >= LEAST_WIDTH


def _turn(matrices: list[Tensor], gradients: list[Tensor], momenta: list[Tensor], kept: Any, rate: Any) -> None:
    """Update weights of one shape in place by Muon, given 1 − ηλ and η."""
    torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
    ahead = torch.stack(torch._foreach_lerp(gradients, momenta, MOMENTUM))
    steps = orthogonal(ahead.flatten(2)).view_as(ahead)
    torch._foreach_mul_(matrices, kept)
    torch._foreach_sub_(matrices, list((SCALE * rate * steps).unbind()))


def muon_factors(states: States, rate: float, decay: float) -> Tensor:
    """Return three numbers for each parameter's next update by `muon`, shape (n, 3): for a matrix 1 − ηλ, η and 0."""
    numbers = factors(states, rate, decay)
    hidden = [index for index, state in enumerate(states) if "momentum" in state]
    numbers[hidden, 1:] = numbers.new_tensor([rate, 0.0])
    return numbers


def muon(parameters: Sequence[Tensor], gradients: Sequence[Tensor], states: States, numbers: Sequence[Tensor]) -> None:
    """Update parameters in place: those with a `momentum` by Muon, all others by AdamW; for the arguments see `adamw`."""
    found = list(zip(parameters, gradients, states, numbers, strict=True))
    hidden = [each for each in found if "momentum" in each[2]]
    for shape in {tuple(each[0].shape): None for each in hidden}:
        alike = [each for each in hidden if tuple(each[0].shape) == shape]
        momenta, (kept, rate, _) = [state["momentum"] for _, _, state, _ in alike], alike[0][3]
        _turn([each[0] for each in alike], [each[1] for each in alike], momenta, kept, rate)
    rest = [each for each in found if "momentum" not in each[2]]
    adamw(*([each[index] for each in rest] for index in range(4)))  # type: ignore[arg-type]


class Muon(FusedAdamW):
    """Muon for square weight matrices and convolutions, AdamW for all other parameters.

        M ← μM + (1 − μ)G;   W ← (1 − ηλ)W − 10η·orthogonal((1 − μ)G + μM),   μ = 0.95

    Adam follows the few directions where the gradient of a matrix is large. Muon's update has the same size in all directions.
    An update costs 15 products of n × n matrices for each weight matrix; for a convolution, ten of them have its longer side.
    This is little compared with a batch of several n rows, and almost nothing if each row is a picture.

    Args:
        model: the module to train; Muon updates its linear layers and convolutions with as many outputs as inputs, at least
            32. The matrix of a convolution has a row for each output channel.
        lr: η, the learning rate of AdamW; the update of a matrix has ten times this spectral norm.
        weight_decay: λ, decoupled.

    References:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; Kingma and Ba, "Adam", 2015.

    Examples:
        >>> layer = nn.Linear(64, 64, bias=False)
        >>> nn.init.zeros_(layer.weight).grad = torch.randn(64, 64)
        >>> Muon(layer, lr=1e-3, weight_decay=0.0).step()
        >>> round(float(torch.linalg.matrix_norm(layer.weight.detach(), 2)), 3) in (0.011, 0.012)
        True
    """

    factors = staticmethod(muon_factors)
    update = staticmethod(muon)

    def __init__(self, model: nn.Module, lr: float, weight_decay: float) -> None:
        super().__init__(list(model.parameters()), lr, weight_decay)
        self.alike: dict[tuple[int, ...], list[Tensor]] = {}
        for layer in model.modules():
            if _is_hidden(layer):
                weight = layer.get_parameter("weight")
                self.alike.setdefault(tuple(weight.shape), []).append(weight)
                # AdamW needs a step count in every state that it loads
                self.state[weight] = {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # no closure: the loop computes the loss once
        """Update every parameter that has a gradient, and clear the gradients of matrices."""
        rate, decay = self.param_groups[0]["lr"], self.param_groups[0]["weight_decay"]
        for matrices in self.alike.values():
            found = {matrix: matrix.grad for matrix in matrices if matrix.grad is not None}
            if found:
                momenta = [self.state[matrix]["momentum"] for matrix in found]
                _turn(list(found), list(found.values()), momenta, 1 - rate * decay, rate)
                for matrix in found:
                    matrix.grad = None
        super().step()


class MuonOptimizer(Optimizer):
    """Muon for square weight matrices and convolutions, AdamW for all other parameters, as a part of a recipe."""

    name = "muon"
    planned_steps = 4000  # it needs fewer than AdamW

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> Muon:
        """Return Muon for all parameters of a module."""
        return Muon(module, learning_rate, options.weight_decay)
