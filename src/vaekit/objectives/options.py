"""The `objective` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vaekit.options import Options


class ObjectiveOptions(Options):
    """What training minimises. Reported bounds have weight 1 whatever stands here."""

    name: Literal[
        "auto",
        "elbo",
        "stl",
        "free_bits",
        "capacity",
        "tc",
        "factor",
        "mmd",
        "iwae",
        "dreg",
        "ciwae",
        "miwae",
        "piwae",
        "renyi",
        "reconstruction",
    ] = Field(
        "auto",
        description="The objective: the evidence lower bound (elbo; stl: by its path gradient; free_bits; capacity: at a set rate; tc: with a weight on the total correlation; factor: with one as a discriminator tells it; mmd: with a penalty on the distance of codes and prior), the importance-weighted one (iwae; dreg: by its doubly reparameterized gradient; ciwae, miwae: between both; piwae: this one for the decoder, miwae for the encoder; renyi), or an autoencoder's squared error; `auto` follows model and data.",
    )
    samples: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
        "auto", description="Draws of z for each example in training: M of elbo, K of iwae and its kin."
    )
    kl_weight: float = Field(1.0, ge=0, description="Weight β of the rate in the loss; 1 trains the bound itself.")
    free_bits: float = Field(
        0.1, ge=0, description="Nats of each group of latent dimensions that cost nothing (free_bits)."
    )
    free_together: int = Field(1, ge=1, description="Latent dimensions, side by side, of such a group (free_bits).")
    capacity: float = Field(25.0, ge=0, description="Nats at which the rate is held, by kl_weight as force (capacity).")
    tc_weight: float = Field(
        10.0, ge=0, description="Weight γ of the total correlation as a discriminator tells it (factor)."
    )
    mmd_weight: float = Field(100.0, ge=0, description="Weight of the squared maximum mean discrepancy (mmd).")
    alpha: float = Field(0.5, le=1, description="Order of the Rényi bound: 0 is iwae, 1 is elbo (renyi).")
    elbo_share: float = Field(0.5, ge=0, le=1, description="Share of elbo in the mixture with iwae (ciwae).")
    groups: int = Field(2, ge=1, description="Groups into which the draws are divided (miwae, piwae).")
