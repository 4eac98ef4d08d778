"""Two bounds that lie between the evidence lower bound and the importance-weighted bound.

    CIWAE = γ·ELBO + (1 − γ)·IWAE_K          MIWAE = (1/G) Σ_g log (G/K) Σ_{k in group g} w_k

The decoder profits from the tight importance-weighted bound, and the encoder from the less noisy gradient of the evidence
lower bound. CIWAE and MIWAE are lower bounds on log p(x) in expectation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field
from torch import Tensor

from vaekit.errors import RecipeError, VaekitError
from vaekit.objectives.base import Objective
from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp
from vaekit.parts import Plan


class NegativeCIWAE(NegativeWeightedBound):
    """The negative CIWAE bound: −1 times a weighted mean of the evidence lower bound and the importance-weighted bound.

    Args:
        elbo_share: γ in [0, 1]; 0 is the importance-weighted bound, 1 the evidence lower bound with its rate estimated from draws.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    name = "ciwae"

    class Options(Objective.Options):
        """Options of the CIWAE bound."""

        elbo_share: float = Field(0.5, ge=0, le=1, description="Weight of elbo in the combination with iwae.")

    def __init__(self, elbo_share: float = 0.5) -> None:
        super().__init__()
        self.elbo_share = elbo_share

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return γ·(1/K) Σ_k log w_k + (1 − γ)·log (1/K) Σ_k w_k."""
        return self.elbo_share * log_weights.mean(0) + (1 - self.elbo_share) * log_mean_exp(log_weights)


class NegativeMIWAE(NegativeWeightedBound):
    """The negative MIWAE bound: −1 times the mean of the importance-weighted bounds of several groups of draws.

    Args:
        groups: G ≥ 1, a divisor of the number K of draws; 1 is the importance-weighted bound, K the evidence lower bound.

    Raises:
        VaekitError: if `groups` is below 1.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    name = "miwae"

    class Options(Objective.Options):
        """Options of the MIWAE bound."""

        groups: int = Field(2, ge=1, description="Number of groups of draws; it must divide objective.samples.")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the draws cannot be divided into groups at every step."""
        if plan.training.draws_warmup:
            yield RecipeError(
                f"training.draws_warmup must be 0 for objective={cls.name}, which divides a fixed number of draws into groups",
                str(plan.training.draws_warmup),
                "Leave it out",
            )
        if options.samples % options.groups:
            yield RecipeError(
                "objective.groups must divide objective.samples",
                f"{options.groups} groups for {options.samples} draws",
                f"Choose objective.samples={options.groups * -(-options.samples // options.groups)}",
            )

    def __init__(self, groups: int = 2) -> None:
        super().__init__()
        if groups < 1:
            raise VaekitError("groups must be at least 1", str(groups))
        self.groups = groups

    def size(self, draws: int) -> int:
        """Return the number of draws in a group.

        Raises:
            VaekitError: if the draws cannot be divided into the groups.
        """
        if draws % self.groups:
            raise VaekitError("groups must divide the number of draws", f"{self.groups} groups for {draws} draws")
        return draws // self.groups

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return (1/G) Σ_g log (G/K) Σ_{k in group g} w_k."""
        return log_mean_exp(log_weights.unflatten(0, (self.groups, self.size(len(log_weights)))), 1).mean(0)
