"""The negative evidence lower bound with a penalty on the distance between codes and prior.

    loss = D + β·R + λ·MMD²(q(z), p(z)),   MMD² = E k(z, z′) + E k(y, y′) − 2 E k(z, y)

Here z are codes of the batch, and y are draws from the prior. The kernel is k(a, b) = Σ_s s/(s + ‖a − b‖²) with
widths s around 2d. The penalty compares the distribution of all codes with the prior, so a single code may keep its
information about x. With β = 0 the model is a Wasserstein autoencoder. −loss is not a bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models import Draws
from vaekit.objectives.base import Objective, Terms
from vaekit.parts import Plan
from vaekit.processes.group import gather, of_first

WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Widths of the kernel as multiples of 2d, the mean squared distance of two draws from N(0, I)."""


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Return the inverse multiquadratic kernel between the rows of `a` (n, d) and of `b` (m, d), shape (n, m)."""
    distance = torch.cdist(a, b).square()
    return torch.stack([s * 2 * a.shape[-1] / (s * 2 * a.shape[-1] + distance) for s in WIDTHS]).sum(0)


def squared_mmd(a: Tensor, b: Tensor) -> Tensor:
    """Return an unbiased estimate of the squared maximum mean discrepancy of two samples of equal size.

    Args:
        a: shape (n, d), n ≥ 2.
        b: shape (n, d).

    Returns:
        A scalar, about 0 if both samples have the same distribution; it may be negative.

    References:
        Gretton et al., "A Kernel Two-Sample Test", 2012.
    """
    n = len(a)
    within = (
        kernel(a, a).sum() + kernel(b, b).sum() - 2 * n * len(WIDTHS)
    )  # the kernel of a row with itself is len(WIDTHS)
    return within / (n * (n - 1)) - 2 * kernel(a, b).mean()


class MMDPenalty(Objective):
    """D + β·R + λ·MMD², with MMD² between the codes and the prior.

    Args:
        mmd_weight: λ ≥ 0.

    References:
        Zhao, Song and Ermon, "InfoVAE", 2019; Tolstikhin et al., "Wasserstein Auto-Encoders", 2018.
    """

    name = "mmd"

    class Options(Objective.Options):
        """Options of the penalty."""

        mmd_weight: float = Field(100.0, ge=0, description="Weight λ of the squared maximum mean discrepancy.")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the prior is learned and β = 0, because the loss then has no rate."""
        if not options.kl_weight and getattr(plan.part("prior"), "name", "") != "standard_normal":
            yield RecipeError(
                "the prior must be standard_normal with objective=mmd and objective.kl_weight=0",
                plan.options["prior"].name,
                "Leave prior out, or choose objective.kl_weight=1",
            )

    @classmethod
    def bounds(cls, options: Any) -> bool:  # noqa: ARG003
        """Return False: −loss may exceed log p(x), since the estimate of MMD² may be negative."""
        return False

    def __init__(self, mmd_weight: float = 100.0) -> None:
        super().__init__()
        self.mmd_weight = mmd_weight

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: loss, D and R. Each row's loss includes the penalty of the whole batch."""
        distortion, rate, z = draws.distortion(), draws.rate(), gather(draws.z[0])
        penalty = squared_mmd(z, of_first(draws.prior.sample((len(z),)))) if len(z) > 1 else rate.new_zeros(())
        return Terms(distortion + beta * rate + self.mmd_weight * penalty, distortion, rate)
