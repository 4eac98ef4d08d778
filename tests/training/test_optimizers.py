import numpy as np
import torch
from torch import nn

from vaekit.training.optimizers import LEAST_WIDTH, OPTIMIZERS, Muon, orthogonal


def scalar_iteration(values):
    """What five rounds make of singular values: an odd polynomial, applied to each."""
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return values


def hand_made(gradient):
    """The same as `orthogonal`, by a decomposition instead of products."""
    left, values, right = np.linalg.svd(gradient.astype(np.float64))
    return left @ np.diag(scalar_iteration(values / np.linalg.norm(values))) @ right


def test_orthogonal_maps_each_singular_value_by_the_polynomial():
    torch.manual_seed(0)
    gradients = torch.randn(3, 40, 40)
    gradients[1] *= 1e-10
    told = orthogonal(gradients)
    for i in range(3):
        np.testing.assert_allclose(told[i].numpy(), hand_made(gradients[i].numpy()), atol=2e-4)


def test_a_zero_gradient_stays_zero():
    assert orthogonal(torch.zeros(1, 32, 32)).abs().sum() == 0


def stepped(kind, starts, gradients, rate=0.01, decay=0.1):
    """Parameters after a step for each list of gradients."""
    parameters = [nn.Parameter(start.clone()) for start in starts]
    optimizer = OPTIMIZERS[kind](parameters, rate, decay)
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    return [p.detach() for p in parameters], optimizer


def test_matrices_step_as_written_and_everything_else_as_with_adamw():
    torch.manual_seed(1)
    shapes = [(40, 40), (40,), (40, 32), (LEAST_WIDTH - 1, LEAST_WIDTH - 1), (32, 32), (40, 40)]
    starts = [torch.randn(s) for s in shapes]
    gradients = [[torch.randn(s) for s in shapes] for _ in range(3)]
    told, _ = stepped("muon", starts, gradients)
    adam, _ = stepped("adamw", starts, gradients)
    for place, shape in enumerate(shapes):
        if place not in (0, 4, 5):
            torch.testing.assert_close(told[place], adam[place], rtol=0, atol=0)
            continue
        weight, momentum = starts[place].double().numpy(), np.zeros(shape)
        for step in gradients:
            gradient = step[place].double().numpy()
            momentum = 0.95 * momentum + 0.05 * gradient
            weight = (1 - 0.01 * 0.1) * weight - 0.1 * hand_made(0.05 * gradient + 0.95 * momentum)
        np.testing.assert_allclose(told[place].numpy(), weight, atol=2e-4)


def test_a_matrix_without_a_gradient_stays_where_it_is():
    start = torch.randn(32, 32)
    parameter = nn.Parameter(start.clone())
    Muon([parameter], 0.01, 0.1).step()
    assert torch.equal(parameter.detach(), start)


def test_the_state_is_all_that_the_next_step_needs():
    torch.manual_seed(2)
    starts, gradients = [torch.randn(32, 32), torch.randn(5)], [[torch.randn(32, 32), torch.randn(5)] for _ in range(4)]
    whole, _ = stepped("muon", starts, gradients)
    half, first = stepped("muon", starts, gradients[:2])
    parameters = [nn.Parameter(p.clone()) for p in half]
    second = Muon(parameters, 0.01, 0.1)
    second.load_state_dict({**second.state_dict(), "state": first.state_dict()["state"]})
    for step in gradients[2:]:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = gradient.clone()
        second.step()
    for a, b in zip(whole, parameters, strict=True):
        assert torch.equal(a, b.detach())
