"""Linear maps that learn in the coordinates of the data's principal axes.

    encoder:  features = A Λ^−½ Uᵀ(x − m) + b         decoder:  x = U Λ^½ A z

U and Λ are the eigenvectors and eigenvalues of the data's covariance, measured once and then fixed; A and b are learned.
The maps that can be expressed are the same as without them, but columns of very different scale or strongly correlated
ones no longer make the optimisation ill-conditioned. Learning starts from principal component analysis (A the leading
rows of the identity); the noise, the posterior and the shrinkage of W are what remains to be learned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MOST_AXES = 512
"""Leading axes kept; the optimum of a linear-Gaussian model lies within the leading `latent_dim` of them."""


def principal_axes(x: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, leading eigenvectors and square roots of the eigenvalues of the covariance.

    Args:
        x: rows, shape (n, p).
        count: number of axes r ≤ p.

    Returns:
        Mean (p,), axes (p, r) and standard deviations along them (r,); both zero beyond the rank of the data.
    """
    x = x.double()
    mean = x.mean(0)
    _, singular, axes = torch.linalg.svd(x - mean, full_matrices=False)
    std, axes = singular[:count] / math.sqrt(len(x)), axes[:count].T
    known = std > 1e-9 * std[0]
    padding = count - len(std)
    std, axes = torch.where(known, std, 0.0), torch.where(known, axes, 0.0)
    return mean, nn.functional.pad(axes, (0, padding)), nn.functional.pad(std, (0, padding))


class LinearEncoder(nn.Module):
    """A linear map from (B, *event) to (B, features), learned in whitened coordinates.

    Args:
        in_shape: shape of one example.
        features: number of outputs.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, in_shape: Sequence[int], features: int) -> None:
        super().__init__()
        width = math.prod(in_shape)
        self.dims, axes = len(in_shape), min(width, MOST_AXES)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whiten", torch.eye(width)[:, :axes])
        self.linear = nn.Linear(axes, features)

    @torch.no_grad()
    def start(self, x: Tensor, codes: int) -> None:
        """Take the axes from rows as the network sees them; begin with the leading ones as codes.

        Args:
            x: rows, shape (n, *event).
            codes: how many of the features are codes; the others begin at zero.
        """
        mean, axes, std = principal_axes(x.flatten(1), self.whiten.shape[1])
        self.mean.copy_(mean)
        self.whiten.copy_(torch.where(std > 0, axes / std, 0.0))
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        nn.init.eye_(self.linear.weight[:codes])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *event) to (B, features)."""
        return self.linear((x.flatten(-self.dims) - self.mean) @ self.whiten)


class LinearDecoder(nn.Module):
    """A linear map from (..., latent_dim) to (..., *out_shape), learned in the data's principal coordinates.

    Args:
        latent_dim: number of latent dimensions.
        event_shape: shape of one example.
        parameters: numbers for each feature.
    """

    colour: Tensor

    def __init__(self, latent_dim: int, event_shape: Sequence[int], parameters: int) -> None:
        super().__init__()
        width = math.prod(event_shape)
        self.event_shape, axes = tuple(event_shape), min(width, MOST_AXES)
        self.register_buffer("colour", torch.eye(width)[:, :axes])
        maps = [nn.Linear(latent_dim, axes, bias=False) for _ in range(parameters)]
        self.linears = nn.ModuleList(maps)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Take the axes from rows, in units of their root mean square deviation; begin as the codes' inverse."""
        _, axes, std = principal_axes(x.flatten(1), self.colour.shape[1])
        unit = std.square().sum().div(len(self.colour)).sqrt()
        self.colour.copy_(axes * std / unit)
        for linear in self.linears:
            nn.init.zeros_(linear.weight)
        nn.init.eye_(self.linears[0].weight)

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent_dim) to (..., *event, parameters)."""
        outputs = [(linear(z) @ self.colour.T).unflatten(-1, self.event_shape) for linear in self.linears]
        return torch.stack(outputs, -1)
