"""Copies of parts, so that the checks of a contract do not change the parts themselves."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)

MOVED = 0.2
"""Standard deviation of the number added to each weight. Many parts start as the identity, which would hide faults."""


def moved_copy(part: M) -> M:
    """Return a copy of a part in float64 and in evaluation mode, with trainable weights moved at random.

    Shared modules, which the part holds in a tuple so that their weights are not counted twice, are copied and moved too.
    """
    copied = copy.deepcopy(part)
    everything: list[nn.Module] = [copied, *_shared(copied)]
    for module in everything:
        module.double().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.add_(MOVED * torch.randn_like(parameter))
    return copied


def _shared(part: nn.Module) -> list[nn.Module]:
    held = [value for module in part.modules() for value in vars(module).values() if isinstance(value, tuple)]
    return [each for values in held for each in values if isinstance(each, nn.Module)]
