"""Inference networks q(z|x; φ): a network joined to a posterior."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vaekit.distributions import Reparameterized
from vaekit.networks import Rescale


class Encoder(nn.Module):
    """q(z|x), the approximate posterior of z with parameters that a network computes from x.

    Args:
        network: maps (B, *event) to (B, posterior.features); of a conditional model it is given the context, too.
        posterior: turns those numbers into a distribution over z.
        rescale: applied to x before the network; the identity by default.
        corruption: probability in [0, 1) of hiding each number from the network, in training only: it is set to the
            mean, and what is left is enlarged to make up for it. The likelihood is still of the whole x, and since
            each corrupted x̃ gives a posterior q(z|x̃) of its own, every bound stays one.

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
        """The posterior of x.

        Args:
            x: data as the model sees them, shape (B, *event).
            context: c of q(z|x, c), where the model is conditional, shape (B, ...).

        Returns:
            A distribution over z with batch shape (B,) and event shape (latent_dim,).
        """
        features = self.network(self.corrupt(self.rescale(x)), *context)
        # leave reduced precision here
        q: Reparameterized = self.posterior(features.to(torch.promote_types(features.dtype, torch.float32)))
        return q
