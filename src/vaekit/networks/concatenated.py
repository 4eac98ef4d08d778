"""Networks that are given a context beside their input."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concatenated(nn.Module):
    """f(g(x) ⊕ h(c)): what is read of the input and what is read of the context, side by side along the last dimension.

    Args:
        first: g, applied to the input.
        reader: h, from contexts (B, ...) to what can stand beside g(x): all dimensions but the last of one that is shorter
            are repeated.
        network: f.

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
        """Map inputs (..., B, *event) and contexts (B, ...) as the network maps what it is given of both."""
        own, given = self.first(x), self.reader(context)
        return self.network(torch.cat([own, given.expand(*own.shape[:-1], -1)], -1))
