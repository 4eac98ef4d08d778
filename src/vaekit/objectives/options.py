"""The `objective` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vaekit.options import Options


class ObjectiveOptions(Options):
    """What training minimises. Reported bounds have weight 1 whatever stands here."""

    name: Literal["auto", "elbo", "iwae", "reconstruction"] = Field(
        "auto",
        description="The objective: the evidence lower bound, the importance-weighted one, or an autoencoder's squared error; `auto` follows model and data.",
    )
    samples: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
        "auto", description="Draws of z for each example in training: M of elbo, K of iwae."
    )
    kl_weight: float = Field(1.0, ge=0, description="Weight β of the rate in the loss; 1 trains the bound itself.")
