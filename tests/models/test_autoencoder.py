"""The deterministic autoencoder: squared error in full, and a Gaussian of its codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from vaekit.models import Autoencoder
from vaekit.networks import MLP, Rescale


@pytest.fixture
def parts():
    torch.manual_seed(0)
    encoder, decoder = MLP((2, 3), (2,)).double(), MLP((2,), (2, 3, 1)).double()
    x = np.random.default_rng(0).normal(size=(7, 2, 3)) * 2 + 1
    (A, a), (B, b) = ([p.detach().numpy() for p in network.parameters()] for network in (encoder, decoder))
    code = (x.reshape(7, 6) - 1) / 2 @ A.T + a
    return encoder, decoder, x, code, (code @ B.T + b).reshape(7, 2, 3)


def test_loss_sums_over_features_and_averages_over_examples(parts):
    encoder, decoder, x, code, expected = parts
    model = Autoencoder(encoder, decoder, 2, Rescale(1.0, 2.0)).double()
    y, loss = model(torch.from_numpy(x))
    np.testing.assert_allclose(model.encode(torch.from_numpy(x)).detach().numpy(), code, rtol=1e-9)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-9)
    assert loss.item() == pytest.approx(np.mean([np.linalg.norm(e) ** 2 for e in (x - expected)]), rel=1e-12)


def test_gradients_of_the_loss_are_those_of_the_squared_error(parts):
    encoder, decoder, x, _, expected = parts
    model = Autoencoder(encoder, decoder, 2, Rescale(1.0, 2.0)).double()
    model(torch.from_numpy(x))[1].backward()
    gradient = 2 * (expected - x).reshape(7, 6).sum(0) / 7
    np.testing.assert_allclose(decoder.layers[0].bias.grad.numpy(), gradient, rtol=1e-9)


def test_fitted_gaussian_has_the_mean_and_covariance_of_the_codes(parts):
    encoder, decoder, *_ = parts
    model = Autoencoder(encoder, decoder, 2).double()
    codes = np.random.default_rng(1).normal(size=(500, 2)) @ [[2.0, 0.0], [1.5, 0.3]] + [5.0, -1.0]
    model.prior.fit(torch.from_numpy(codes))
    prior = model.prior()
    np.testing.assert_allclose(prior.mean.numpy(), codes.mean(0), rtol=1e-12)
    np.testing.assert_allclose(prior.covariance_matrix.numpy(), np.cov(codes.T), atol=1e-5)
    expected = stats.multivariate_normal(codes.mean(0), np.cov(codes.T)).logpdf(codes[:9])
    np.testing.assert_allclose(prior.log_prob(torch.from_numpy(codes[:9])).numpy(), expected, rtol=1e-3)


def test_codes_without_variance_can_still_be_fitted(parts):
    encoder, decoder, *_ = parts
    model = Autoencoder(encoder, decoder, 2)
    codes = torch.stack([torch.randn(50, generator=torch.Generator().manual_seed(0)), torch.full((50,), 3.0)], 1)
    model.prior.fit(codes)
    torch.manual_seed(0)
    z = model.prior().sample((1000,))
    assert torch.isfinite(z).all()
    assert float(z[:, 1].std()) < 0.01
    assert float(z[:, 1].mean()) == pytest.approx(3.0, abs=1e-3)
