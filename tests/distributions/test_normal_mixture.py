import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

from vaekit.distributions import DiagonalNormal, NormalMixture

WEIGHTS = np.array([0.2, 0.5, 0.3])
MEAN = np.array([[0.0, 1.0], [-2.0, 0.5], [3.0, -1.0]])
STD = np.array([[1.0, 0.1], [0.01, 2.0], [0.5, 0.5]])


def mixture(dtype=torch.float32):
    return NormalMixture(*(torch.tensor(part, dtype=dtype) for part in (np.log(WEIGHTS), MEAN, STD)))


def exact(z):
    parts = [stats.norm.logpdf(z, m, s).sum(-1) for m, s in zip(MEAN, STD, strict=True)]
    return logsumexp(np.stack(parts, -1) + np.log(WEIGHTS), axis=-1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_log_prob_is_the_sum_over_components(dtype, tolerance):
    z = np.random.default_rng(0).normal(size=(4, 5, 2)) * 2
    z[0, 0] = MEAN[1]  # at the height of a narrow component
    told = mixture(dtype).log_prob(torch.tensor(z, dtype=dtype))
    assert told.dtype == dtype
    np.testing.assert_allclose(told.numpy(), exact(z), rtol=tolerance, atol=10 * tolerance)


def test_narrow_components_far_from_the_origin_lose_no_digits():
    mean, std = torch.full((2, 3), 1000.0), torch.full((2, 3), 1e-3)
    told = NormalMixture(torch.tensor([0.5, 0.5]).log(), mean, std).log_prob(mean[:1] + 1e-3)
    shown = (mean[0] + 1e-3).double().numpy() - 1000.0  # what single precision makes of the place
    assert told.item() == pytest.approx(stats.norm.logpdf(shown, 0, float(std[0, 0])).sum(), abs=1e-3)


def test_a_mixture_of_one_is_the_gaussian():
    mean, std = torch.randn(1, 4), torch.rand(1, 4) + 0.1
    z = torch.randn(6, 4)
    torch.testing.assert_close(
        NormalMixture(torch.zeros(1), mean, std).log_prob(z), DiagonalNormal(mean[0], std[0]).log_prob(z)
    )


def test_draws_have_the_moments_of_the_mixture():
    torch.manual_seed(0)
    p = mixture(torch.float64)
    z = p.sample((200_000,)).numpy()
    mean = WEIGHTS @ MEAN
    variance = WEIGHTS @ (STD**2 + MEAN**2) - mean**2
    np.testing.assert_allclose(p.mean.numpy(), mean)
    np.testing.assert_allclose(p.variance.numpy(), variance)
    error = np.sqrt(variance / len(z))
    assert (np.abs(z.mean(0) - mean) < 4.5 * error).all()
    np.testing.assert_allclose(z.var(0), variance, rtol=0.02)
    assert p.sample((3, 2)).shape == (3, 2, 2)
    assert p.sample().shape == (2,)


def test_gradients_reach_all_parameters():
    log_weights, mean, std = (torch.tensor(part, requires_grad=True) for part in (np.log(WEIGHTS), MEAN, STD))
    z = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    function = lambda w, m, s, z: NormalMixture(w, m, s).log_prob(z)  # noqa: E731
    assert torch.autograd.gradcheck(function, (log_weights, mean, std, z))


def test_noise_chooses_a_component_by_its_share_and_then_a_vector():
    uniform, noise = (np.arange(1000) + 0.5) / 1000, np.random.default_rng(0).normal(size=(1000, 2))
    chosen = np.searchsorted(np.cumsum(WEIGHTS), uniform)
    assert np.bincount(chosen).tolist() == [200, 500, 300]
    found = mixture(torch.float64).draw(torch.from_numpy(uniform), torch.from_numpy(noise))
    np.testing.assert_allclose(found, MEAN[chosen] + STD[chosen] * noise, rtol=1e-12)
    last = mixture().draw(torch.tensor([1.0, 0.0]), torch.zeros(2, 2))  # uniform numbers that were rounded to an end
    np.testing.assert_allclose(last, MEAN[[2, 0]])
