"""Von Mises and Fisher's law against scipy's Bessel functions, against its own draws, and against draws of scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import kl_divergence

from vaekit.distributions import DiagonalNormal, VonMisesFisher

CASES = [(2, 0.3), (2, 500.0), (3, 5.0), (8, 40.0), (40, 1.0), (40, 5000.0), (200, 300.0)]


def law(d, kappa):
    direction = np.random.default_rng(0).normal(size=d)
    direction /= np.linalg.norm(direction)
    return VonMisesFisher(torch.from_numpy(direction), torch.tensor(kappa, dtype=torch.float64))


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_normalizer_and_mean_cosine_are_ratios_of_bessel_functions(d, kappa):
    q, order = law(d, kappa), d / 2 - 1
    # Z(κ)/Z(0) = Γ(d/2) (2/κ)^{d/2−1} I_{d/2−1}(κ), E t = I_{d/2}(κ)/I_{d/2−1}(κ)
    expected = math.lgamma(d / 2) + order * math.log(2 / kappa) + math.log(special.ive(order, kappa))
    assert float(q.normalizer) == pytest.approx(expected, rel=1e-7, abs=1e-7)
    assert float(q.cosine) == pytest.approx(special.ive(d / 2, kappa) / special.ive(order, kappa), rel=1e-7)


@pytest.mark.parametrize(("d", "kappa"), CASES[1:5])
def test_the_density_is_that_on_the_sphere_times_that_of_the_length(d, kappa):
    q = law(d, kappa)
    z = np.random.default_rng(1).normal(size=(5, d)) / math.sqrt(d) + q.direction.numpy()
    length = np.linalg.norm(z, axis=1)
    sphere = stats.vonmises_fisher(q.direction.numpy(), kappa).logpdf(z / length[:, None])
    expected = sphere + stats.chi(d).logpdf(length) - (d - 1) * np.log(length)  # dz = r^{d−1} dr dω
    np.testing.assert_allclose(q.log_prob(torch.from_numpy(z)).numpy(), expected, rtol=1e-7)


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_cosines_of_draws_have_the_law_and_lengths_that_of_noise(d, kappa):
    q = law(d, kappa)
    torch.manual_seed(0)
    z = q.rsample((2000,)).numpy()
    length = np.linalg.norm(z, axis=1)
    told = z @ q.direction.numpy() / length
    drawn = stats.vonmises_fisher(q.direction.numpy(), kappa).rvs(2000, random_state=1) @ q.direction.numpy()
    assert stats.ks_2samp(told, drawn).pvalue > 1e-3
    assert stats.kstest(length, stats.chi(d).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_moments_and_divergence_are_those_of_draws(d, kappa):
    q, rng = law(d, kappa), np.random.default_rng(2)
    p = DiagonalNormal(torch.from_numpy(rng.normal(size=d) * 0.3), torch.from_numpy(rng.uniform(0.5, 2, d)))
    torch.manual_seed(0)
    z = q.rsample((40_000,))
    error = z.std(0) / 200
    assert float(((q.mean - z.mean(0)) / error).abs().max()) < 4.5
    assert float((q.stddev / z.std(0) - 1).abs().max()) < 0.03
    ratio = q.log_prob(z) - p.log_prob(z)
    assert abs(float(kl_divergence(q, p) - ratio.mean())) < 4 * float(ratio.std()) / 200


def test_without_concentration_it_is_standard_normal_noise():
    q = law(5, 0.0)
    z = torch.randn(6, 5, dtype=torch.float64)
    unit = DiagonalNormal(torch.zeros(5, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(q.log_prob(z), unit.log_prob(z))
    assert float(kl_divergence(q, unit)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_the_map_is_that_of_the_law_and_can_be_undone(d, kappa):
    """Its slope by differences, not by the formula for the density that its gradient is made of."""
    q = law(d, kappa)
    noise = torch.from_numpy(np.random.default_rng(3).normal(size=(50, d)))
    torch.testing.assert_close(q.standardize(q.reparameterize(noise)), noise, rtol=0, atol=1e-9)
    x = q.law.nodes[100:150] + 0.3 * (q.law.nodes[1] - q.law.nodes[0])
    slope = (q.law.probability(x + 1e-5) - q.law.probability(x - 1e-5)) / 2e-5
    torch.testing.assert_close(slope, q.law.at(x), rtol=1e-4, atol=5e-5)


def test_gradients_of_draws_density_and_divergence_are_those_of_finite_differences():
    direction, kappa = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64), torch.tensor(7.0, dtype=torch.float64)
    unit = DiagonalNormal(torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64))
    noise = torch.tensor([[0.3, -1.0, 0.4], [-1.0, 0.2, 0.9]], dtype=torch.float64)

    def all_of(v, kappa):
        q = VonMisesFisher(torch.nn.functional.normalize(v, dim=-1), kappa)
        return q.reparameterize(noise), q.log_prob(noise), kl_divergence(q, unit), q.standardize(noise)

    inputs = (direction.requires_grad_(), kappa.requires_grad_())
    assert torch.autograd.gradcheck(all_of, inputs, atol=1e-5)
