"""The base class of all approximate posteriors."""

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
    """q(z|x), a module whose forward maps the output of the encoder's network to a distribution over z.

    To add a posterior, define a class with a `name`. Its `Options` are the arguments of its constructor after `latent_dim`. If
    the constructor needs anything else, override `build`.
    """

    section = "posterior"
    features: int
    """Number of outputs of the encoder's network that the posterior needs."""
    detachable: ClassVar[bool] = False
    """Whether the distributions have a method `detached()`, which path gradients need."""
    layered: ClassVar[bool] = False
    """Whether this is a posterior of several layers."""

    class Options(PartOptions):
        """Options common to all posteriors."""

        corruption: float = Field(
            0.0,
            ge=0,
            lt=1,
            description="Probability of hiding each number from the encoder in training (denoising). For mixed tables use data.hide.",
        )

    two_dimensions: ClassVar[bool] = False
    """Whether the posterior needs at least two latent dimensions."""

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield an error if the posterior cannot be used with the layers, the latent dimension or the data."""
        if cls.layered and not plan.layers:
            yield RecipeError(
                f"posterior={options.name} needs several layers of latent variables",
                mend="Set layers, such as layers=[50, 20], or choose posterior=diagonal",
            )
        if plan.layers and not cls.layered:
            yield RecipeError(
                f"posterior={options.name} cannot be used with several layers, but the recipe has layers={list(plan.layers)}",
                mend="Choose posterior=top_down or posterior=bottom_up, or leave layers out",
            )
        if cls.two_dimensions and plan.latent_dim == 1:
            yield RecipeError(
                f"latent_dim must be at least 2 for posterior={options.name}", "1", "Choose posterior=diagonal"
            )
        if options.corruption and plan.kind == "mixed":
            yield RecipeError(
                "posterior.corruption must be 0 for a mixed table",
                str(options.corruption),
                "Hide cells with data.hide, such as data.hide=0.25",
            )

    @abstractmethod
    def forward(self, features: Tensor) -> Reparameterized:
        """Return the posterior from the network's output, shape (..., features)."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the posterior of all latent dimensions."""
        return cls(plan.latent_dim, **{k: v for k, v in options.values().items() if k != "corruption"})

    @classmethod
    def decoder_input(cls, plan: Plan) -> tuple[nn.Module | None, int]:
        """Return the module between z and the decoder, if any, and the size of the decoder's input."""
        return None, plan.latent_dim
