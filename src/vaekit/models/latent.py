"""The base class of all models, which encode x into latent vectors z and decode z into x."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from vaekit.errors import VaekitError

if TYPE_CHECKING:
    from vaekit.models.variational import VariationalAutoEncoder


def start_part(part: nn.Module, x: Tensor) -> float | None:
    """Call `part.start(x)` if it exists, and return its result.

    Returns:
        The noise variance that a linear decoder's `start` returns; None for other parts.
    """
    start: Any = getattr(part, "start", None)
    return None if start is None else start(x)


class LatentModel(nn.Module, ABC):
    """Encode x into a latent vector z, and decode z into x.

    A subclass has the modules `encoder`, `decoder` and `prior`; the prior returns the distribution of new z.
    """

    title: ClassVar[str]
    """The name of the model in a sentence."""
    score_name: ClassVar[str]
    """The name of a column of scores, which says what the score of a row is."""
    has_likelihood: ClassVar[bool]
    """Whether the model has p(x|z), so that log p(x) is bounded and x can be drawn. Otherwise z only gives a mean of x."""
    built_from: type | None = None
    """The class of the torch module with three parts that the model was made of; None for models of vaekit's own classes."""
    encoder: nn.Module
    decoder: nn.Module
    prior: nn.Module

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Return the code of x, shape (B, latent_dim)."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Return the mean of x at latent vectors, shape (..., *event)."""

    @abstractmethod
    def run_once(self, x: Tensor, draws: int = 1) -> None:
        """Run the model on a batch once, so that the sizes of its tensors can be recorded.

        Args:
            x: data as the model sees them, shape (B, *event).
            draws: draws of z for each row; an autoencoder makes no draws.
        """

    @abstractmethod
    def draw(self, x: Tensor, samples: int | None = None, noise: Tensor | None = None) -> Any:
        """Draw M latent vectors for each row, and return the terms from which an objective computes its loss.

        Args:
            x: data as the model sees them, shape (B, *event).
            samples: M, the number of draws.
            noise: ε, shape (M, B, latent_dim); by default it is drawn from torch's global generator.
        """

    @torch.no_grad()
    def start(self, x: Tensor) -> None:
        """Initialise the model's weights from some training rows; by default the weights stay unchanged.

        Args:
            x: rows as the model sees them, shape (n, *event).
        """

    def given(self, context: Tensor | None) -> LatentModel:  # noqa: ARG002 - for models that are not conditional
        """Return the model conditional on the contexts of some rows; a model without context returns itself."""
        return self

    def with_likelihood(self, what: str) -> VariationalAutoEncoder:
        """Return this model as a variational autoencoder, or raise an error if it has no likelihood.

        Args:
            what: the name of what needs the likelihood, for the message.

        Raises:
            VaekitError: if the model has no likelihood.
        """
        raise VaekitError(
            f"An {self.title} has no likelihood, but {what} needs one", mend="Use a variational autoencoder"
        )

    def finish(self, codes: Callable[[], Tensor]) -> bool:  # noqa: ARG002 - for models that need nothing more
        """Complete the model after training.

        Args:
            codes: a function that returns the codes of all training rows, shape (N, latent_dim); called only if needed.

        Returns:
            Whether the weights changed.
        """
        return False
