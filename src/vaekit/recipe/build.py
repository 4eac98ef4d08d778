"""From a complete recipe and a schema to a model, and the model's start from its first look at the data."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaekit.data import Layout, Schema, Transform
from vaekit.models import (
    LIKELIHOODS,
    POSTERIORS,
    PRIORS,
    Autoencoder,
    Decoder,
    Encoder,
    LatentModel,
    LayeredPrior,
    VariationalAutoEncoder,
)
from vaekit.models.likelihoods import Likelihood, LocationScale, Mixed
from vaekit.models.posteriors import PosteriorParts
from vaekit.models.priors import PriorParts, VampPrior
from vaekit.networks import Beside, Direction, Leading, LinearDecoder, LinearEncoder, Rescale, TableInput
from vaekit.recipe.recipe import Recipe

READ = 64
"""Numbers into which encoder and decoder read what is given."""


def build_model(recipe: Recipe, schema: Schema, transform: Transform) -> VariationalAutoEncoder | Autoencoder:
    """The model that a complete recipe describes, with weights drawn from torch's global generator.

    Args:
        recipe: without any `auto`.
        schema: what the data are.
        transform: how the model sees them.

    Returns:
        The model, on the CPU.
    """
    shape, latent_dim = schema.event_shape, int(recipe.latent_dim)
    rescale = Rescale(logarithm=schema.kind == "counts" and recipe.data.scaling == "none")
    if recipe.model == "autoencoder":
        return Autoencoder(
            recipe.encoder.encoder(shape, latent_dim), recipe.decoder.decoder(latent_dim, shape, 1), latent_dim, rescale
        )
    likelihood = _likelihood(recipe, schema, transform)
    make_prior = PRIORS[recipe.prior.name]
    layers = None
    if recipe.layers:
        top = make_prior(PriorParts(recipe.prior, recipe.layers[-1], None, shape))
        layers = LayeredPrior(recipe.layers, recipe.posterior.hidden, top)
    name = "diagonal" if recipe.posterior.name == "auto" else recipe.posterior.name  # of runs before there was a choice
    posterior = POSTERIORS[name].make(PosteriorParts(recipe.posterior, latent_dim, layers))
    encoder = _recognizer(recipe, shape, transform, posterior.features)
    inference = Encoder(encoder, posterior, rescale, recipe.posterior.corruption)
    prior = layers or make_prior(PriorParts(recipe.prior, latent_dim, inference, shape))
    return VariationalAutoEncoder(
        inference,
        Decoder(_generator(recipe, likelihood, transform.given_layout), likelihood),
        prior,
        recipe.objective.kl_weight,
        1 if recipe.objective.samples == "auto" else recipe.objective.samples,
    )


def _recognizer(recipe: Recipe, shape: tuple[int, ...], transform: Transform, features: int) -> nn.Module:
    """The encoder's network; what is given stands beside the rows, or is one more channel of pictures that are convolved."""
    options, given = recipe.encoder, transform.given_layout
    if given is not None and options.network == "convolutional":
        height, width, channels = shape
        plane = nn.Sequential(TableInput(given, height * width), nn.Unflatten(1, (height, width, 1)))
        return Beside(nn.Identity(), plane, options.encoder((height, width, channels + 1), features))
    first: nn.Module = nn.Flatten()
    if transform.cells is not None:
        shape = (options.hidden[0] if options.hidden else 2 * int(recipe.latent_dim),)
        first = TableInput(transform.cells.layout, shape[0])
    if given is not None:
        return Beside(first, TableInput(given, READ), options.encoder((math.prod(shape) + READ,), features))
    network = options.encoder(shape, features)
    return network if transform.cells is None else nn.Sequential(first, network)


def _generator(recipe: Recipe, likelihood: Likelihood, given: Layout | None) -> nn.Module:
    """The decoder's network; it sees the lowest of layers drawn from the bottom up, of directions no length, and what is given."""
    inputs = int(recipe.latent_dim)
    first: nn.Module | None = None
    if recipe.posterior.name == "bottom_up":
        inputs = recipe.layers[0]
        first = Leading(inputs)
    elif recipe.posterior.name == "von_mises_fisher":
        first = Direction()
    if given is not None:
        inputs += READ
    network = recipe.decoder.decoder(inputs, likelihood.event_shape, likelihood.parameters_per_feature)
    if given is not None:
        return Beside(first or nn.Identity(), TableInput(given, READ), network)
    return network if first is None else nn.Sequential(first, network)


def _likelihood(recipe: Recipe, schema: Schema, transform: Transform) -> Likelihood:
    if transform.cells is not None:
        return Mixed(transform.cells.layout, recipe.likelihood)
    levels = 2 if recipe.data.binarize != "none" else schema.levels
    return LIKELIHOODS[recipe.likelihood.name](schema.event_shape, recipe.likelihood, levels)


@torch.no_grad()
def start_model(model: LatentModel, x: Tensor) -> None:
    """Set what the network sees to mean zero and unit spread, and the likelihood to the best constant model.

    Args:
        model: as built.
        x: some training rows as the model sees them, shape (n, *event).
    """
    if isinstance(model, Autoencoder):
        rescale, encoder, decoder = model.rescale, model.encoder, model.decoder
    else:
        model = model.with_likelihood("this start")
        rescale, encoder, decoder = model.encoder.rescale, model.encoder.network, model.decoder.network
        model.decoder.likelihood.start(x)
        if isinstance(model.decoder.likelihood, Mixed):  # scores are normal already
            return
    seen = rescale(x)  # still without shift and scale, but with its logarithm
    rescale.shift.copy_(seen.mean())
    rescale.scale.copy_(seen.std().clamp(min=torch.finfo(torch.float32).tiny))
    if isinstance(model, VariationalAutoEncoder) and isinstance(model.prior, VampPrior):
        model.prior.start(x)
    if isinstance(encoder, LinearEncoder):
        encoder.start(rescale(x), model.prior().event_shape[0])
    if isinstance(decoder, LinearDecoder):
        noise = decoder.start(x)
        if isinstance(model, VariationalAutoEncoder) and isinstance(model.decoder.likelihood, LocationScale):
            model.decoder.likelihood.start_noise(noise)
