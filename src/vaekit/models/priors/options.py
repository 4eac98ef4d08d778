"""The `prior` section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vaekit.options import Options, Width


class PriorOptions(Options):
    """The prior p(z). A learned one follows where the codes lie, so that less rate is paid and samples fall on data."""

    name: Literal["standard_normal", "mixture", "vamp", "flow", "spline_flow", "autoregressive_flow"] = Field(
        "standard_normal",
        description="Which prior: N(0, I), a learned mixture of Gaussians, a mixture of the posteriors of learned inputs (VampPrior), or a flow of affine couplings (RealNVP), of spline couplings, or of affine autoregressive maps (MAF; slow to sample from).",
    )
    components: int = Field(
        100, ge=1, le=100_000, description="Components of a mixture; learned inputs of a VampPrior."
    )
    transforms: int = Field(6, ge=1, le=100, description="Number of a flow's transforms.")
    hidden: tuple[Width, ...] = Field(
        (256,), min_length=1, description="Widths of the hidden layers in each transform."
    )
