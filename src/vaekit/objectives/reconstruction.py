"""The objective of the deterministic autoencoder, ‖x − dec(enc(x))‖². It is neither a likelihood nor a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models.autoencoder import Reconstruction
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan


class ReconstructionError(Objective):
    """The squared error of each example, used as distortion; the rate is zero."""

    name = "reconstruction"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the recipe sets options that only a probabilistic model has."""
        if options.kl_weight != 1 or options.samples not in ("auto", 1):
            yield RecipeError(
                "objective.kl_weight and objective.samples cannot be set for an autoencoder, which has no rate and no draws",
                mend="Leave them out, or choose model=vae",
            )

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False, since a squared error is not a likelihood."""
        return False

    def terms(self, draws: Reconstruction, beta: Tensor) -> Terms:  # noqa: ARG002 - there is no rate to weigh
        """Return three terms: the squared error as loss and as distortion, and a rate of zero."""
        error = draws.distortion()
        return Terms(error, error, error.new_zeros(error.shape))
