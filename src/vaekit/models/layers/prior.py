"""Several layers of latent variables, each given the one above.

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


def gaussian_map(given: int, size: int, hidden: Sequence[int]) -> Encoder:
    """A network from one layer of latent variables to the Gaussian of the next."""
    posterior = Diagonal(size)
    return Encoder(MLP((given,), (posterior.features,), hidden, block="plain", activation="tanh"), posterior)


class LayeredPrior(Prior):
    """A prior of the top layer and a chain of Gaussians from it down; the layers lie side by side in one vector, the lowest first.

    Args:
        layers: sizes of the layers from the data upwards, two or more.
        hidden: widths of the hidden layers of the networks between them.
        top: p(z_L), any prior of as many dimensions as the last layer; N(0, I) if none is given.

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
        """The prior, with the layers' sizes together for event shape."""
        chain: list[Conditional] = [lambda _: self.top(), *reversed(list(self.below))]
        return Layered(self.layers, range(len(self.layers))[::-1], chain, Size())
