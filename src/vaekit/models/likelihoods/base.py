"""The base class of all likelihoods, which start at the best model that ignores z."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaekit.parts import Part, Plan


class Likelihood(Part, nn.Module):
    """p(x|z), a family of distributions over x with parameters from a network.

    The network's output is added to a learned offset, which starts at the best constant model. So training starts where a
    model that ignores z would end.

    To add a likelihood, define a class with a `name`. Its `Options` are the arguments of its constructor after `event_shape`
    and `levels`. If the constructor needs anything else, override `build`.

    Args:
        event_shape: shape of one example.
        levels: number L of levels of ordered data; 0 for other data.
    """

    section = "likelihood"
    kinds: ClassVar[frozenset[str]]
    """Kinds of data that the likelihood can be used for, out of binary, levels, counts and real."""
    density: ClassVar[bool] = False
    """Whether `log_prob` is a density on the reals, not a probability."""
    starts_networks: ClassVar[bool] = True
    """Whether the networks start from the training rows, and not only the likelihood. Normal scores need no rescaling."""
    own_network: ClassVar[bool] = False
    """Whether the likelihood has a large network of its own, whose products may be in bfloat16 in training."""

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Self:
        """Return the likelihood for examples of the plan's shape."""
        return cls(plan.event_shape, plan.levels, **options.values())

    def __init__(self, event_shape: Sequence[int], levels: int = 0) -> None:
        super().__init__()
        self.event_shape, self.levels = tuple(event_shape), levels
        self.offset = nn.Parameter(torch.zeros(*self.event_shape, self.parameters_per_feature))

    @property
    @abstractmethod
    def parameters_per_feature(self) -> int:
        """Return how many numbers the network outputs for each feature."""

    @property
    def event_dims(self) -> int:
        """Return the number of dimensions of an example, over which its log-probability is summed."""
        return len(self.event_shape)

    @abstractmethod
    def start(self, x: Tensor) -> None:
        """Initialise the likelihood at the best constant model of x, shape (n, *event)."""

    def start_noise(self, variance: float) -> None:
        """Set the initial noise variance to that of a linear decoder; most likelihoods do nothing."""

    @abstractmethod
    def distribution(self, parameters: Tensor) -> Distribution:
        """Return the distribution of each feature, batch shape (..., *event), from parameters of shape (..., *event, p)."""

    def forward(self, raw: Tensor) -> Independent[Distribution]:
        """Return the distribution over x from the network's output, shape (..., *event, p).

        Reduced precision ends here, because the offset is float32 or wider.
        """
        return Independent(self.distribution(raw + self.offset), self.event_dims, validate_args=False)
