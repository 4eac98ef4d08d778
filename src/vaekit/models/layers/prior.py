"""The prior of several layers of latent variables, each conditional on the layer above.

p(z) = p(z_L) Π_{l<L} N(z_l; μ_l(z_{l+1}), diag σ_l(z_{l+1})²)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Size, nn

from vaekit.distributions import Conditional, Layered
from vaekit.models.encoders import Encoder
from vaekit.models.posteriors.gaussians import Diagonal
from vaekit.models.priors.base import Prior
from vaekit.models.priors.standard_normal import StandardNormal
from vaekit.networks.mlp import MLP


def gaussian_map(inputs: int, size: int, hidden: Sequence[int]) -> Encoder:
    """Return a network that maps one layer of latent variables to the Gaussian of a neighbouring layer."""
    posterior = Diagonal(size)
    return Encoder(MLP((inputs,), (posterior.features,), hidden, block="plain", activation="tanh"), posterior)


class LayeredPrior(Prior):
    """p(z) = p(z_L) Π_{l<L} p(z_l|z_{l+1}), a prior of the top layer and a chain of Gaussians below it.

    One vector holds all layers, the lowest first.

    Args:
        layers: sizes of the layers from the data upwards, two or more.
        hidden: widths of the hidden layers of the networks between layers.
        top: p(z_L), a prior with the size of the last layer; N(0, I) by default.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016;
        Sønderby et al., "Ladder Variational Autoencoders", 2016.

    Examples:
        >>> LayeredPrior([3, 2], [8])().sample((7,)).shape
        torch.Size([7, 5])
    """

    def __init__(self, layers: Sequence[int], hidden: Sequence[int], top: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.below = nn.ModuleList(gaussian_map(above, size, hidden) for size, above in pairwise(layers))
        self.top = StandardNormal(self.layers[-1]) if top is None else top

    def forward(self) -> Layered:
        """Return the prior; its event shape is the total size of the layers."""
        chain: list[Conditional] = [lambda _: self.top(), *reversed(list(self.below))]
        return Layered(self.layers, range(len(self.layers))[::-1], chain, Size())
