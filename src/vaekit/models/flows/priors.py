"""Flow priors: N(0, I) carried through learned invertible maps.

coupling:  u_a = z_a,  u_b = (z_b − t(z_a)) ⊙ exp(−s(z_a)),  where the halves a and b swap in each coupling
           log |det ∂u/∂z| = −Σ s(z_a)
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.distributions import Flow
from vaekit.errors import RecipeError, VaekitError
from vaekit.models.priors.base import Prior
from vaekit.networks.mlp import MLP
from vaekit.options import Width
from vaekit.parts import PartOptions, Plan

STEEPEST = 3.0
"""Bound of |s|; a coupling stretches by at most e³, so it does not overflow."""


def _check(latent_dim: int) -> None:
    if latent_dim < 2:
        raise VaekitError("latent_dim must be at least 2 for a flow", str(latent_dim), "Choose a mixture prior")


def start_as_identity(network: nn.Module) -> None:
    """Set the last layer of a transform's network to zero, which makes the transform the identity."""
    weight, bias = list(network.parameters())[-2:]
    nn.init.zeros_(weight)
    nn.init.zeros_(bias)


class _FlowPrior(Prior):
    """The base class of flow priors."""

    class Options(PartOptions):
        """Options of a flow prior."""

        transforms: int = Field(6, ge=1, le=100, description="Number of the flow's transforms.")
        hidden: tuple[Width, ...] = Field(
            (256,), min_length=1, description="Widths of the hidden layers in each transform."
        )

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield an error if there is only one latent dimension."""
        if (plan.layers[-1] if plan.layers else plan.latent_dim) == 1:
            yield RecipeError(f"latent_dim must be at least 2 for prior={cls.name}", "1", "Choose prior=mixture")


class CouplingPrior(_FlowPrior):
    """A prior of affine couplings. It starts as N(0, I) and is equally fast in both directions.

    Args:
        latent_dim: number of latent dimensions, ≥ 2.
        transforms: number of couplings, ≥ 1.
        hidden: widths of the hidden layers of each coupling's network.

    Raises:
        VaekitError: if `latent_dim` is below 2, since a coupling needs two halves.

    References:
        Dinh, Sohl-Dickstein and Bengio, "Density Estimation using Real NVP", 2017; as a prior: Chen et al.,
        "Variational Lossy Autoencoder", 2017.

    Examples:
        >>> p, z = CouplingPrior(5)(), torch.randn(3, 5)
        >>> base = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
        >>> bool(torch.allclose(p.log_prob(z), base))
        True
    """

    name = "flow"
    like: Tensor

    def __init__(self, latent_dim: int, transforms: int = 6, hidden: Sequence[int] = (256,)) -> None:
        super().__init__()
        _check(latent_dim)
        first = latent_dim - latent_dim // 2
        self.halves = (first, latent_dim - first)
        sizes = [self.halves if turn % 2 == 0 else self.halves[::-1] for turn in range(transforms)]
        self.networks = nn.ModuleList(MLP((kept,), (2 * moved,), hidden) for kept, moved in sizes)
        self.register_buffer("like", torch.zeros(latent_dim), persistent=False)
        for network in self.networks:
            start_as_identity(network)

    def forward(self) -> Flow:
        """Return the prior, with event shape (latent_dim,)."""
        return Flow(self._to_base, self._from_base, self.like)

    def _move(self, turn: int, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shift t and the log-scale s of one coupling, in full precision."""
        shift, raw = self.networks[turn](kept).to(kept.dtype).chunk(2, -1)
        return shift, STEEPEST * torch.tanh(raw / STEEPEST)

    def _to_base(self, z: Tensor) -> tuple[Tensor, Tensor]:
        halves, log_det = list(z.split(self.halves, -1)), z.new_zeros(z.shape[:-1])
        for turn in range(len(self.networks)):
            kept, moved = turn % 2, 1 - turn % 2
            shift, log_scale = self._move(turn, halves[kept])
            halves[moved] = (halves[moved] - shift) * torch.exp(-log_scale)
            log_det = log_det - log_scale.sum(-1)
        return torch.cat(halves, -1), log_det

    def _from_base(self, u: Tensor) -> Tensor:
        halves = list(u.split(self.halves, -1))
        for turn in reversed(range(len(self.networks))):
            kept, moved = turn % 2, 1 - turn % 2
            shift, log_scale = self._move(turn, halves[kept])
            halves[moved] = halves[moved] * torch.exp(log_scale) + shift
        return torch.cat(halves, -1)


class _ZukoPrior(_FlowPrior):
    """A prior made of a zuko flow, which starts as N(0, I)."""

    def __init__(self, latent_dim: int, transforms: int = 6, hidden: Sequence[int] = (256,)) -> None:
        super().__init__()
        _check(latent_dim)
        self.flow = self.make(latent_dim, transforms=transforms, hidden_features=tuple(hidden))
        for transform in self.flow.transform.transforms:
            start_as_identity(transform)

    @staticmethod
    @abstractmethod
    def make(latent_dim: int, **shape: Any) -> Any:
        """Return a zuko flow over vectors of length `latent_dim`."""

    def forward(self) -> Distribution:
        """Return the prior, with event shape (latent_dim,)."""
        return self.flow()


class SplinePrior(_ZukoPrior):
    """A prior of spline couplings, which starts as N(0, I).

    Args:
        latent_dim: number of latent dimensions, ≥ 2.
        transforms: number of couplings, ≥ 1.
        hidden: widths of the hidden layers of each coupling's network.

    Raises:
        VaekitError: if `latent_dim` is below 2.

    References:
        Durkan et al., "Neural Spline Flows", 2019.

    Examples:
        >>> SplinePrior(4)().event_shape
        torch.Size([4])
    """

    name = "spline_flow"

    @staticmethod
    def make(latent_dim: int, **shape: Any) -> Any:
        """Return zuko's neural spline flow with couplings."""
        from zuko.flows import NSF

        return NSF(latent_dim, passes=2, **shape)


class AutoregressiveFlowPrior(_ZukoPrior):
    """A prior of masked autoregressive flows: each dimension has an affine map that depends on the dimensions before it.

    It starts as N(0, I). A draw takes one pass for each dimension.

    Args:
        latent_dim: number of latent dimensions, ≥ 2.
        transforms: number of maps, ≥ 1.
        hidden: widths of the hidden layers of each map's network.

    Raises:
        VaekitError: if `latent_dim` is below 2.

    References:
        Papamakarios, Pavlakou and Murray, "Masked Autoregressive Flow", 2017.

    Examples:
        >>> AutoregressiveFlowPrior(4)().event_shape
        torch.Size([4])
    """

    name = "autoregressive_flow"

    @staticmethod
    def make(latent_dim: int, **shape: Any) -> Any:
        """Return zuko's masked autoregressive flow."""
        from zuko.flows import MAF

        return MAF(latent_dim, **shape)
