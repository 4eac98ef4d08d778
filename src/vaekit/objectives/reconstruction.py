"""The deterministic autoencoder's objective, ‖x − dec(enc(x))‖². It is not a likelihood and bounds none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models.autoencoder import Reconstruction
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan


class ReconstructionError(Objective):
    """The squared error of each example, in the place of the distortion; the rate is zero."""

    name = "reconstruction"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal of what only a model with latent variables has."""
        if options.kl_weight != 1 or options.samples not in ("auto", 1):
            yield RecipeError(
                "An autoencoder has no rate and no draws",
                mend="Leave objective.kl_weight and objective.samples out, or choose model=vae",
            )

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False: a squared error is not a likelihood."""
        return False

    def terms(self, draws: Reconstruction, beta: Tensor) -> Terms:  # noqa: ARG002 - there is no rate to weigh
        """Return the error, the error and zero."""
        error = draws.distortion()
        return Terms(error, error, error.new_zeros(error.shape))
