"""The chain of binary features against its own enumeration, written with numpy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
from vaekit.distributions import autoregressive_bernoulli
from vaekit.distributions.autoregressive_bernoulli import MEAN_DRAWS
from vaekit.errors import VaekitError
from vaekit.models.likelihoods import AutoregressiveBernoulli, Bernoulli

SHAPE = (2, 2, 1)
ROWS = np.array(list(product((0.0, 1.0), repeat=4)))


def made(strength=1.5, seed=0):
    """A likelihood with a random matrix, above the diagonal, too, and a network's output for two examples."""
    generator = torch.Generator().manual_seed(seed)
    likelihood = AutoregressiveBernoulli(SHAPE).double()
    likelihood.start((torch.rand(300, *SHAPE, generator=generator) < 0.3).double())
    with torch.no_grad():
        likelihood.weight.normal_(generator=generator).mul_(strength)
    return likelihood, torch.randn(2, *SHAPE, 1, generator=generator, dtype=torch.float64)


def by_hand(likelihood, raw):
    """p(x_i = 1 | x_1 … x_{i−1}) of every row of zeros and ones, shape (2, 16, 4), and p(x), shape (2, 16)."""
    logits = (raw + likelihood.offset).detach().numpy().reshape(2, 4)
    weight, centre = likelihood.weight.detach().numpy(), likelihood.centre.numpy()
    ones = np.empty((2, 16, 4))
    for example, (place, row), i in product(range(2), enumerate(ROWS), range(4)):
        pull = sum(weight[i, j] * (row[j] - centre[j]) for j in range(i))
        ones[example, place, i] = oracles.sigmoid(logits[example, i] + pull)
    each = np.where(ROWS == 1, ones, 1 - ones)
    return ones, each.prod(-1)


def test_probabilities_are_those_of_the_chain_and_sum_to_one():
    likelihood, raw = made()
    ones, whole = by_hand(likelihood, raw)
    values = torch.from_numpy(ROWS).reshape(16, 1, *SHAPE)
    p = likelihood(raw)
    np.testing.assert_allclose(p.log_prob(values).detach().numpy().T, np.log(whole), rtol=1e-10)
    each = np.log(np.where(ROWS == 1, ones, 1 - ones)).swapaxes(0, 1)
    np.testing.assert_allclose(p.base_dist.log_prob(values).detach().numpy().reshape(16, 2, 4), each, rtol=1e-10)
    np.testing.assert_allclose(p.log_prob(values).exp().sum(0).detach().numpy(), 1, rtol=1e-12)


def test_draws_follow_the_joint_distribution():
    # two tests of goodness of fit at 1e-6: false alarm 2e-6
    likelihood, raw = made()
    _, whole = by_hand(likelihood, raw)
    torch.manual_seed(1)
    drawn = likelihood(raw).sample((20_000,)).reshape(20_000, 2, 4).numpy()
    for example in range(2):
        seen = np.bincount((drawn[:, example] @ [8, 4, 2, 1]).astype(int), minlength=16)
        assert stats.chisquare(seen, 20_000 * whole[example]).pvalue > 1e-6


def test_the_mean_is_near_the_exact_one_and_the_same_on_every_call():
    likelihood, raw = made()
    _, whole = by_hand(likelihood, raw)
    p = likelihood(raw)
    found = p.mean.reshape(2, 4).numpy()
    np.testing.assert_array_equal(found, p.mean.reshape(2, 4).numpy())
    np.testing.assert_allclose(found[:, 0], (whole @ ROWS)[:, 0], rtol=1e-12)  # the first has nothing before it
    np.testing.assert_allclose(found, whole @ ROWS, atol=0.5 / np.sqrt(MEAN_DRAWS))
    np.testing.assert_array_equal(likelihood(raw[1:]).mean.reshape(4).numpy(), found[1])  # whatever stands beside it


def test_reduced_precision_does_not_reach_it():
    likelihood, raw = made()
    likelihood, raw = likelihood.float(), raw.float()
    values = torch.from_numpy(ROWS).float().reshape(16, 1, *SHAPE)
    expected = likelihood(raw).log_prob(values)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(likelihood(raw).log_prob(values), expected)


def test_the_mean_of_many_rows_is_made_of_fewer_draws_at_once(monkeypatch):
    likelihood, raw = made()
    expected = likelihood(raw).mean
    monkeypatch.setattr(autoregressive_bernoulli, "MOST_NUMBERS", 5 * raw.numel())
    torch.testing.assert_close(likelihood(raw).mean, expected)


def test_without_weights_it_is_the_bernoulli_likelihood():
    likelihood, raw = made(strength=0.0)
    plain = Bernoulli(SHAPE).double()
    plain.load_state_dict({"offset": likelihood.offset})
    values = torch.from_numpy(ROWS).reshape(16, 1, *SHAPE)
    torch.testing.assert_close(likelihood(raw).log_prob(values), plain(raw).log_prob(values))
    torch.testing.assert_close(likelihood(raw).mean, plain(raw).mean.detach())


def test_weights_learn_from_what_stands_before_only():
    likelihood, raw = made()
    likelihood(raw).log_prob(torch.ones(2, *SHAPE).double()).sum().backward()
    touched = likelihood.weight.grad.numpy() != 0
    np.testing.assert_array_equal(touched, np.tri(4, k=-1, dtype=bool))


def test_examples_of_too_many_pairs_are_refused():
    with pytest.raises(VaekitError, match=r"at most 4,096 numbers for likelihood=autoregressive_bernoulli. Got 4,225"):
        AutoregressiveBernoulli((65, 65, 1))
