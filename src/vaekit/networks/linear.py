"""Linear maps, learned in the coordinates of the data's principal axes.

    encoder:  features = A Λ^−½ Uᵀ(x − m) + b         decoder:  x = U Λ^½ A z

U and Λ are the eigenvectors and eigenvalues of the data's covariance, measured once and then fixed. A and b are learned.
U and Λ do not change which functions the maps can express. They keep the optimisation well-conditioned, even if columns
are correlated or differ much in scale. Training starts from probabilistic principal component analysis. From a distant
start, the gradient noise of the stiffest direction (λ_1/σ² may be 10⁶) would hide the gradients of all others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.errors import RecipeError
from vaekit.networks.base import Network
from vaekit.parts import Plan

MOST_AXES = 512
"""Greatest number of principal axes kept; the optimum of a linear-Gaussian model lies within the first `latent_dim` of them."""


@dataclass(frozen=True)
class PrincipalAxes:
    """The mean, principal axes and variances of some rows.

    Args:
        mean: mean of the rows, shape (p,).
        axes: leading eigenvectors of the covariance, shape (p, r); zero beyond the rank of the data.
        std: standard deviations along the axes, shape (r,).
        total: sum of all variances.
    """

    mean: Tensor
    axes: Tensor
    std: Tensor
    total: Tensor

    def noise(self, latent_dim: int) -> Tensor:
        """Return σ², the mean variance along the axes after the first `latent_dim` (Tipping and Bishop 1999)."""
        left = self.total - self.std[:latent_dim].square().sum()
        return left.clamp(min=1e-9 * float(self.total)) / max(1, len(self.mean) - latent_dim)

    def share(self, latent_dim: int) -> Tensor:
        """Return min(1, σ²/λ_j), the posterior variance of each latent dimension j."""
        return (self.noise(latent_dim) / self.std[:latent_dim].square()).clamp(max=1.0)


def principal_axes(x: Tensor, count: int) -> PrincipalAxes:
    """Return the leading `count` principal axes of rows x, shape (n, ...)."""
    x = x.flatten(1).double()
    mean = x.mean(0)
    _, singular, axes = torch.linalg.svd(x - mean, full_matrices=False)
    std, axes = singular[:count] / math.sqrt(len(x)), axes[:count].T
    known = std > 1e-9 * std[0]
    padding = count - len(std)
    std, axes = torch.where(known, std, 0.0), torch.where(known, axes, 0.0)
    total = (x - mean).square().sum() / len(x)
    return PrincipalAxes(mean, nn.functional.pad(axes, (0, padding)), nn.functional.pad(std, (0, padding)), total)


class LinearEncoder(nn.Module):
    """A linear map from (B, *event) to (B, features), learned in whitened coordinates.

    Args:
        in_shape: shape of one example.
        features: number of outputs.
        latent_dim: the first `latent_dim` outputs are means; logarithms of standard deviations may follow.
    """

    mean: Tensor
    whiten: Tensor

    def __init__(self, in_shape: Sequence[int], features: int, latent_dim: int) -> None:
        super().__init__()
        width = math.prod(in_shape)
        self.dims, axes = len(in_shape), min(width, MOST_AXES)
        self.latent_dim = latent_dim
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whiten", torch.eye(width, axes))
        self.linear = nn.Linear(axes, features)

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Compute the principal axes of the rows, and initialise the map to the posterior of probabilistic PCA.

        Args:
            x: rows, shape (n, *event).
        """
        found, codes = principal_axes(x, self.whiten.shape[1]), self.latent_dim
        share = found.share(codes)
        self.mean.copy_(found.mean)
        self.whiten.copy_(torch.where(found.std > 0, found.axes / found.std, 0.0))
        self.linear.weight.zero_()
        self.linear.bias.zero_()
        self.linear.weight[:codes].fill_diagonal_(1.0).mul_((1 - share).sqrt().unsqueeze(1))
        if len(self.linear.bias) == 2 * codes:
            self.linear.bias[codes:].copy_(0.5 * share.log())

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, *event) to (B, features)."""
        return self.linear((x.flatten(-self.dims) - self.mean) @ self.whiten)


class LinearDecoder(nn.Module):
    """A linear map from (..., latent_dim) to (..., *event, parameters), learned in the data's principal coordinates.

    Args:
        latent_dim: number of latent dimensions.
        event_shape: shape of one example.
        parameters: number of outputs for each feature.
    """

    colour: Tensor

    def __init__(self, latent_dim: int, event_shape: Sequence[int], parameters: int) -> None:
        super().__init__()
        width = math.prod(event_shape)
        axes = min(width, MOST_AXES)
        self.event_shape, self.inner_shape = tuple(event_shape), (axes, parameters)
        self.register_buffer("colour", torch.eye(width, axes))
        self.linear = nn.Linear(latent_dim, axes * parameters, bias=False)

    @torch.no_grad()
    def start(self, x: Tensor) -> float:
        """Compute the principal axes of the rows, and initialise the map to W of probabilistic PCA.

        The axes are in units of the rows' RMS deviation.

        Args:
            x: rows, shape (n, *event).

        Returns:
            σ², the variance that W does not explain.
        """
        found = principal_axes(x, self.colour.shape[1])
        unit = (found.total / len(self.colour)).sqrt()
        self.colour.copy_(found.axes * found.std / unit)
        weight = self.linear.weight.zero_().unflatten(0, self.inner_shape)
        weight[:, 0].fill_diagonal_(1.0).mul_((1 - found.share(weight.shape[-1])).sqrt())  # the first is the location
        return float(found.noise(weight.shape[-1]))

    def forward(self, z: Tensor) -> Tensor:
        """Map (..., latent_dim) to (..., *event, parameters)."""
        inner = self.linear(z).unflatten(-1, self.inner_shape)
        return (self.colour @ inner).unflatten(-2, self.event_shape)


class LinearNetwork(Network):
    """Linear maps as encoder and decoder."""

    name = "linear"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal for too many latent dimensions, for a posterior that is not diagonal, and for a context."""
        most = min(math.prod(plan.event_shape), MOST_AXES)
        if plan.kind != "mixed" and plan.latent_dim > most:
            yield RecipeError(
                f"latent_dim must be at most {most} for a linear {section} of these data",
                str(plan.latent_dim),
                f"Choose {section}=mlp, or a smaller latent_dim",
            )
        if section == "encoder":
            yield from plan.needs_diagonal("encoder=linear")
        if plan.context:
            fault = f"{section}=linear cannot be used with a context (data.context={','.join(plan.context)})"
            yield RecipeError(fault, mend=f"Choose {section}=mlp")

    @classmethod
    def encoder(cls, options: Any, event_shape: Sequence[int], features: int, latent_dim: int) -> LinearEncoder:  # noqa: ARG003
        """Return a linear map from (B, *event) to (B, features)."""
        return LinearEncoder(event_shape, features, latent_dim)

    @classmethod
    def decoder(cls, options: Any, latent_dim: int, event_shape: Sequence[int], parameters: int) -> LinearDecoder:  # noqa: ARG003
        """Return a linear map from (..., latent_dim) to (..., *event, parameters)."""
        return LinearDecoder(latent_dim, event_shape, parameters)
