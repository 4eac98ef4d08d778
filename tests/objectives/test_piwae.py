"""PIWAE: the number of IWAE, its gradient for decoder and prior, and that of MIWAE for the encoder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import oracles
from builders import bernoulli_vae, linear_vae
from vaekit.models import Encoder, GaussianMixture, VampPrior
from vaekit.models.flows import FlowPosterior
from vaekit.networks import MLP
from vaekit.objectives import Loss, NegativeIWAE, NegativeMIWAE, NegativePIWAE


def gaussian(prior):
    """An affine model, in float64."""
    rng = np.random.default_rng(0)
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    model = linear_vae(oracle, rng.normal(size=(2, 5)), rng.normal(size=2), np.array([0.4, 1.7]), samples=6)
    torch.manual_seed(1)
    model.prior = GaussianMixture(2, 3).double() if prior == "mixture" else model.prior
    return model, torch.from_numpy(oracle.sample(8, rng))


def flowing():
    """One whose posterior knows the density of its own draws without going back through z; with dropout in the decoder."""
    torch.manual_seed(2)
    model = bernoulli_vae(latent_dim=2, dropout=0.3, samples=6)
    posterior = FlowPosterior(2, 2, 3, (8,))
    model.encoder = Encoder(MLP((4,), (posterior.features,), (6,)), posterior)
    for parameter in model.encoder.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model.double(), torch.bernoulli(torch.full((8, 4), 0.4, dtype=torch.float64))


def gradients(objective, x, beta=1.0, seed=3):
    """Loss of each example, and the gradient of its mean by the name of the parameter."""
    torch.manual_seed(seed)
    objective.zero_grad()
    loss = objective(x, torch.tensor(beta, dtype=x.dtype)).loss
    loss.mean().backward()
    return loss.detach(), {name: p.grad.clone() for name, p in objective.model.named_parameters()}


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
@pytest.mark.parametrize("beta", [0.4, 1.0])
@pytest.mark.parametrize("make", [lambda: gaussian("normal"), lambda: gaussian("mixture"), flowing])
def test_each_side_has_the_gradient_of_its_bound(make, groups, beta):
    model, x = make()
    found, own = gradients(Loss(model, NegativePIWAE(groups)), x, beta)
    iwae, tight = gradients(Loss(model, NegativeIWAE()), x, beta)
    _, loose = gradients(Loss(model, NegativeMIWAE(groups)), x, beta)
    torch.testing.assert_close(found, iwae, rtol=1e-12, atol=0)
    for name, gradient in own.items():
        encoder = name.startswith("encoder")
        torch.testing.assert_close(gradient, (loose if encoder else tight)[name], rtol=1e-9, atol=1e-12)
        assert groups == 1 or (gradient - (tight if encoder else loose)[name]).norm() > 1e-3 * gradient.norm()


def test_both_gradients_by_hand(linear_gaussian):
    """Of a decoder's bias and of the encoder's: Σ_k of weights over all draws, and within groups."""
    oracle, X, V, c, std = linear_gaussian
    model = linear_vae(oracle, V, c, std, samples=6)
    _, own = gradients(Loss(model, NegativePIWAE(2)), torch.from_numpy(X))
    torch.manual_seed(3)
    noise = torch.randn(6, len(X), 2, dtype=torch.float64).numpy()
    mean = X @ V.T + c
    z = mean + std * noise
    log_x = stats.norm(z @ oracle.W.T + oracle.b, math.sqrt(oracle.variance)).logpdf(X).sum(-1)
    log_w = log_x + stats.norm.logpdf(z).sum(-1) - stats.norm(mean, std).logpdf(z).sum(-1)
    residual = (X - z @ oracle.W.T - oracle.b) / oracle.variance
    tight = np.exp(log_w - np.logaddexp.reduce(log_w))[..., None]
    loose = np.concatenate([np.exp(g - np.logaddexp.reduce(g)) / 2 for g in np.split(log_w, 2)])[..., None]
    bias = -(tight * residual).sum(0).mean(0)
    moved = -(loose * (residual @ oracle.W - z)).sum(0).mean(0)  # log q does not change as z moves with its mean
    np.testing.assert_allclose(own["decoder.network.layers.0.bias"].numpy(), bias, rtol=1e-9)
    np.testing.assert_allclose(own["encoder.c"].numpy(), moved, rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_groups_without_weight_still_teach_the_encoder(linear_gaussian, scale):
    """In float32, where whole groups have weights e^−100, or e^−100000, times those of others."""
    oracle, X, V, c, std = linear_gaussian
    model, x = linear_vae(oracle, V, scale * c, scale * std, samples=6).float(), torch.from_numpy(X).float()
    _, own = gradients(Loss(model, NegativePIWAE(3)), x)
    for objective, side in ((Loss(model, NegativeIWAE()), "decoder"), (Loss(model, NegativeMIWAE(3)), "encoder")):
        _, wanted = gradients(objective, x)
        for name in (name for name in own if name.startswith(side)):
            torch.testing.assert_close(own[name], wanted[name], rtol=1e-4, atol=1e-5 * float(wanted[name].norm()))


def test_an_encoder_within_the_prior_follows_the_prior_there(linear_gaussian):
    """Of a VampPrior: of each path what that path is due."""
    oracle, X, V, c, std = linear_gaussian
    model, x = linear_vae(oracle, V, c, std, samples=6), torch.from_numpy(X)

    def split(objective):
        """Gradients of the encoder in the posterior and of a copy of it in the prior."""
        twin = linear_vae(oracle, V, c, std).encoder
        torch.manual_seed(0)
        model.prior = VampPrior(twin, (5,), 3).double()
        _, found = gradients(objective, x)
        return found["encoder.V"], twin.V.grad

    (own, prior), (_, tight), (loose, _) = map(
        split, (Loss(model, NegativePIWAE(2)), Loss(model, NegativeIWAE()), Loss(model, NegativeMIWAE(2)))
    )
    torch.testing.assert_close(own, loose)
    torch.testing.assert_close(prior, tight)
