"""Models built by hand: an encoder, a decoder and a prior, each a module that returns a distribution."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from vaekit.distributions import DiagonalNormal, Reparameterized
from vaekit.errors import VaekitError
from vaekit.models.latent import LatentModel
from vaekit.models.variational import VariationalAutoEncoder


class TorchGaussian(nn.Module):
    """Convert the output of an encoder from torch's diagonal Gaussian to vaekit's `DiagonalNormal`.

    Args:
        encoder: x ↦ `Normal` or `Independent(Normal, 1)`, with means of shape (B, latent_dim).
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor, *context: Tensor) -> DiagonalNormal:
        """Return q(z|x) for x of shape (B, *event)."""
        q = self.encoder(x, *context)
        base = q.base_dist if isinstance(q, Independent) else q
        if not isinstance(base, Normal):
            raise VaekitError(
                "An encoder must return torch's Normal, or a distribution of vaekit",
                type(q).__name__,
                "For another posterior, define a subclass of vaekit.distributions.Reparameterized",
            )
        return DiagonalNormal(base.mean, base.stddev)


def as_latent_model(model: Any, x: Tensor) -> LatentModel:
    """Convert a torch module with an encoder, a decoder and a prior to a `LatentModel`.

    Args:
        model: a `LatentModel`, or a torch module with an `encoder` x ↦ q(z|x), a `decoder` z ↦ p(x|z) and a `prior` () ↦ p(z).
        x: some rows as the model sees them, shape (B, *event); the encoder is tried on them.

    Raises:
        VaekitError: if one of the three modules is missing, or does not return a distribution.

    Examples:
        >>> from torch.distributions import Bernoulli
        >>> class Toy(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.map, self.back = nn.Linear(6, 2), nn.Linear(2, 6)
        ...         self.encoder, self.decoder, self.prior = Encoder(self.map), Decoder(self.back), Prior()
        >>> class Encoder(nn.Module):
        ...     def __init__(self, map):
        ...         super().__init__()
        ...         self.map = map
        ...     def forward(self, x):
        ...         return Independent(Normal(self.map(x), 0.5), 1)
        >>> class Decoder(nn.Module):
        ...     def __init__(self, map):
        ...         super().__init__()
        ...         self.map = map
        ...     def forward(self, z):
        ...         return Independent(Bernoulli(logits=self.map(z)), 1)
        >>> class Prior(nn.Module):
        ...     def forward(self):
        ...         return Independent(Normal(torch.zeros(2), 1.0), 1)
        >>> y, loss = as_latent_model(Toy(), torch.ones(5, 6))(torch.ones(5, 6))
        >>> y.shape
        torch.Size([5, 6])
    """
    if isinstance(model, LatentModel):
        return model
    parts = [getattr(model, name, None) for name in ("encoder", "decoder", "prior")]
    if not all(isinstance(part, nn.Module) for part in parts):
        raise VaekitError(
            "A model must be a vaekit.models.LatentModel or have the torch modules `encoder`, `decoder` and `prior`",
            type(model).__name__,
        )
    encoder, decoder, prior = parts
    with torch.no_grad():
        posterior = encoder(x)  # type: ignore[misc]
    if not isinstance(posterior, Reparameterized):
        encoder = TorchGaussian(encoder)  # type: ignore[arg-type]
    adapted = VariationalAutoEncoder(encoder, decoder, prior)  # type: ignore[arg-type]
    adapted.built_from = type(model)
    return adapted


def is_density(model: LatentModel) -> bool:
    """Return whether log p(x|z) is a density on the reals rather than a probability."""
    if not model.has_likelihood:
        return False
    likelihood = getattr(model.decoder, "likelihood", None)
    if likelihood is not None:
        density: bool = likelihood.density
        return density
    with torch.no_grad():
        p = model.decoder(model.prior().sample((1,)))
    return not (p.base_dist if isinstance(p, Independent) else p).support.is_discrete
