"""Decoders p(x|z; θ), each a network and a likelihood."""

from __future__ import annotations

from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.models.likelihoods import Likelihood


class Decoder(nn.Module):
    """p(x|z), a likelihood with parameters that a network computes from z.

    Args:
        network: maps (..., latent_dim) to (..., *event, parameters); in a conditional model it also takes the context.
        likelihood: maps the network's output to a distribution over x.

    Examples:
        >>> import torch
        >>> from vaekit.models.likelihoods import Bernoulli
        >>> from vaekit.networks import MLP
        >>> p = Decoder(MLP((2,), (6, 1)), Bernoulli((6,)))(torch.zeros(3, 5, 2))
        >>> p.batch_shape, p.event_shape
        (torch.Size([3, 5]), torch.Size([6]))
    """

    def __init__(self, network: nn.Module, likelihood: Likelihood) -> None:
        super().__init__()
        self.network = network
        self.likelihood = likelihood

    def forward(self, z: Tensor, *context: Tensor) -> Independent[Distribution]:
        """Return the distribution p(x|z).

        Args:
            z: latent vectors, shape (..., latent_dim).
            context: c of p(x|z, c) if the model is conditional, shape (B, ...).

        Returns:
            A distribution with batch shape (...,) and event shape (*event,). `log_prob` sums over features, and
            `.base_dist.log_prob` does not.
        """
        return self.likelihood(self.network(z, *context))
