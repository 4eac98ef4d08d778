import copy

import numpy as np
import pytest
import torch
from torch import nn

from vaekit.training.optimizers import Muon, Optimizer, orthogonal
from vaekit.training.optimizers.adamw import FusedAdamW
from vaekit.training.optimizers.muon import LEAST_WIDTH


def scalar_iteration(values):
    """What five rounds make of singular values: an odd polynomial, applied to each."""
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return values


def hand_made(gradient):
    """The same as `orthogonal`, by a decomposition instead of products."""
    left, values, right = np.linalg.svd(gradient.astype(np.float64), full_matrices=False)
    return left @ np.diag(scalar_iteration(values / np.linalg.norm(values))) @ right


def test_orthogonal_maps_each_singular_value_by_the_polynomial():
    torch.manual_seed(0)
    for shape in ((40, 40), (32, 70)):
        gradients = torch.randn(3, *shape)
        gradients[1] *= 1e-10
        told = orthogonal(gradients)
        for i in range(3):
            np.testing.assert_allclose(told[i].numpy(), hand_made(gradients[i].numpy()), atol=2e-4)


def test_a_zero_gradient_stays_zero():
    assert orthogonal(torch.zeros(1, 32, 32)).abs().sum() == 0


class Model(nn.Module):
    """Linear layers and convolutions, two of them of one size when flattened, and square parameters that are neither."""

    def __init__(self):
        super().__init__()
        sizes = [(40, 40), (40, 32), (LEAST_WIDTH - 1, LEAST_WIDTH - 1), (32, 32), (40, 40)]
        self.layers = nn.ModuleList(nn.Linear(*size, bias=False) for size in sizes)
        kinds = [(40, 40, 1), (32, 32, 3), (32, 40, 3), (16, 16, 3)]
        self.layers.extend(nn.Conv2d(*kind, bias=False) for kind in kinds)
        self.square, self.line = nn.Parameter(torch.randn(40, 40)), nn.Parameter(torch.randn(40))


def stepped(kind, model, gradients, state=None, rate=0.01, decay=0.1):
    """Parameters after a step for each list of gradients, and the optimiser."""
    optimizer = Optimizer.known[kind].make(Optimizer.known[kind].Options(weight_decay=decay), model, rate)
    if state is not None:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    parameters = list(model.parameters())
    for step in gradients:
        with torch.no_grad():
            optimizer.update(parameters, [g.clone() for g in step], [optimizer.state[p] for p in parameters], rate)
    return {name: p.detach().clone() for name, p in model.named_parameters()}, optimizer


def some_gradients(model, steps):
    return [[torch.randn_like(p) for p in model.parameters()] for _ in range(steps)]


def test_hidden_layers_step_as_written_and_everything_else_as_with_adamw():
    torch.manual_seed(1)
    model = Model()
    gradients, starts = some_gradients(model, 3), {n: p.detach().clone() for n, p in model.named_parameters()}
    told, _ = stepped("muon", copy.deepcopy(model), gradients)
    adam, _ = stepped("adamw", copy.deepcopy(model), gradients)
    for place, name in enumerate(starts):
        if name not in [f"layers.{number}.weight" for number in (0, 3, 4, 5, 6)]:
            torch.testing.assert_close(told[name], adam[name], rtol=0, atol=0)
            continue
        weight = starts[name].double().flatten(1).numpy()
        momentum = np.zeros_like(weight)
        for step in gradients:
            gradient = step[place].double().flatten(1).numpy()
            momentum = 0.95 * momentum + 0.05 * gradient
            weight = (1 - 0.01 * 0.1) * weight - 0.1 * hand_made(0.05 * gradient + 0.95 * momentum)
        np.testing.assert_allclose(told[name].flatten(1).numpy(), weight, atol=2e-4)


def test_adamw_is_that_of_torch():
    torch.manual_seed(3)
    model = Model()
    other, gradients = copy.deepcopy(model), some_gradients(model, 5)
    told, _ = stepped("adamw", model, gradients)
    adam = torch.optim.AdamW(other.parameters(), lr=0.01, weight_decay=0.1)
    for step in gradients:
        for parameter, gradient in zip(other.parameters(), step, strict=True):
            parameter.grad = gradient
        adam.step()
    for name, value in other.named_parameters():
        torch.testing.assert_close(told[name], value.detach(), rtol=1e-6, atol=1e-7)


def test_a_model_of_matrices_alone_leaves_nothing_for_adamw():
    model = nn.Linear(40, 40, bias=False)
    start = model.weight.detach().clone()
    told, _ = stepped("muon", model, some_gradients(model, 1))
    assert abs(torch.linalg.matrix_norm(told["weight"] - start * (1 - 0.01 * 0.1), 2) / 0.1 - 1) < 0.3


def test_a_state_of_another_optimizer_is_refused():
    layer = nn.Linear(32, 32)
    saved = FusedAdamW(list(layer.parameters()), 0.01, 0.1).state_dict()
    with pytest.raises(ValueError, match="holds step, exp_avg, exp_avg_sq instead of step, momentum"):
        Muon(layer, 0.01, 0.1).load_state_dict(saved)


def test_the_state_is_all_that_the_next_step_needs():
    torch.manual_seed(2)
    model = Model()
    gradients, other = some_gradients(model, 4), copy.deepcopy(model)
    whole, _ = stepped("muon", model, gradients)
    _, first = stepped("muon", other, gradients[:2])
    resumed, _ = stepped("muon", other, gradients[2:], first.state_dict()["state"])
    for name, value in whole.items():
        assert torch.equal(value, resumed[name])
