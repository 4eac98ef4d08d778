"""The autoencoder's objective: the squared error in full, and no rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vaekit.models import Autoencoder
from vaekit.networks import MLP
from vaekit.objectives import Loss, ReconstructionError


@pytest.mark.parametrize("beta", [0.0, 1.0, 9.0])
def test_terms_of_each_example(beta):
    torch.manual_seed(0)
    encoder, decoder = MLP((2, 3), (2,)).double(), MLP((2,), (2, 3, 1)).double()
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    (A, a), (B, b) = ([p.detach().numpy() for p in network.parameters()] for network in (encoder, decoder))
    code = x.reshape(7, 6) @ A.T + a
    error = ((x.reshape(7, 6) - code @ B.T - b) ** 2).sum(1)
    model = Autoencoder(encoder, decoder, 2).double()
    terms = Loss(model, ReconstructionError())(torch.from_numpy(x), torch.tensor(beta))
    for found, expected in zip(terms, (error, error, np.zeros(7)), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-9)
    # the model's own loss is the mean of the objective's
    assert model(torch.from_numpy(x))[1].item() == pytest.approx(error.mean(), rel=1e-12)
