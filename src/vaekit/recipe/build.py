"""From a complete recipe and a schema to a model, and the model's start from its first look at the data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data import Schema, Transform, seeded
from vaekit.errors import RecipeError, shorten
from vaekit.models import (
    Autoencoder,
    Decoder,
    Draws,
    Encoder,
    LatentModel,
    LayeredPrior,
    Likelihood,
    VariationalAutoEncoder,
)
from vaekit.models.likelihoods import Mixed
from vaekit.networks import Concatenated, Rescale, TableInput
from vaekit.parts import Plan
from vaekit.recipe.recipe import SECTIONS, Recipe

READ = 64
"""Numbers into which encoder and decoder read the context."""


def make_plan(
    recipe: Recipe,
    schema: Schema,
    rows: int,
    objects: Mapping[str, Any] | None = None,
    transform: Transform | None = None,
) -> Plan:
    """Return what is known of a model before it is built.

    Args:
        recipe: complete but for the pace of training.
        schema: what the data are.
        rows: number of training rows.
        objects: parts that were passed as Python objects, by section.
        transform: how the model sees the data; None before it is known.
    """
    binarized = recipe.data.binarize != "none"
    return Plan(
        kind="binary" if binarized else schema.kind,
        event_shape=schema.event_shape,
        levels=2 if binarized else schema.levels,
        picture=schema.picture,
        rows=rows,
        latent_dim=int(recipe.latent_dim),
        layers=recipe.layers,
        context=tuple(column.name for column in schema.context),
        options={section: getattr(recipe, section) for section in SECTIONS},
        built=dict(objects or {}),
        training=recipe.training,
        layout=transform.cells.layout if transform is not None and transform.cells is not None else None,
    )


def is_density(recipe: Recipe, objects: Mapping[str, Any]) -> bool:
    """Tell whether the likelihood is a density on the reals rather than a probability."""
    if recipe.model != "vae":
        return False
    likelihood = objects.get("likelihood", recipe.likelihood.part)
    density: bool = likelihood.density
    return density


def build_part(plan: Plan, section: str, **built: Any) -> Any:
    """Return the part that was chosen for a section: the object that was passed, or one that is built now.

    Args:
        plan: the data and the parts.
        section: as in `SECTIONS`.
        built: what is built already and the part may be made of.
    """
    if section in plan.built:
        return plan.built[section]
    return plan.part(section).build(plan.options[section], replace(plan, built={**plan.built, **built}))


def build_model(
    recipe: Recipe, schema: Schema, transform: Transform, objects: Mapping[str, Any] | None = None
) -> LatentModel:
    """Return the model that a complete recipe describes, with weights drawn from torch's global generator.

    Args:
        recipe: without any `auto`.
        schema: what the data are.
        transform: how the model sees them.
        objects: parts that were passed as Python objects, by section.

    Returns:
        The model, on the CPU.
    """
    plan = make_plan(recipe, schema, 0, objects, transform)
    rescale = Rescale(logarithm=schema.kind == "counts" and recipe.data.scaling == "none")
    if recipe.model == "autoencoder":
        encoder = _encoder(plan, plan.event_shape, plan.latent_dim)
        return Autoencoder(encoder, _decoder(plan, plan.latent_dim, plan.event_shape, 1), plan.latent_dim, rescale)
    likelihood = build_part(plan, "likelihood")
    layers = None
    if plan.layers:
        hidden = recipe.posterior.values()["hidden"]  # of the networks between layers, which both share
        layers = LayeredPrior(plan.layers, hidden, build_part(plan, "prior"))
    posterior = build_part(plan, "posterior", layers=layers)
    network = _recognizer(plan, transform, posterior.features)
    inference = Encoder(network, posterior, rescale, recipe.posterior.corruption)
    prior = layers or build_part(plan, "prior", inference=inference)
    decoder = Decoder(_generator(plan, likelihood, transform.context_layout), likelihood)
    return VariationalAutoEncoder(inference, decoder, prior, recipe.objective.kl_weight, int(recipe.objective.samples))


def _encoder(plan: Plan, shape: tuple[int, ...], features: int) -> nn.Module:
    if "encoder" in plan.built:
        network: nn.Module = plan.built["encoder"]
        return network
    return plan.part("encoder").encoder(plan.options["encoder"], shape, features, plan.latent_dim)


def _decoder(plan: Plan, inputs: int, shape: tuple[int, ...], parameters: int) -> nn.Module:
    if "decoder" in plan.built:
        network: nn.Module = plan.built["decoder"]
        return network
    return plan.part("decoder").decoder(plan.options["decoder"], inputs, shape, parameters)


def _recognizer(plan: Plan, transform: Transform, features: int) -> nn.Module:
    """Return the encoder's network; the context stands beside the rows, or is one more channel of pictures."""
    shape, context = plan.event_shape, transform.context_layout
    if context is not None and plan.picture and plan.options["encoder"].name == "convolutional":
        height, width, channels = shape
        plane = nn.Sequential(TableInput(context, height * width), nn.Unflatten(1, (height, width, 1)))
        return Concatenated(nn.Identity(), plane, _encoder(plan, (height, width, channels + 1), features))
    first: nn.Module = nn.Flatten()
    if plan.layout is not None:
        hidden = plan.options["encoder"].values().get("hidden")
        shape = (hidden[0] if hidden else 2 * plan.latent_dim,)
        first = TableInput(plan.layout, shape[0])
    if context is not None:
        read = TableInput(context, READ)
        return Concatenated(first, read, _encoder(plan, (math.prod(shape) + READ,), features))
    network = _encoder(plan, shape, features)
    return network if plan.layout is None else nn.Sequential(first, network)


def _generator(plan: Plan, likelihood: Likelihood, context: Any) -> nn.Module:
    """Return the decoder's network, which sees of z what the posterior says, and the context."""
    first, inputs = plan.part("posterior").decoder_input(plan)
    if context is not None:
        inputs += READ
    network = _decoder(plan, inputs, likelihood.event_shape, likelihood.parameters_per_feature)
    if context is not None:
        return Concatenated(first or nn.Identity(), TableInput(context, READ), network)
    return network if first is None else nn.Sequential(first, network)


@torch.no_grad()
def start_model(model: LatentModel, x: Tensor) -> None:
    """Set what the network sees to mean zero and unit spread, and every part to where the data suggest.

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
    if isinstance(model, VariationalAutoEncoder):
        _start(model.prior, x)
    _start(encoder, rescale(x))
    noise = _start(decoder, x)
    if noise is not None and isinstance(model, VariationalAutoEncoder):
        model.decoder.likelihood.start_noise(noise)


def check_fit(model: LatentModel, x: Tensor) -> None:
    """Try parts that were passed as objects on some rows.

    Args:
        model: as built.
        x: some training rows as the model sees them, shape (n, *event).

    Raises:
        RecipeError: if the parts do not fit together.
    """
    try:
        with torch.no_grad(), seeded(0):
            draws = model.draw(x, 1)
            if draws.distortion().shape != (len(x),):
                raise ValueError(f"the distortion has shape {tuple(draws.distortion().shape)} for {len(x)} rows")
            if isinstance(draws, Draws) and draws.rate().shape != (len(x),):
                raise ValueError(f"the rate has shape {tuple(draws.rate().shape)} for {len(x)} rows")
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise RecipeError(
            f"The parts do not fit together: {shorten(str(error))}", mend="Compare their sizes"
        ) from error


def _start(network: nn.Module, x: Tensor) -> float | None:
    """Start a part that has a start; return the variance that it leaves to the noise."""
    start: Any = getattr(network, "start", None)
    return None if start is None else start(x)
