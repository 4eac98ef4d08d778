"""The record that every objective returns."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


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
