"""What all priors share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.parts import Part, Plan


class Prior(Part, nn.Module):
    """p(z), a module whose forward returns a distribution over latent vectors.

    The next prior is a class with a `name`, whose `Options` are the arguments of its constructor after `latent_dim`; one that
    is made of more than these overrides `build`.
    """

    section = "prior"

    @abstractmethod
    def forward(self) -> Distribution:
        """Return the prior, with event shape (latent_dim,)."""

    def start(self, x: Tensor) -> None:
        """Begin where some training rows x, shape (n, *event), suggest; most priors do not look at them."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the prior of the latent variables, or of the top layer if there are several."""
        return cls(plan.layers[-1] if plan.layers else plan.latent_dim, **options.values())
