"""What all likelihoods share: parameters from a network, and a start at the best constant model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.parts import Part, Plan


class Likelihood(Part, nn.Module):
    """p(x|z), a family of distributions over x whose parameters come from a network.

    The network's output is added to a learned offset that starts at the best constant model, so that training begins
    where a model that ignores z would end.

    The next likelihood is a class with a `name`, whose `Options` are the arguments of its constructor after `event_shape` and
    `levels`; one that is made of more than these overrides `build`.

    Args:
        event_shape: shape of one example.
        levels: number L of levels of graded data; 0 where it does not apply.
    """

    section = "likelihood"
    kinds: ClassVar[frozenset[str]]
    """Kinds of data that this is a likelihood of: among binary, levels, counts, real."""
    density: ClassVar[bool] = False
    """Whether log_prob is a density on the reals rather than a probability."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the likelihood of examples of the plan's shape."""
        return cls(plan.event_shape, plan.levels, **options.values())

    def __init__(self, event_shape: Sequence[int], levels: int = 0) -> None:
        super().__init__()
        self.event_shape, self.levels = tuple(event_shape), levels
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

    def start_noise(self, variance: float) -> None:
        """Begin at the variance that the start of a linear decoder leaves to the noise; most likelihoods do not use it."""

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """The distribution of each feature from its parameters (..., *event, p); batch shape (..., *event)."""

    def forward(self, raw: Tensor) -> Independent[Distribution]:
        """The distribution over x from the network's output, shape (..., *event, p).

        Reduced precision ends here: the offset is float32 or wider.
        """
        return Independent(self.distribution(raw + self.offset), self.event_dims, validate_args=False)
