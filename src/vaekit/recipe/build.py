"""From a complete recipe and a schema to a model, and the model's start from its first look at the data."""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.data import Schema
from vaekit.models import LIKELIHOODS, PRIORS, Autoencoder, Decoder, GaussianEncoder, VariationalAutoEncoder
from vaekit.models.likelihoods import LocationScale
from vaekit.networks import LinearDecoder, LinearEncoder, Rescale
from vaekit.recipe.recipe import Recipe


def build_model(recipe: Recipe, schema: Schema) -> VariationalAutoEncoder | Autoencoder:
    """The model that a complete recipe describes, with weights drawn from torch's global generator.

    Args:
        recipe: without any `auto`.
        schema: what the data are.

    Returns:
        The model, on the CPU.
    """
    shape, latent_dim = schema.event_shape, int(recipe.latent_dim)
    rescale = Rescale(logarithm=schema.kind == "counts" and recipe.data.scaling == "none")
    if recipe.model == "autoencoder":
        return Autoencoder(
            recipe.encoder.encoder(shape, latent_dim), recipe.decoder.decoder(latent_dim, shape, 1), latent_dim, rescale
        )
    levels = 2 if recipe.data.binarize != "none" else schema.levels
    likelihood = LIKELIHOODS[recipe.likelihood.name](shape, recipe.likelihood, levels)
    return VariationalAutoEncoder(
        GaussianEncoder(recipe.encoder.encoder(shape, 2 * latent_dim), rescale),
        Decoder(recipe.decoder.decoder(latent_dim, shape, likelihood.parameters_per_feature), likelihood),
        PRIORS[recipe.prior.name](latent_dim),
        recipe.objective.kl_weight,
        recipe.objective.samples,
    )


@torch.no_grad()
def start_model(model: VariationalAutoEncoder | Autoencoder, x: Tensor) -> None:
    """Set what the network sees to mean zero and unit spread, and the likelihood to the best constant model.

    Args:
        model: as built.
        x: some training rows as the model sees them, shape (n, *event).
    """
    if isinstance(model, Autoencoder):
        rescale, encoder, decoder = model.rescale, model.encoder, model.decoder
    else:
        rescale, encoder, decoder = model.encoder.rescale, model.encoder.network, model.decoder.network
        model.decoder.likelihood.start(x)
    seen = rescale(x)  # still without shift and scale, but with its logarithm
    rescale.shift.copy_(seen.mean())
    rescale.scale.copy_(seen.std().clamp(min=torch.finfo(torch.float32).tiny))
    if isinstance(encoder, LinearEncoder):
        encoder.start(rescale(x), model.prior().event_shape[0])
    if isinstance(decoder, LinearDecoder):
        noise = decoder.start(x)
        if isinstance(model, VariationalAutoEncoder) and isinstance(model.decoder.likelihood, LocationScale):
            model.decoder.likelihood.start_noise(noise)
