"""The negative bound of each example: D + β·R, nothing averaged, nothing left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from builders import linear_vae
from vaekit.objectives import Loss, NegativeELBO


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0, 5.0])
def test_terms_of_each_example(linear_gaussian, beta):
    oracle, X, V, c, std = linear_gaussian
    # the weight of the loss is the argument's, whatever the model's own
    model = linear_vae(oracle, V, c, std, samples=3, kl_weight=7.0)
    torch.manual_seed(4)
    terms = Loss(model, NegativeELBO())(torch.from_numpy(X), torch.tensor(beta, dtype=torch.float64))
    torch.manual_seed(4)
    noise = torch.randn(3, 8, 2, dtype=torch.float64).numpy()

    mean = X @ V.T + c
    location = (mean + std * noise) @ oracle.W.T + oracle.b
    distortion = -stats.norm(location, math.sqrt(oracle.variance)).logpdf(X).sum(-1).mean(0)
    rate = oracles.standard_normal_kl(mean, np.tile(std, (8, 1)))
    for found, expected in zip(terms, (distortion + beta * rate, distortion, rate), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10)


def test_gradients_of_loss_add_those_of_distortion_and_weighted_rate(linear_gaussian):
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std)
    gradients = {}
    for beta in (0.0, 1.0, 3.0):
        torch.manual_seed(0)
        loss = Loss(model, NegativeELBO())(torch.from_numpy(X), torch.tensor(beta, dtype=torch.float64)).loss.mean()
        gradients[beta] = torch.autograd.grad(loss, model.encoder.c)[0].numpy()
    np.testing.assert_allclose(gradients[1.0] - gradients[0.0], (X @ V.T + c).mean(0), rtol=1e-9)
    np.testing.assert_allclose(gradients[3.0] - gradients[0.0], 3 * (X @ V.T + c).mean(0), rtol=1e-9)


def test_a_trained_linear_model_reaches_the_closed_form_maximum():
    rng = np.random.default_rng(1)
    data = oracles.LinearGaussian(np.linalg.qr(rng.normal(size=(4, 1)))[0] * 2, np.zeros(4), 0.5).sample(400, rng)
    best, eigenvalues = oracles.principal_components(data, 1)
    maximum = -0.5 * (4 * math.log(2 * math.pi) + math.log(eigenvalues[0]) + 3 * math.log(eigenvalues[1:].mean()) + 4)
    start = oracles.LinearGaussian(rng.normal(size=(4, 1)), np.zeros(4), best.variance)
    model = linear_vae(start, np.zeros((1, 4)), np.zeros(1), np.ones(1), samples=2)
    objective, x, beta = Loss(model, NegativeELBO()), torch.from_numpy(data), torch.tensor(1.0).double()
    noise = torch.from_numpy(np.repeat(oracles.sigma_points(1)[:, None], 400, axis=1))

    def bound():
        joint = model.draw(x, noise=noise)
        return (joint.distortion() + joint.rate()).mean()

    trained = [*model.encoder.parameters(), *model.decoder.network.parameters()]
    optimizer = torch.optim.LBFGS(trained, max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure():
        optimizer.zero_grad()
        loss = bound()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert -bound().item() == pytest.approx(maximum, abs=1e-6)
    # by fresh draws the objective sees the same maximum; a z-test at |z| < 5: false alarm 6e-7
    torch.manual_seed(0)
    with torch.no_grad():
        losses = np.stack([objective(x, beta).loss.mean().numpy() for _ in range(200)])
    assert abs(oracles.z_scores(losses, -maximum)) < 5
