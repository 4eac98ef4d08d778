"""Inference networks q(z|x; φ)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import DiagonalNormal
from vaekit.networks import Rescale, soft_clamp


class GaussianEncoder(nn.Module):
    """q(z|x) = N(μ(x), diag σ²(x)): the inference network with a diagonal Gaussian posterior.

    Args:
        network: maps (B, *event) to (B, 2·latent_dim): μ and log σ side by side.
        rescale: applied to x before the network; the identity by default.
        log_std: bounds of log σ, kept smoothly.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.

    Examples:
        >>> from vaekit.networks import MLP
        >>> q = GaussianEncoder(MLP((6,), (4,)))(torch.zeros(5, 6))
        >>> q.batch_shape, q.event_shape
        (torch.Size([5]), torch.Size([2]))
    """

    def __init__(
        self, network: nn.Module, rescale: Rescale | None = None, log_std: tuple[float, float] = (-9.0, 5.0)
    ) -> None:
        super().__init__()
        self.network = network
        self.rescale = rescale if rescale is not None else Rescale()
        self.log_std = log_std

    def forward(self, x: Tensor) -> DiagonalNormal:
        """The posterior of x.

        Args:
            x: data as the model sees them, shape (B, *event).

        Returns:
            A distribution over z with batch shape (B,) and event shape (latent_dim,).
        """
        features = self.network(self.rescale(x))
        features = features.to(torch.promote_types(features.dtype, torch.float32))  # leave reduced precision here
        mean, raw = features.chunk(2, -1)
        return DiagonalNormal(mean, soft_clamp(raw, *self.log_std).exp())
