"""Encoders q(z|x; φ), each a network and a posterior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import Reparameterized
from vaekit.networks import Rescale


class Encoder(nn.Module):
    """q(z|x), an approximate posterior with parameters that a network computes from x.

    Args:
        network: maps (B, *event) to (B, posterior.features); in a conditional model it also takes the context.
        posterior: maps the network's output to a distribution over z.
        rescale: applied to x before the network; the identity by default.
        corruption: probability in [0, 1) of hiding each number from the network, in training only. A hidden number is set to
            the mean, and the others are scaled up to compensate. The likelihood is still that of all of x. Each corrupted x̃
            has its own posterior q(z|x̃), so every bound is still a bound.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014;
        Im et al., "Denoising Criterion for Variational Auto-Encoding Framework", 2017, for the corruption.

    Examples:
        >>> from vaekit.models import Diagonal
        >>> from vaekit.networks import MLP
        >>> q = Encoder(MLP((6,), (4,)), Diagonal(2))(torch.zeros(5, 6))
        >>> q.batch_shape, q.event_shape
        (torch.Size([5]), torch.Size([2]))
    """

    def __init__(
        self, network: nn.Module, posterior: nn.Module, rescale: Rescale | None = None, corruption: float = 0.0
    ) -> None:
        super().__init__()
        self.network, self.posterior, self.corrupt = network, posterior, nn.Dropout(corruption)
        self.rescale = rescale if rescale is not None else Rescale()

    def forward(self, x: Tensor, *context: Tensor) -> Reparameterized:
        """Return the posterior q(z|x).

        Args:
            x: data as the model sees them, shape (B, *event).
            context: c of q(z|x, c) if the model is conditional, shape (B, ...).

        Returns:
            A distribution over z with batch shape (B,) and event shape (latent_dim,).
        """
        features = self.network(self.corrupt(self.rescale(x)), *context)
        # reduced precision ends here
        q: Reparameterized = self.posterior(features.to(torch.promote_types(features.dtype, torch.float32)))
        return q
