"""Muon, an optimiser with updates of equal size in all directions of a weight matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.training.optimizers.adamw import FusedAdamW
from vaekit.training.optimizers.base import Optimizer, States, Tensors

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


def _turn(matrices: Tensors, gradients: Tensors, states: States, kept: Any, rate: Any) -> None:
    """Update weights in place by Muon, given 1 − ηλ and η: those of one shape together."""
    for shape in dict.fromkeys(matrix.shape for matrix in matrices):
        alike = [index for index, matrix in enumerate(matrices) if matrix.shape == shape]
        moved, found = [matrices[index] for index in alike], [gradients[index] for index in alike]
        momenta = [states[index]["momentum"] for index in alike]
        torch._foreach_lerp_(momenta, found, 1 - MOMENTUM)
        ahead = torch.stack(torch._foreach_lerp(found, momenta, MOMENTUM))
        steps = orthogonal(ahead.flatten(2)).view_as(ahead)
        torch._foreach_mul_(moved, kept)
        torch._foreach_sub_(moved, list((SCALE * rate * steps).unbind()))


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
        >>> muon = Muon(layer, lr=1e-3, weight_decay=0.0)
        >>> with torch.no_grad():
        ...     muon.update([layer.weight], [layer.weight.grad], [muon.state[layer.weight]], rate=1e-3)
        >>> round(float(torch.linalg.matrix_norm(layer.weight.detach(), 2)), 3) in (0.011, 0.012)
        True
    """

    def __init__(self, model: nn.Module, lr: float, weight_decay: float) -> None:
        self.hidden = {layer.weight for layer in model.modules() if _is_hidden(layer)}
        super().__init__(list(model.parameters()), lr, weight_decay)

    def start(self, parameter: Tensor) -> dict[str, Tensor]:
        """Return a momentum of zero for a matrix, and AdamW's moments for other parameters."""
        state = super().start(parameter)
        if parameter not in self.hidden:
            return state
        return {"step": state["step"], "momentum": state["exp_avg"]}

    def update(self, parameters: Tensors, gradients: Tensors, states: States, rate: float) -> None:
        """Update matrices by Muon, and other parameters by AdamW's kernel."""
        (matrices, slopes, momenta), (others, found, moments) = _split(states, parameters, gradients, states)
        _turn(matrices, slopes, momenta, 1 - rate * self.weight_decay, rate)
        super().update(others, found, moments, rate)

    def factors(self, states: States, rate: float) -> Tensor:
        """Return the numbers of AdamW, and for a matrix 1 − ηλ, η and 0, shape (n, 3)."""
        numbers = super().factors(states, rate)
        hidden = [index for index, state in enumerate(states) if "momentum" in state]
        numbers[hidden, 1:] = numbers.new_tensor([rate, 0.0])
        return numbers

    def traced_update(self, parameters: Tensors, gradients: Tensors, states: States, numbers: Tensors) -> None:
        """Update matrices by Muon, and other parameters by AdamW."""
        (matrices, slopes, momenta, rows), rest = _split(states, parameters, gradients, states, numbers)
        if matrices:
            _turn(matrices, slopes, momenta, rows[0][0], rows[0][1])
        super().traced_update(*rest)


def _split(states: States, *sequences: Sequence[Any]) -> Iterator[tuple[list[Any], ...]]:
    """Divide sequences aligned with the states into those of matrices, whose states have a `momentum`, and the rest."""
    for wanted in (True, False):
        chosen = [("momentum" in state) is wanted for state in states]
        yield tuple(list(compress(sequence, chosen)) for sequence in sequences)


class MuonOptimizer(Optimizer):
    """Muon for square weight matrices and convolutions, AdamW for all other parameters, as a part of a recipe."""

    name = "muon"
    planned_steps = 4000  # it needs fewer than AdamW

    @classmethod
    def make(cls, options: Any, module: nn.Module, learning_rate: float) -> Muon:
        """Return Muon for all parameters of a module."""
        return Muon(module, learning_rate, options.weight_decay)
