"""A normalizing flow as prior.

log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|,   f invertible and learned
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from torch.distributions import Distribution

from vaekit.errors import VaekitError


class FlowPrior(nn.Module):
    """N(0, I) carried through learned invertible transforms; it starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions, ≥ 2.
        kind: "coupling" (affine), "spline" (coupling) or "autoregressive" (affine).
        transforms: how many, ≥ 1.
        hidden: widths of the hidden layers of each transform's network.

    Raises:
        VaekitError: for one latent dimension, of which coupling has no half to keep.

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density Estimation using Real NVP", 2017; Durkan et al., "Neural Spline
        Flows", 2019; Papamakarios, Pavlakou and Murray, "Masked Autoregressive Flow", 2017; as a prior: Chen et al.,
        "Variational Lossy Autoencoder", 2017.

    Examples:
        >>> import torch
        >>> p, z = FlowPrior(4)(), torch.randn(3, 4)
        >>> base = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
        >>> bool(torch.allclose(p.log_prob(z), base))
        True
    """

    def __init__(
        self, latent_dim: int, kind: str = "coupling", transforms: int = 6, hidden: Sequence[int] = (256,)
    ) -> None:
        super().__init__()
        from zuko import flows

        if latent_dim < 2:
            raise VaekitError("a flow must have at least 2 latent dimensions", str(latent_dim))
        shape: dict[str, Any] = {"transforms": transforms, "hidden_features": tuple(hidden)}
        self.flow: nn.Module = {
            "coupling": lambda: flows.RealNVP(latent_dim, **shape),
            "spline": lambda: flows.NSF(latent_dim, passes=2, **shape),
            "autoregressive": lambda: flows.MAF(latent_dim, **shape),
        }[kind]()
        self.widest = max(latent_dim, *hidden) if hidden else latent_dim
        for transform in self.flow.transform.transforms:
            for parameter in list(transform.parameters())[-2:]:  # of the last layer: the transform is the identity
                nn.init.zeros_(parameter)

    def forward(self) -> Distribution:
        """The prior, with event shape (latent_dim,)."""
        return self.flow()
