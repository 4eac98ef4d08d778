"""The base class of all priors."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from torch import Tensor, nn
from torch.distributions import Distribution

from vaekit.parts import Part, Plan


class Prior(Part, nn.Module):
    """p(z), a module whose forward returns a distribution over latent vectors.

    To add a prior, define a class with a `name`. Its `Options` are the arguments of its constructor after `latent_dim`. If the
    constructor needs anything else, override `build`.
    """

    section = "prior"

    @abstractmethod
    def forward(self) -> Distribution:
        """Return the prior, with event shape (latent_dim,)."""

    def start(self, x: Tensor) -> None:
        """Initialise the prior from some training rows x, shape (n, *event); most priors ignore the rows."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the prior of z, or of the top layer if there are several layers."""
        return cls(plan.layers[-1] if plan.layers else plan.latent_dim, **options.values())
