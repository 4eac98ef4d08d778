"""What all objectives share, and the module in which a model and its objective are trained."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from torch import Tensor, nn

from vaekit.parts import Part, PartOptions, Plan


class Terms(NamedTuple):
    """What an objective says of each example of a batch.

    Args:
        loss: what training minimises, shape (B,).
        distortion: D, the reconstruction term with its sign changed, shape (B,).
        rate: R, the prior matching term, shape (B,); zero where a model has none.
    """

    loss: Tensor
    distortion: Tensor
    rate: Tensor


class Objective(Part, nn.Module):
    """What training minimises: draws from a model to one number for each example.

    The next objective is a class with a `name` and with `terms`, whose `Options` (a subclass of `Objective.Options`) are the
    arguments of its constructor. What it learns besides the model, it holds as modules of its own: they are trained in the
    same step and saved in the training state, and are not part of the model.
    """

    section = "objective"
    draws: ClassVar[int] = 1
    """Draws of z for each example, where the recipe leaves the number open."""
    importance_weighted: ClassVar[bool] = False
    """Whether it raises the importance-weighted bound of several draws, which then chooses the model."""

    class Options(PartOptions):
        """What can be set of every objective."""

        samples: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
            "auto", description="Draws of z for each example in training: M of elbo, K of iwae and its kin."
        )
        kl_weight: float = Field(1.0, ge=0, description="Weight β of the rate in the loss; 1 trains the bound itself.")

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether minus the loss is a lower bound of log p(x) in expectation."""
        return options.kl_weight == 1

    @classmethod
    def beta(cls, options: Any) -> float | None:
        """Return the weight of the rate in the loss; None where the rate has no weight of its own."""
        weight: float = options.kl_weight
        return weight

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003 - most need to know nothing of the model
        """Return the objective itself."""
        return cls(**{k: v for k, v in options.values().items() if k not in ("samples", "kl_weight")})

    def draw(self, model: Any, x: Tensor, samples: int | None = None) -> Any:
        """Return the draws that `terms` is given.

        Args:
            model: the model at the context of these rows.
            x: data as the model sees them, shape (B, *event).
            samples: M draws for each example; the model's own number by default.
        """
        return model.draw(x, samples)

    @abstractmethod
    def terms(self, draws: Any, beta: Tensor) -> Terms:
        """Return loss, D and R of each example.

        Args:
            draws: of a batch of B rows, as `vaekit.models.Draws` holds them.
            beta: β, a scalar tensor, so that a schedule does not recompile a compiled step.
        """


class Loss(nn.Module):
    """A model and its objective in one module, so that a data-parallel wrapper sees the loss inside of its forward.

    Args:
        model: the model to be trained.
        objective: what is to be minimised.
    """

    def __init__(self, model: Any, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, x: Tensor, beta: Tensor, context: Tensor | None = None, samples: int | None = None) -> Terms:
        """Return the terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            beta: β, a scalar tensor.
            context: c, where the model is conditional, shape (B, ...).
            samples: M draws of z for each example; the model's own number by default.
        """
        return self.objective.terms(self.objective.draw(self.model.given(context), x, samples), beta)
