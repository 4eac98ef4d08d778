"""The variational autoencoder: encoder, decoder and prior bound into one joint distribution.

    log p(x) = ELBO + KL[q(z|x) ‖ p(z|x)]
    ELBO     = E_q[log p(x|z)] − KL[q(z|x) ‖ p(z)]
             =      −D         −        R              (distortion and rate, in nats)

Log-probabilities are summed over the features of an example; there is one value for each example.

At each context c, a conditional model p(x, z|c) = p(x|z, c) p(z) is an ordinary model. Every statement about p(x) then
holds for p(x|c), with the posterior q(z|x, c).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, kl_divergence

from vaekit.distributions import CholeskyNormal, DiagonalNormal, Reparameterized, VonMisesFisher
from vaekit.errors import VaekitError
from vaekit.models.decoders import Decoder
from vaekit.models.encoders import Encoder
from vaekit.models.latent import LatentModel, start_part
from vaekit.models.priors import StandardNormal

CLOSED_FORM = (DiagonalNormal, CholeskyNormal, VonMisesFisher)
"""Posteriors whose divergence from N(0, I) has a closed form."""


@dataclass(frozen=True)
class Draws:
    """Hold M draws z ~ q(z|x) for a batch, and the terms from which every bound is computed.

    Args:
        posterior: q(z|x), batch shape (B,).
        prior: p(z).
        z: draws, shape (M, B, latent_dim).
        likelihood: p(x|z), batch shape (M, B).
        log_likelihood: log p(x|z), shape (M, B).
        drawn: z as used in log q(z|x), if an objective changes the gradient of this path; z by default.
    """

    posterior: Reparameterized
    prior: Distribution
    z: Tensor
    likelihood: Independent[Distribution]
    log_likelihood: Tensor
    drawn: Tensor | None = None

    def distortion(self) -> Tensor:
        """Return D = −(1/M) Σ_m log p(x|z_m), shape (B,)."""
        return -self.log_likelihood.mean(0)

    def rate(self) -> Tensor:
        """Return R = KL[q(z|x) ‖ p(z)], shape (B,).

        It has a closed form for some posteriors if the prior is N(0, I). Otherwise it is estimated from the M draws.
        """
        if isinstance(self.prior, DiagonalNormal) and isinstance(self.posterior, CLOSED_FORM):
            return kl_divergence(self.posterior, self.prior)
        return self.log_ratio().mean(0)

    def log_ratio(self) -> Tensor:
        """Return log q(z_m|x) − log p(z_m), shape (M, B); the mean over draws estimates the rate."""
        return self.posterior.log_prob(self.z if self.drawn is None else self.drawn) - self.prior.log_prob(self.z)

    def log_weights(self) -> Tensor:
        """Return log w_m = log p(x|z_m) + log p(z_m) − log q(z_m|x), shape (M, B)."""
        return self.log_likelihood + self.prior.log_prob(self.z) - self.posterior.log_prob(self.z)


class Given(nn.Module):
    """Apply a module at a fixed context: x ↦ f(x, c).

    Args:
        part: f.
        context: c.
    """

    def __init__(self, part: nn.Module, context: Tensor) -> None:
        super().__init__()
        self.part, self.context = part, context

    def forward(self, x: Tensor) -> Distribution:
        """Return f(x, c)."""
        return self.part(x, self.context)


class VariationalAutoEncoder(LatentModel):
    """Encoder q(z|x), decoder p(x|z) and prior p(z), trained by the evidence lower bound.

        loss = D + kl_weight · R

    averaged over examples. With `kl_weight` = 1 the loss is −ELBO. Other values change only the training: every reported
    bound has weight 1.

    Args:
        encoder: x ↦ q(z|x), or (x, c) ↦ q(z|x, c) of a conditional model.
        decoder: z ↦ p(x|z), or (z, c) ↦ p(x|z, c).
        prior: p(z), a module that returns a distribution, or an int, the number of dimensions of N(0, I).
        kl_weight: β ≥ 0, the weight of the rate in the loss.
        samples: M ≥ 1 draws of z for each example.

    Raises:
        VaekitError: if `samples` is below 1 or `kl_weight` is negative.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014;
        Rezende, Mohamed and Wierstra, "Stochastic Backpropagation", 2014;
        Higgins et al., "β-VAE", 2017, for weights other than 1;
        Sohn, Lee and Yan, "Learning Structured Output Representation using Deep Conditional Generative Models", 2015, for
        conditional models.

    Examples:
        >>> from vaekit.models import Decoder, Diagonal, Encoder
        >>> from vaekit.models.likelihoods import Bernoulli
        >>> from vaekit.networks import MLP
        >>> model = VariationalAutoEncoder(
        ...     Encoder(MLP((6,), (4,), hidden=[16]), Diagonal(2)),
        ...     Decoder(MLP((2,), (6, 1), hidden=[16]), Bernoulli((6,))), prior=2)
        >>> y, loss = model(torch.ones(5, 6))
        >>> y.shape, loss.shape
        (torch.Size([5, 6]), torch.Size([]))
    """

    title: ClassVar[str] = "variational autoencoder"
    score_name: ClassVar[str] = "log_likelihood"
    has_likelihood: ClassVar[bool] = True
    encoder: Encoder
    decoder: Decoder

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        prior: nn.Module | int,
        kl_weight: float = 1.0,
        samples: int = 1,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise VaekitError("samples must be at least 1", str(samples))
        if not kl_weight >= 0:
            raise VaekitError("kl_weight must be at least 0", str(kl_weight))
        self.encoder, self.decoder = encoder, decoder
        self.prior = StandardNormal(prior) if isinstance(prior, int) else prior
        self.kl_weight, self.samples = kl_weight, samples

    def given(self, context: Tensor | None) -> VariationalAutoEncoder:
        """Return this model with its context fixed at c; the weights are shared.

        Args:
            context: c, shape (B, ...), moved to the model's device; None for a model that is not conditional.

        Returns:
            The model at c, for these B rows in this order.

        Examples:
            >>> from vaekit.models import Decoder, Diagonal, Encoder
            >>> from vaekit.models.likelihoods import Bernoulli
            >>> from vaekit.networks import MLP, Concatenated
            >>> def beside(network):
            ...     return Concatenated(nn.Identity(), nn.Identity(), network)
            >>> model = VariationalAutoEncoder(
            ...     Encoder(beside(MLP((6 + 3,), (4,))), Diagonal(2)),
            ...     Decoder(beside(MLP((2 + 3,), (6, 1))), Bernoulli((6,))), prior=2)
            >>> y, loss = model.given(torch.eye(3)[[0, 2, 1, 1, 0]])(torch.ones(5, 6))
            >>> y.shape
            torch.Size([5, 6])
        """
        if context is None:
            return self
        context = context.to(next(self.parameters()).device)
        encoder, decoder = cast(Encoder, Given(self.encoder, context)), cast(Decoder, Given(self.decoder, context))
        return VariationalAutoEncoder(encoder, decoder, self.prior, self.kl_weight, self.samples)

    @staticmethod
    def kl_divergence(mu: Tensor, std: Tensor) -> Tensor:
        """Return KL[N(μ, diag σ²) ‖ N(0, I)] = ½ Σ (σ² + μ² − 1 − log σ²), averaged over examples.

        Args:
            mu: μ, shape (B, d).
            std: σ > 0, shape (B, d).

        Returns:
            A scalar in nats.
        """
        prior = DiagonalNormal(torch.zeros_like(mu), torch.ones_like(std))
        return kl_divergence(DiagonalNormal(mu, std), prior).mean()

    def draw(
        self,
        x: Tensor,
        samples: int | None = None,
        noise: Tensor | None = None,
        posterior: Reparameterized | None = None,
    ) -> Draws:
        """Draw z ~ q(z|x) and evaluate the terms of the bound.

        Args:
            x: data as the model sees them, shape (B, *event).
            samples: M draws for each example; the model's own number by default.
            noise: ε of shape (M, B, latent_dim), to draw z = g(ε) deterministically.
            posterior: q(z|x), if it is already computed.

        Returns:
            The terms for each draw and example.
        """
        q = self.encoder(x) if posterior is None else posterior
        z = q.rsample((samples or self.samples,)) if noise is None else q.reparameterize(noise)
        p = self.decoder(z)
        return Draws(q, self.prior(), z, p, p.log_prob(x))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct x and compute the loss D + kl_weight · R.

        Args:
            x: data as the model sees them, shape (B, *event).

        Returns:
            y, the mean of p(x|z) over the draws, shape (B, *event), and the scalar loss in nats per example.
        """
        draws = self.draw(x)
        return draws.likelihood.mean.mean(0), (draws.distortion() + self.kl_weight * draws.rate()).mean()

    def with_likelihood(self, what: str) -> VariationalAutoEncoder:  # noqa: ARG002 - it has one
        """Return this model unchanged, since it already has a likelihood."""
        return self

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Initialise the likelihood, the prior and the networks from rows of data.

        For a mixed table, only the likelihood is initialised. A model with a custom encoder is left unchanged.
        """
        encoder: nn.Module = self.encoder
        if not isinstance(encoder, Encoder):
            return
        likelihood = self.decoder.likelihood
        likelihood.start(x)
        if not likelihood.starts_networks:
            return
        start_part(self.prior, x)
        start_part(encoder.network, encoder.rescale.start(x))
        noise = start_part(self.decoder.network, x)
        if noise is not None:
            likelihood.start_noise(noise)

    def run_once(self, x: Tensor, draws: int = 1) -> None:
        """Evaluate the terms of the bound at some draws of z for each x."""
        posterior = self.encoder(x)
        noise = x.new_full((draws, len(x), *posterior.event_shape), 0.5)
        self.draw(x, noise=noise, posterior=posterior).log_weights()

    def encode(self, x: Tensor) -> Tensor:
        """Return the posterior mean, E_q[z], shape (B, latent_dim)."""
        mean: Tensor = self.encoder(x).mean
        return mean

    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of p(x|z), shape (..., *event)."""
        return self.decoder(z).mean
