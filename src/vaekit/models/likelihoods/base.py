"""What all likelihoods share: parameters from a network, and a start at the best constant model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.options import Options

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class LikelihoodOptions(Options):
    """The likelihood p(x|z) and its options."""

    name: str = Field("auto", description="Which likelihood; `auto` chooses from the data and says why.")
    variance: Positive | Literal["learned", "per_feature", "predicted"] = Field(
        "per_feature",
        description="Variance λ of gaussian, laplace and student_t, in the units the model sees: a number, one `learned`, "
        "one learned `per_feature`, or `predicted` from z for each feature.",
    )
    components: Annotated[int, Field(ge=1, le=100)] | Literal["auto"] = Field(
        "auto",
        description="Number of components of discretized_logistic_mixture (5) and of the numbers of mixed tables (3).",
    )

    missing: Literal["ignored", "modelled"] = Field(
        "ignored",
        description="Missing cells of mixed tables: left out (missing at random), or with a probability of being missing that depends on what they hold.",
    )

    def components_or(self, default: int) -> int:
        """`components`, or a likelihood's own number where it is open."""
        return default if self.components == "auto" else self.components


class Likelihood(nn.Module, ABC):
    """A family of distributions over x whose parameters come from a network.

    The network's output is added to a learned offset that starts at the best constant model, so that training begins
    where knowing nothing of z would end.

    Args:
        event_shape: shape of one example.
        options: variance, number of components.
        levels: number L of levels of graded data; 0 where it does not apply.
    """

    kinds: ClassVar[frozenset[str]]
    """Kinds of data that this is a likelihood of: among binary, levels, counts, real."""
    density: ClassVar[bool] = False
    """Whether log_prob is a density on the reals rather than a probability."""

    def __init__(self, event_shape: Sequence[int], options: LikelihoodOptions | None = None, levels: int = 0) -> None:
        super().__init__()
        self.event_shape = tuple(event_shape)
        self.options = options if options is not None else LikelihoodOptions()
        self.levels = levels
        self.offset = nn.Parameter(torch.zeros(*self.event_shape, self.parameters_per_feature))

    @property
    @abstractmethod
    def parameters_per_feature(self) -> int:
        """How many numbers the network gives for each feature."""

    @property
    def event_dims(self) -> int:
        """Over how many dimensions of the distribution an example's log-probability sums."""
        return len(self.event_shape)

    @abstractmethod
    def start(self, x: Tensor) -> None:
        """Set the offset (and scales) to the best constant model of x, shape (n, *event)."""

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """The distribution of each feature from its parameters (..., *event, p); batch shape (..., *event)."""

    def forward(self, raw: Tensor) -> Independent[Distribution]:
        """The distribution over x from the network's output, shape (..., *event, p).

        Reduced precision ends here: the offset is float32 or wider.
        """
        return Independent(self.distribution(raw + self.offset), self.event_dims, validate_args=False)
