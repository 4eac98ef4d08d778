"""The categorical distribution over ordered levels has the moments of its probabilities."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import log_softmax

from vaekit.distributions import OrderedCategorical


def test_probabilities_and_moments_by_enumeration():
    logits = np.random.default_rng(0).normal(size=(3, 4, 5)) * 2
    p, k = OrderedCategorical(torch.from_numpy(logits)), np.arange(5)
    log_probability = log_softmax(logits, axis=-1)
    found = p.log_prob(torch.arange(5).reshape(5, 1, 1).expand(5, 3, 4)).numpy()
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), log_probability, rtol=1e-12)
    mean = (np.exp(log_probability) * k).sum(-1)
    np.testing.assert_allclose(p.mean.numpy(), mean, rtol=1e-12)
    variance = (np.exp(log_probability) * (k - mean[..., None]) ** 2).sum(-1)
    np.testing.assert_allclose(p.variance.numpy(), variance, rtol=1e-12)


def test_moments_do_not_depend_on_a_constant_added_to_the_logits():
    logits = torch.tensor([0.3, -1.0, 2.0]).double()
    np.testing.assert_allclose(
        OrderedCategorical(logits + 700).mean.numpy(), OrderedCategorical(logits).mean.numpy(), rtol=1e-12
    )
