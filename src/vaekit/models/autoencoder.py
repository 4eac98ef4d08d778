"""The deterministic autoencoder, min E‖x − dec(enc(x))‖², for comparison with a variational one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from vaekit.models.latent import LatentModel, start_part
from vaekit.networks import Rescale


class FittedGaussian(nn.Module):
    """Hold a Gaussian that is fitted to an autoencoder's codes after training; new codes are drawn from it.

    Args:
        latent_dim: number of latent dimensions, ≥ 1.
    """

    mean: Tensor
    cholesky: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("cholesky", torch.eye(latent_dim))

    def fit(self, codes: Tensor) -> None:
        """Set the mean and the covariance to those of the codes, shape (N, latent_dim), N ≥ 2."""
        codes = codes.double()
        covariance = torch.atleast_2d(torch.cov(codes.T))
        jitter = 1e-6 * covariance.diagonal().mean().clamp(min=1e-12)  # unused codes have no variance of their own
        factor = torch.linalg.cholesky(covariance + jitter * torch.eye(codes.shape[1], dtype=torch.float64))
        self.mean.copy_(codes.mean(0))
        self.cholesky.copy_(factor)

    def forward(self) -> MultivariateNormal:
        """Return the fitted Gaussian, with event shape (latent_dim,)."""
        return MultivariateNormal(self.mean, scale_tril=self.cholesky, validate_args=False)


@dataclass(frozen=True)
class Reconstruction:
    """A batch and its reconstruction by an autoencoder.

    Args:
        x: data as the model sees them, shape (B, *event).
        y: dec(enc(x)), of the same shape.
    """

    x: Tensor
    y: Tensor

    def distortion(self) -> Tensor:
        """Return ‖x − y‖² of each example and its reconstruction, shape (B,)."""
        return (self.x - self.y).square().flatten(1).sum(1)


class Autoencoder(LatentModel):
    """Reconstruct x as dec(enc(x)), with networks trained to minimise the squared error ‖x − dec(enc(x))‖².

    Args:
        encoder: network from (B, *event) to (B, latent_dim).
        decoder: network from (..., latent_dim) to (..., *event, 1).
        latent_dim: number of latent dimensions, ≥ 1.
        rescale: applied to x before the encoder.

    References:
        Hinton and Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", 2006.

    Examples:
        >>> from vaekit.networks import MLP
        >>> y, loss = Autoencoder(MLP((6,), (2,)), MLP((2,), (6, 1)), latent_dim=2)(torch.zeros(5, 6))
        >>> y.shape
        torch.Size([5, 6])
    """

    title: ClassVar[str] = "autoencoder"
    score_name: ClassVar[str] = "negative_squared_error"
    has_likelihood: ClassVar[bool] = False
    prior: FittedGaussian

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int, rescale: Rescale | None = None) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.rescale = rescale if rescale is not None else Rescale()
        self.prior = FittedGaussian(latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction y of x, and the mean of ‖x − y‖² over the examples."""
        y = self.decode(self.encode(x))
        return y, (x - y).square().flatten(1).sum(1).mean()

    def draw(self, x: Tensor, samples: int | None = None, noise: Tensor | None = None) -> Reconstruction:  # noqa: ARG002 - every draw would be the same
        """Reconstruct a batch x of shape (B, *event)."""
        return Reconstruction(x, self.decode(self.encode(x)))

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of x, shape (B, latent_dim)."""
        return self.encoder(self.rescale(x))

    def decode(self, z: Tensor) -> Tensor:
        """Return the reconstruction for each code, shape (..., *event)."""
        y = self.decoder(z).squeeze(-1)
        return y.to(torch.promote_types(y.dtype, torch.float32))

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Standardise the encoder's input and initialise both networks, using some training rows."""
        start_part(self.encoder, self.rescale.start(x))
        start_part(self.decoder, x)

    def run_once(self, x: Tensor, draws: int = 1) -> None:  # noqa: ARG002 - for models that draw
        """Reconstruct x."""
        self.decode(self.encode(x))

    def finish(self, codes: Callable[[], Tensor]) -> bool:
        """Fit the Gaussian from which new codes are drawn."""
        self.prior.fit(codes())
        return True
