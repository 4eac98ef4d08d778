"""The `posterior` section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vaekit.options import Options, Width


class PosteriorOptions(Options):
    """The approximate posterior q(z|x). The closer it can come to the true one, the closer the ELBO to log p(x)."""

    name: Literal[
        "auto",
        "diagonal",
        "full_covariance",
        "low_rank",
        "flow",
        "inverse_autoregressive_flow",
        "von_mises_fisher",
        "bottom_up",
        "top_down",
    ] = Field(
        "auto",
        description="Which posterior: a Gaussian with independent dimensions, with a full covariance, or with one of low rank besides; a Gaussian carried through affine couplings or through inverse autoregressive maps; of directions, on a sphere; of several layers each given the one below (bottom_up) or above (top_down); `auto`: diagonal, top_down for several layers.",
    )
    rank: int = Field(4, ge=1, le=1000, description="Rank of what low_rank adds to independent dimensions.")
    transforms: int = Field(2, ge=1, le=100, description="Number of a flow's transforms.")
    context: int = Field(64, ge=1, le=10_000, description="Numbers by which the encoder steers a flow's transforms.")
    hidden: tuple[Width, ...] = Field(
        (256,), min_length=1, description="Widths of the hidden layers in each transform, and between layers."
    )
    corruption: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability of hiding each number from the encoder in training (denoising); for tables: data.hide.",
    )
