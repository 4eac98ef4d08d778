"""Networks with a context as a second input."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concatenated(nn.Module):
    """f(g(x) ⊕ h(c)), a network that concatenates the features of input x and context c along the last dimension.

    Args:
        first: g, applied to the input.
        reader: h, applied to the context (B, ...); h(c) is repeated to the leading dimensions of g(x).
        network: f, applied to the concatenated features.

    References:
        Sohn, Lee and Yan, "Learning Structured Output Representation using Deep Conditional Generative Models", 2015.

    Examples:
        >>> network = Concatenated(nn.Identity(), nn.Linear(4, 3), nn.Linear(2 + 3, 6))
        >>> network(torch.zeros(7, 5, 2), torch.zeros(5, 4)).shape  # seven draws of z for each of five rows
        torch.Size([7, 5, 6])
    """

    def __init__(self, first: nn.Module, reader: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.first, self.reader, self.network = first, reader, network

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Map inputs (..., B, *event) and contexts (B, ...) to outputs of the network."""
        features, extra = self.first(x), self.reader(context)
        return self.network(torch.cat([features, extra.expand(*features.shape[:-1], -1)], -1))
