"""Families of models, one for each value of `model` in a recipe."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from vaekit.models.latent import LatentModel
from vaekit.parts import Part, Plan


class ModelFamily(Part):
    """A way to build a model. The families `vae` and `autoencoder` build it from the parts that a recipe names.

    To add a family, define a class with a `name` and with `build`, which returns the whole model. The model can then be
    trained, resumed and loaded by this name and its `Options`, from Python and from the command line.
    """

    section = "model"
    has_likelihood: ClassVar[bool] = True
    """Whether models of the family have a likelihood, so that log p(x) is bounded."""
    parts: ClassVar[tuple[str, ...]] = ()
    """The sections of a recipe that choose the parts of the model."""

    @classmethod
    @abstractmethod
    def build(cls, options: Any, plan: Plan) -> LatentModel:
        """Return the model, with weights drawn from torch's global generator.

        Args:
            options: its options.
            plan: the data, the number of latent dimensions, and the parts that were chosen.
        """
