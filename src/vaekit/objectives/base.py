"""The base class of all objectives, and the module that holds a model and its objective in training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from torch import Tensor, nn

from vaekit.parts import Part, PartOptions, Plan


class Terms(NamedTuple):
    """The terms of an objective for each example of a batch.

    Args:
        loss: the loss, shape (B,).
        distortion: D, the negative reconstruction term, shape (B,).
        rate: R, the prior matching term, shape (B,); zero for a model without a prior.
    """

    loss: Tensor
    distortion: Tensor
    rate: Tensor


class Objective(Part, nn.Module):
    """An objective, which maps draws from a model to a loss for each example.

    To add an objective, define a class with a `name` and with `terms`. Its `Options` (a subclass of `Objective.Options`) are
    the arguments of its constructor. It may hold modules of its own, such as a discriminator. They are trained in the same
    step and saved in the training state, but are not part of the model.
    """

    section = "objective"
    draws: ClassVar[int] = 1
    """Draws of z for each example if `objective.samples` is auto."""
    importance_weighted: ClassVar[bool] = False
    """Whether the objective raises the importance-weighted bound of several draws, which then also chooses the weights."""

    class Options(PartOptions):
        """Options of every objective."""

        samples: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
            "auto",
            description="Number of draws of z per example in training: M for elbo, K for importance-weighted bounds.",
        )
        kl_weight: float = Field(
            1.0, ge=0, description="Weight β of the rate in the loss; with 1 the loss is minus the bound."
        )

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether −loss is a lower bound on log p(x) in expectation."""
        return options.kl_weight == 1

    @classmethod
    def beta(cls, options: Any) -> float | None:
        """Return the weight β of the rate in the loss, or None if the loss has no such weight."""
        weight: float = options.kl_weight
        return weight

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:  # noqa: ARG003 - most do not depend on the plan
        """Return the objective with these options."""
        return cls(**{k: v for k, v in options.values().items() if k not in ("samples", "kl_weight")})

    def draw(self, model: Any, x: Tensor, samples: int | None = None, noise: Tensor | None = None) -> Any:
        """Draw latent vectors for a batch; override this for an objective that draws in another way.

        Args:
            model: the model, with the context of these rows.
            x: data as the model sees them, shape (B, *event).
            samples: M draws for each example; the model's own number by default.
            noise: ε, shape (M, B, latent_dim); by default it is drawn from torch's global generator.
        """
        return model.draw(x, samples, noise)

    @abstractmethod
    def terms(self, draws: Any, beta: Tensor) -> Terms:
        """Return three terms for each example: loss, distortion D and rate R.

        Args:
            draws: draws for a batch of B rows, such as `vaekit.models.Draws`.
            beta: β, a scalar tensor, because a Python number would recompile the step whenever it changes.
        """


class Loss(nn.Module):
    """Join a model and its objective in one module, whose forward pass returns the objective's terms.

    A data-parallel wrapper covers only the forward pass of a module, so the loss is computed there.

    Args:
        model: the model to train.
        objective: the objective to minimise.
    """

    def __init__(self, model: Any, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(
        self,
        x: Tensor,
        beta: Tensor,
        context: Tensor | None = None,
        samples: int | None = None,
        noise: Tensor | None = None,
    ) -> Terms:
        """Return the terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            beta: β, a scalar tensor.
            context: c if the model is conditional, shape (B, ...).
            samples: M draws of z for each example; the model's own number by default.
            noise: ε, shape (M, B, latent_dim); by default it is drawn from torch's global generator.
        """
        return self.objective.terms(self.objective.draw(self.model.given(context), x, samples, noise), beta)
