"""Posteriors of several layers of latent variables, inferred bottom-up or top-down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Self

from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from vaekit.distributions import Conditional, DiagonalNormal, LayeredNormal
from vaekit.models.layers.prior import LayeredPrior, gaussian_map
from vaekit.models.posteriors.base import Posterior
from vaekit.models.posteriors.gaussians import Diagonal
from vaekit.networks.layers import Slice
from vaekit.options import Width
from vaekit.parts import Plan


class LayeredPosterior(Posterior):
    """The base class of posteriors over several layers of latent variables."""

    detachable = True
    layered = True

    class Options(Posterior.Options):
        """Options of a posterior of several layers."""

        hidden: tuple[Width, ...] = Field(
            (256,), min_length=1, description="Widths of the hidden layers of the networks between layers."
        )


class BottomUp(LayeredPosterior):
    """q(z|x) = q(z_1|x) Π_l q(z_{l+1}|z_l), where each layer is conditional on the layer below it.

    Args:
        layers: sizes of the layers from the data upwards, two or more.
        hidden: widths of the hidden layers of the networks between layers.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.

    Examples:
        >>> import torch
        >>> BottomUp([3, 2], [8])(torch.zeros(7, 6)).rsample().shape
        torch.Size([7, 5])
    """

    name = "bottom_up"

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the posterior of the plan's layers."""
        return cls(plan.layers, options.hidden)

    @classmethod
    def decoder_input(cls, plan: Plan) -> tuple[nn.Module | None, int]:
        """Return a module that selects the lowest layer from z, and the size of this layer."""
        return Slice(plan.layers[0]), plan.layers[0]

    def __init__(self, layers: Sequence[int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.layers, self.lowest = tuple(layers), Diagonal(layers[0])
        self.features = self.lowest.features
        self.above = nn.ModuleList(gaussian_map(size, above, hidden) for size, above in pairwise(layers))

    def forward(self, features: Tensor) -> LayeredNormal:
        """Return the posterior, given the network's output (μ, log σ) for the lowest layer."""
        lowest = self.lowest(features)
        chain: list[Conditional] = [lambda _: lowest, *self.above]
        frozen: list[Conditional] = [lambda _: lowest.detached(), *map(_detached, self.above)]
        return LayeredNormal(self.layers, range(len(self.layers)), chain, features.shape[:-1], features, frozen)


class TopDown(LayeredPosterior):
    """q(z|x) = q(z_L|x) Π_l q(z_l|z_{l+1}, x), where each layer multiplies a Gaussian from the data by the layer's prior.

        q(z_l|z_{l+1}, x) ∝ N(z_l; μ̂_l(x), diag σ̂_l(x)²) · p(z_l|z_{l+1})

    Args:
        prior: the prior of the layers; its networks are shared, not copied.

    References:
        Sønderby et al., "Ladder Variational Autoencoders", 2016.

    Examples:
        >>> import torch
        >>> TopDown(LayeredPrior([3, 2], [8]))(torch.zeros(7, 10)).rsample().shape
        torch.Size([7, 5])
    """

    name = "top_down"

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003 - the prior was built with them
        """Return the top-down posterior, which uses the prior's networks."""
        return cls(plan.built["layers"])

    def __init__(self, prior: LayeredPrior) -> None:
        super().__init__()
        self._prior = (prior,)  # in a tuple, so that its weights are not registered and saved twice
        self.each = nn.ModuleList(Diagonal(size) for size in prior.layers)
        self.features = 2 * sum(prior.layers)

    def forward(self, features: Tensor) -> LayeredNormal:
        """Return the posterior, given the network's output (μ̂, log σ̂) for each layer, from the lowest up."""
        prior = self._prior[0]
        split = features.split([2 * n for n in prior.layers], -1)
        found = [gaussian(part) for gaussian, part in zip(self.each, split, strict=True)]
        products = [_product(q, below) for q, below in zip(found[:-1], prior.below, strict=True)]
        chain: list[Conditional] = [lambda _: found[-1], *reversed(products)]
        detached = [_product(q.detached(), _detached(below)) for q, below in zip(found[:-1], prior.below, strict=True)]
        frozen: list[Conditional] = [lambda _: found[-1].detached(), *reversed(detached)]
        order = range(len(prior.layers))[::-1]
        return LayeredNormal(prior.layers, order, chain, features.shape[:-1], features, frozen)


def _detached(network: nn.Module) -> Callable[[Tensor | None], DiagonalNormal]:
    """Return a function that applies the network to z, without gradients for the network's weights."""
    return lambda z: functional_call(network, {k: v.detach() for k, v in network.named_parameters()}, (z,))


def _product(q: DiagonalNormal, below: Callable[[Tensor | None], DiagonalNormal]) -> Conditional:
    """Return the normalised product of a Gaussian and a conditional Gaussian."""

    def conditional(above: Tensor | None) -> DiagonalNormal:
        p = below(above)
        precision, prior_precision = q.variance.reciprocal(), p.variance.reciprocal()
        total = precision + prior_precision
        return DiagonalNormal((precision * q.mean + prior_precision * p.mean) / total, total.rsqrt())

    return conditional
