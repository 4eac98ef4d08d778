"""Log-likelihoods in closed form, and the faults that an audit must find in them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

SHARES = np.linspace(0.15, 0.8, 9)
LOG_2PI = np.log(2 * np.pi)


def pixels(x):
    """log p of each of nine independent pixels, shape (n, 9)."""
    x = x.reshape(len(x), -1)
    return np.log(SHARES) * x + np.log(1 - SHARES) * (1 - x)


def independent(x):
    """log p of nine independent pixels."""
    return pixels(x).sum(1)


class SmallVAE(nn.Module):
    """The ELBO of 3×3 pixels from one draw; with `sign=-1` the divergence is added."""

    def __init__(self, sign=1):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoder, self.decoder, self.sign = nn.Linear(9, 4), nn.Linear(2, 9), sign

    def forward(self, x):
        mean, raw = self.encoder(x.flatten(1)).chunk(2, 1)
        q = Normal(mean, raw.exp())
        fit = Bernoulli(logits=self.decoder(q.rsample())).log_prob(x.flatten(1)).sum(1)
        return fit - self.sign * kl_divergence(q, Normal(0.0, 1.0)).sum(1)


class Leaky(nn.Module):
    """The importance-weighted bound of a decoder with batch normalisation over all draws of all rows of the batch.

    A unit is on where z exceeds 1.5. Its frequency over the draws tells the pixel, and the statistics of the batch carry it
    to every draw, as long as the module is in training mode and few rows share the batch.
    """

    def __init__(self, pixels=9, draws=100):
        super().__init__()
        self.draws, self.norm = draws, nn.BatchNorm1d(pixels, affine=False)
        self.norm.running_mean.fill_(0.09)
        self.norm.running_var.fill_(0.08)

    def forward(self, x):
        x = x.flatten(1)
        q = Normal(x - 0.5, 1.0)
        z = q.rsample((self.draws,))
        on = (z > 1.5).float()
        logits = -30 * (self.norm(on.flatten(0, 1)).view_as(on) + 0.294)
        log_weights = (
            Bernoulli(logits=logits).log_prob(x.expand_as(logits)) + Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
        )
        return log_weights.sum(-1).logsumexp(0) - np.log(self.draws)


ENDS = -6.0, 6.0
"""Log signal-to-noise ratios at which the diffusion starts and ends."""


def diffusion(x, points=25, place=0.0):
    """The bound of a diffusion model with an exact denoiser of N(0, 1), whose integral is a Riemann sum.

        log p(x) ≥ E[log N(x; z₀/α₀, σ₀²/α₀²)] − KL(q(z₁|x) ‖ N(0, 1)) − ½ ∫ (α²σ²x² + α⁴) dλ

    with α² = 1/(1 + e^−λ). The integrand is that of e^λ E‖x − x̂‖², x̂ = αz. It grows with λ, so the sum over the left ends
    of the intervals (`place=0`) is too small; the sum over their middles (`place=½`) is exact to second order.
    """
    x = x.reshape(len(x), -1)
    low, high = ENDS
    width = (high - low) / points
    share = 1 / (1 + np.exp(-(low + (np.arange(points) + place) * width)))
    loss = 0.5 * ((share * (1 - share)).sum() * x**2 + (share**2).sum()) * width
    start = 1 / (1 + np.exp(-low))
    prior = 0.5 * (start * x**2 - start - np.log(1 - start))
    return (-0.5 * LOG_2PI + high / 2 - 0.5 - prior - loss).sum(1)


def normal(x):
    """log N(x; 0, I)."""
    x = x.reshape(len(x), -1)
    return -0.5 * (x**2 + LOG_2PI).sum(1)
