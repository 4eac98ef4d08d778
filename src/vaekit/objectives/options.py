"""The `objective` section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vaekit.options import Options


class ObjectiveOptions(Options):
    """What training minimises. Reported bounds have weight 1 whatever stands here."""

    name: Literal["auto", "elbo", "reconstruction"] = Field(
        "auto", description="The objective; `auto` follows the model."
    )
    samples: int = Field(1, ge=1, le=10_000, description="Draws M of z for each example in training.")
    kl_weight: float = Field(1.0, ge=0, description="Weight β of the rate in the loss; 1 trains the bound itself.")
