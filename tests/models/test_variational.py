"""log p(x) = ELBO + KL, its terms, the loss that is made of them, and where its gradients go."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_expit
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily

import oracles
from builders import AffineEncoder, bernoulli_vae, decoder_weights, exact_vae, linear_vae
from vaekit.distributions import DiagonalNormal
from vaekit.errors import VaekitError
from vaekit.models import Diagonal, Encoder, StandardNormal, VariationalAutoEncoder
from vaekit.networks import MLP, Rescale

P, K = 5, 2


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def orthogonal(rng):
    """A linear-Gaussian model whose exact posterior is diagonal."""
    directions = np.linalg.qr(rng.normal(size=(P, K)))[0]
    return oracles.LinearGaussian(directions * [2.0, 0.7], rng.normal(size=P), 0.3)


@pytest.fixture
def oblique(rng):
    return oracles.LinearGaussian(rng.normal(size=(P, K)), rng.normal(size=P), 0.6)


def sigma_noise(n):
    """Sigma points as noise of shape (M, n, K): D is then its exact expectation for a linear decoder."""
    return torch.from_numpy(np.repeat(oracles.sigma_points(K)[:, None], n, axis=1))


def test_log_evidence_is_elbo_plus_kl_to_the_exact_posterior(oblique, rng):
    X, V, c, std = oblique.sample(20, rng), rng.normal(size=(K, P)), rng.normal(size=K), np.array([0.4, 1.7])
    mean = X @ V.T + c
    model = linear_vae(oblique, V, c, std)
    joint = model.draw(torch.from_numpy(X), noise=sigma_noise(20))
    distortion, rate = joint.distortion().detach().numpy(), joint.rate().detach().numpy()

    np.testing.assert_allclose(distortion, oblique.expected_distortion(X, mean, np.diag(std**2)), rtol=1e-12)
    np.testing.assert_allclose(rate, oracles.standard_normal_kl(mean, np.tile(std, (20, 1))), rtol=1e-12)
    exact_mean, exact_covariance = oblique.posterior(X)
    gap = [oracles.gaussian_kl(m, np.diag(std**2), e, exact_covariance) for m, e in zip(mean, exact_mean, strict=True)]
    np.testing.assert_allclose(-(distortion + rate) + gap, oblique.log_prob(X), atol=1e-9, rtol=1e-9)


def test_with_the_exact_posterior_every_draw_weighs_the_evidence(orthogonal, rng):
    X = orthogonal.sample(20, rng)
    model = exact_vae(orthogonal)
    noise = torch.from_numpy(3 * rng.normal(size=(30, 20, K)))  # any z will do, likely or not
    weights = model.draw(torch.from_numpy(X), noise=noise).log_weights().detach().numpy()
    np.testing.assert_allclose(weights, np.tile(orthogonal.log_prob(X), (30, 1)), atol=1e-9, rtol=0)


def test_a_rotated_basis_costs_elbo_at_equal_likelihood(orthogonal, rng):
    X = orthogonal.sample(20, rng)
    turn = np.array([[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]])
    rotated = oracles.LinearGaussian(orthogonal.W @ turn, orthogonal.b, orthogonal.variance)
    np.testing.assert_allclose(rotated.log_prob(X), orthogonal.log_prob(X), rtol=1e-12)

    V, c, covariance = rotated.affine_posterior()
    precision = np.linalg.inv(covariance)
    best_std = np.diag(precision) ** -0.5  # of all diagonal posteriors the one nearest in KL[q ‖ p]
    joint = linear_vae(rotated, V, c, best_std).draw(torch.from_numpy(X), noise=sigma_noise(20))
    elbo = -(joint.distortion() + joint.rate()).detach().numpy()
    cost = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    assert cost > 0.1
    np.testing.assert_allclose(rotated.log_prob(X) - elbo, cost, rtol=1e-9)


def test_terms_of_a_nonlinear_model_draw_by_draw(rng):
    model = bernoulli_vae(features=4, seed=3).double()
    x, noise = rng.integers(0, 2, (6, 4)).astype(float), rng.normal(size=(5, 6, 1))
    joint = model.draw(torch.from_numpy(x), noise=torch.from_numpy(noise))
    mean, std = (t.detach().numpy() for t in (joint.posterior.mean, joint.posterior.stddev))
    z, network = mean + std * noise, decoder_weights(model)
    offset = model.decoder.likelihood.offset.detach().numpy()[:, 0]
    for m in range(5):
        for n in range(6):
            log_x = log_expit((2 * x[n] - 1) * (oracles.tanh_network(z[m, n, 0], network) + offset)).sum()
            ratio = stats.norm.logpdf(z[m, n, 0]) - stats.norm.logpdf(z[m, n, 0], mean[n, 0], std[n, 0])
            assert joint.log_likelihood[m, n].item() == pytest.approx(log_x, rel=1e-9)
            assert joint.log_weights()[m, n].item() == pytest.approx(log_x + ratio, rel=1e-9)
    np.testing.assert_allclose(joint.distortion().detach(), -joint.log_likelihood.detach().mean(0), rtol=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_loss_is_distortion_plus_weighted_rate(oblique, rng, beta, samples):
    X, V, c, std = oblique.sample(8, rng), rng.normal(size=(K, P)), rng.normal(size=K), np.array([0.4, 1.7])
    model = linear_vae(oblique, V, c, std, kl_weight=beta, samples=samples)
    torch.manual_seed(7)
    y, loss = model(torch.from_numpy(X))
    torch.manual_seed(7)
    noise = torch.randn(samples, 8, K, dtype=torch.float64).numpy()

    mean = X @ V.T + c
    location = (mean + std * noise) @ oblique.W.T + oblique.b
    distortion = -stats.norm(location, math.sqrt(oblique.variance)).logpdf(X).sum(-1).mean(0)
    rate = oracles.standard_normal_kl(mean, np.tile(std, (8, 1)))
    np.testing.assert_allclose(y.detach().numpy(), location.mean(0), rtol=1e-10)
    assert loss.item() == pytest.approx((distortion + beta * rate).mean(), rel=1e-12)


def test_the_closed_form_matching_term_of_mean_and_std(rng):
    mean, std = rng.normal(size=(7, 3)), rng.uniform(0.1, 3, (7, 3))
    found = VariationalAutoEncoder.kl_divergence(torch.from_numpy(mean), torch.from_numpy(std)).item()
    assert found == pytest.approx(oracles.standard_normal_kl(mean, std).mean(), rel=1e-12)
    # the logarithm is of the variance: with log σ in its place every term but the right one would show here
    wrong = -0.5 * (1 + np.log(std) - mean**2 - std**2).sum(1).mean()
    assert abs(found - wrong) > 0.1


def test_the_matching_term_is_zero_at_the_prior_and_quadratic_in_the_mean():
    assert VariationalAutoEncoder.kl_divergence(torch.zeros(4, 3), torch.ones(4, 3)).item() == 0
    assert VariationalAutoEncoder.kl_divergence(torch.full((4, 3), 2.0), torch.ones(4, 3)).item() == pytest.approx(6)
    halved = VariationalAutoEncoder.kl_divergence(torch.zeros(4, 1), torch.full((4, 1), 0.5)).item()
    assert halved == pytest.approx(0.5 * (0.25 - 1 + 2 * math.log(2)))


def test_a_rate_without_closed_form_is_estimated_from_the_same_draws(oblique, rng):
    class TwoBumps(nn.Module):
        def forward(self):
            mean = torch.tensor([[-1.0, 0.0], [1.0, 0.5]]).double()
            return MixtureSameFamily(
                Categorical(logits=torch.zeros(2).double()), DiagonalNormal(mean, torch.ones(2, 2))
            )

    X, V, c, std = oblique.sample(6, rng), rng.normal(size=(K, P)), rng.normal(size=K), np.array([0.4, 1.7])
    model = linear_vae(oblique, V, c, std)
    model.prior = TwoBumps()
    joint = model.draw(torch.from_numpy(X), samples=9)
    z, mean = joint.z.detach().numpy(), X @ V.T + c
    bumps = [stats.norm.logpdf(z, m, 1).sum(-1) for m in ([-1.0, 0.0], [1.0, 0.5])]
    prior = np.logaddexp(*bumps) - math.log(2)
    expected = (stats.norm.logpdf(z, mean, std).sum(-1) - prior).mean(0)
    np.testing.assert_allclose(joint.rate().detach().numpy(), expected, rtol=1e-9)


def test_doubling_the_features_doubles_the_distortion_and_leaves_the_rate(oblique, rng):
    X, V, c, std = oblique.sample(9, rng), rng.normal(size=(K, P)), rng.normal(size=K), np.array([0.4, 1.7])
    twice = oracles.LinearGaussian(np.tile(oblique.W, (2, 1)), np.tile(oblique.b, 2), oblique.variance)
    once = linear_vae(oblique, V, c, std).draw(torch.from_numpy(X), noise=sigma_noise(9))
    again = linear_vae(twice, np.hstack([V, 0 * V]), c, std).draw(
        torch.from_numpy(np.tile(X, (1, 2))), noise=sigma_noise(9)
    )
    np.testing.assert_allclose(again.distortion().detach(), 2 * once.distortion().detach(), rtol=1e-12)
    np.testing.assert_allclose(again.rate().detach(), once.rate().detach(), rtol=1e-12)


def test_the_weight_of_the_rate_does_not_depend_on_the_number_of_features(rng):
    slopes = []
    for features in (P, 10 * P):
        oracle = oracles.LinearGaussian(rng.normal(size=(features, K)), rng.normal(size=features), 0.5)
        X, losses = oracle.sample(4, np.random.default_rng(1)), []
        for beta in (0.0, 1.0):
            V, c = np.zeros((K, features)), np.array([1.0, -2.0])
            model = linear_vae(oracle, V, c, np.array([0.5, 2.0]), kl_weight=beta)
            torch.manual_seed(0)
            losses.append(model(torch.from_numpy(X))[1].item())
        slopes.append(losses[1] - losses[0])
    expected = oracles.standard_normal_kl(np.array([[1.0, -2.0]]), np.array([[0.5, 2.0]]))[0]
    np.testing.assert_allclose(slopes, expected, rtol=1e-9)


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
def test_the_rate_is_never_switched_off(rng, beta):
    # the decoder ignores z, so that whatever gradient reaches the encoder comes from the rate
    oracle = oracles.LinearGaussian(np.zeros((P, K)), rng.normal(size=P), 0.5)
    mean, std = np.array([0.01, -2.0]), np.array([0.3, 1.5])
    model = linear_vae(oracle, np.zeros((K, P)), mean, std, kl_weight=beta)
    model(torch.from_numpy(oracle.sample(6, rng)))[1].backward()
    np.testing.assert_allclose(model.encoder.c.grad.numpy(), beta * mean, rtol=1e-10)
    np.testing.assert_allclose(model.encoder.std.grad.numpy(), beta * (std - 1 / std), rtol=1e-10)


def test_reparameterized_gradients_are_the_analytic_ones(oblique, rng):
    X, V, c, std = oblique.sample(1, rng), np.zeros((K, P)), rng.normal(size=K), np.array([0.4, 1.7])
    model = linear_vae(oblique, V, c, std)
    model.draw(torch.from_numpy(X), noise=sigma_noise(1)).distortion().sum().backward()
    residual = X[0] - oblique.b - oblique.W @ c
    np.testing.assert_allclose(model.encoder.c.grad, -oblique.W.T @ residual / oblique.variance, rtol=1e-10)
    squares = np.diag(oblique.W.T @ oblique.W)
    np.testing.assert_allclose(model.encoder.std.grad, std * squares / oblique.variance, rtol=1e-10)


def test_gradients_by_fresh_draws_agree_with_the_analytic_ones(oblique, rng):
    # z-tests of four gradients at |z| < 5: false alarm 2e-6
    X, c, std = oblique.sample(1, rng), rng.normal(size=K), np.array([0.4, 1.7])
    n = 20_000
    mean = torch.from_numpy(np.tile(c, (n, 1))).requires_grad_()
    spread = torch.from_numpy(np.tile(std, (n, 1))).requires_grad_()
    model = linear_vae(oblique, np.zeros((K, P)), c, std)
    torch.manual_seed(0)
    joint = model.draw(torch.from_numpy(np.tile(X, (n, 1))), posterior=DiagonalNormal(mean, spread))
    joint.distortion().sum().backward()
    expected = -oblique.W.T @ (X[0] - oblique.b - oblique.W @ c) / oblique.variance
    assert np.abs(oracles.z_scores(mean.grad.numpy(), expected)).max() < 5
    expected = std * np.diag(oblique.W.T @ oblique.W) / oblique.variance
    assert np.abs(oracles.z_scores(spread.grad.numpy(), expected)).max() < 5


def test_gradients_of_the_loss_reach_every_parameter():
    model = bernoulli_vae(features=4, latent_dim=2).double()
    torch.manual_seed(0)
    model(torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]).double())[1].backward()
    assert all((p.grad != 0).any() for p in model.parameters())


def test_encode_and_decode_are_deterministic_means(oblique, rng):
    X, V, c = oblique.sample(6, rng), rng.normal(size=(K, P)), rng.normal(size=K)
    model = linear_vae(oblique, V, c, np.array([0.4, 1.7]))
    with torch.no_grad():
        z = model.encode(torch.from_numpy(X))
        np.testing.assert_allclose(z.numpy(), X @ V.T + c, rtol=1e-12)
        np.testing.assert_allclose(model.decode(z).numpy(), z.numpy() @ oblique.W.T + oblique.b, rtol=1e-12)


def test_the_encoder_reads_mean_and_bounded_log_std(rng):
    torch.manual_seed(0)
    network = MLP((3,), (4,)).double()
    with torch.no_grad():
        network.layers[0].weight.mul_(20)
    x = rng.normal(size=(50, 3))
    q = Encoder(network, Diagonal(2), Rescale(1.0, 2.0))(torch.from_numpy(x))
    W, b = (p.detach().numpy() for p in network.parameters())
    raw = (x - 1) / 2 @ W.T + b
    np.testing.assert_allclose(q.mean.detach().numpy(), raw[:, :2], rtol=1e-9, atol=1e-12)
    expected = np.exp(oracles.soft_clamp(raw[:, 2:], -9, 5))
    np.testing.assert_allclose(q.stddev.detach().numpy(), expected, rtol=1e-7)
    assert raw[:, 2:].min() < -9
    assert raw[:, 2:].max() > 5


def test_the_prior_is_standard_normal(rng):
    z = rng.normal(size=(6, 3))
    found = StandardNormal(3).double()().log_prob(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(found, stats.multivariate_normal(np.zeros(3), np.eye(3)).logpdf(z), rtol=1e-12)


@pytest.mark.parametrize(
    ("latent_dim", "options", "message"),
    [(2, {"samples": 0}, "samples"), (2, {"kl_weight": -0.1}, "kl_weight"), (2, {"kl_weight": math.nan}, "kl_weight"), (0, {}, "latent_dim")],
)  # fmt: skip
def test_settings_without_meaning_are_refused(latent_dim, options, message):
    model = bernoulli_vae()
    with pytest.raises(VaekitError, match=message):
        VariationalAutoEncoder(AffineEncoder([[1.0]], [0.0], [1.0]), model.decoder, latent_dim, **options)
