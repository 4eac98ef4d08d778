"""What all approximate posteriors share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import Field
from torch import Tensor, nn

from vaekit.distributions import Reparameterized
from vaekit.errors import RecipeError
from vaekit.parts import Part, PartOptions, Plan


class Posterior(Part, nn.Module):
    """q(z|x), a module whose forward makes a distribution over z from the output of the encoder's network.

    The next posterior is a class with a `name`, whose `Options` are the arguments of its constructor after `latent_dim`; one
    that is made of more than these overrides `build`.
    """

    section = "posterior"
    features: int
    """How many numbers it asks of the encoder's network."""
    detachable: ClassVar[bool] = False
    """Whether its distributions have `detached()`, as path gradients need it."""
    layered: ClassVar[bool] = False
    """Whether it is a posterior of several layers."""

    class Options(PartOptions):
        """What can be set of every posterior."""

        corruption: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Probability of hiding each number from the encoder in training (denoising); for tables: data.hide.",
        )

    two_dimensions: ClassVar[bool] = False
    """Whether it needs at least two latent dimensions."""

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal where the posterior does not go with the layers, the latent dimensions or the data."""
        if cls.layered != bool(plan.layers):
            yield RecipeError(
                "several layers must have a posterior of layers, and only they",
                f"posterior={options.name} for {len(plan.layers) or 1} layers",
                "Choose posterior=top_down or posterior=bottom_up, and layers=[50, 20], say",
            )
        if cls.two_dimensions and plan.latent_dim == 1:
            yield RecipeError(
                f"posterior={options.name} needs at least 2 latent dimensions", "1", "Choose posterior=diagonal"
            )
        if options.corruption and plan.kind == "mixed":
            yield RecipeError(
                "posterior.corruption must be 0 for a table of mixed columns, whose cells data.hide hides",
                str(options.corruption),
                "Choose data.hide=0.25, say",
            )

    @abstractmethod
    def forward(self, features: Tensor) -> Reparameterized:
        """Return the posterior from the network's output, shape (..., features)."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the posterior of all latent variables."""
        return cls(plan.latent_dim, **{k: v for k, v in options.values().items() if k != "corruption"})

    @classmethod
    def decoder_input(cls, plan: Plan) -> tuple[nn.Module | None, int]:
        """Return what of z the decoder sees: a module that takes it out of z, None for all of z, and its length."""
        return None, plan.latent_dim
