"""From a complete recipe and a schema to a model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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
    ModelFamily,
    VariationalAutoEncoder,
)
from vaekit.models.by_hand import is_density as is_density_of
from vaekit.networks import Concatenated, Rescale, TableInput
from vaekit.parts import OBJECT, Plan
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
        context_layout=None if transform is None else transform.context_layout,
        logarithm=schema.kind == "counts" and recipe.data.scaling == "none",
    )


def is_density(recipe: Recipe, plan: Plan) -> bool:
    """Tell whether the likelihood is a density on the reals rather than a probability."""
    if "model" in plan.built:
        return is_density_of(plan.built["model"])
    if "likelihood" in recipe.model.part.parts:
        density: bool = plan.part("likelihood").density
        return density
    with seeded(0):
        return is_density_of(recipe.model.part.build(recipe.model, plan))


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
    model: LatentModel = build_part(make_plan(recipe, schema, 0, objects, transform), "model")
    return model


class VariationalFamily(ModelFamily):
    """Encoder q(z|x), decoder p(x|z) and prior p(z), of the parts that a recipe names."""

    name = "vae"
    parts = ("encoder", "decoder", "likelihood", "posterior", "prior")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> VariationalAutoEncoder:  # noqa: ARG003 - it has none
        """Return the variational autoencoder."""
        likelihood, chosen = build_part(plan, "likelihood"), plan.options["posterior"]
        layers = None
        if plan.layers:
            hidden = chosen.values()["hidden"]  # of the networks between layers, which both share
            layers = LayeredPrior(plan.layers, hidden, build_part(plan, "prior"))
        posterior = build_part(plan, "posterior", layers=layers)
        network = _recognizer(plan, posterior.features)
        inference = Encoder(network, posterior, Rescale(logarithm=plan.logarithm), chosen.corruption)
        prior = layers or build_part(plan, "prior", inference=inference)
        decoder = Decoder(_generator(plan, likelihood), likelihood)
        objective = plan.options["objective"]
        return VariationalAutoEncoder(inference, decoder, prior, objective.kl_weight, int(objective.samples))


class DeterministicFamily(ModelFamily):
    """dec(enc(x)) without a likelihood, to compare with."""

    name = "autoencoder"
    has_likelihood = False
    parts = ("encoder", "decoder")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal of what an autoencoder does not have."""
        if plan.context:
            must = "model must not be autoencoder where data.context gives columns"
            yield RecipeError(must, ", ".join(plan.context), "Choose model=vae")
        asked = [f"layers={list(plan.layers)}"] if plan.layers else []
        asked += [
            f"{part}={plan.options[part].name}"
            for part, usual in (("posterior", "diagonal"), ("prior", "standard_normal"))
            if plan.options[part].name != usual
        ]
        if asked:
            fault = f"An autoencoder cannot be built with {' and '.join(asked)}"
            yield RecipeError(fault, mend="Leave it out, or choose model=vae")
        if plan.options["objective"].name not in ("reconstruction", OBJECT):
            must = "objective must be reconstruction where model=autoencoder"
            yield RecipeError(must, f"'{plan.options['objective'].name}'", "Leave it out")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Autoencoder:  # noqa: ARG003 - it has none
        """Return the autoencoder."""
        encoder = build_network(plan, "encoder", plan.event_shape, plan.latent_dim, plan.latent_dim)
        decoder = build_network(plan, "decoder", plan.latent_dim, plan.event_shape, 1)
        return Autoencoder(encoder, decoder, plan.latent_dim, Rescale(logarithm=plan.logarithm))


def build_network(plan: Plan, side: str, *sizes: Any) -> nn.Module:
    """Return the network of the encoder or the decoder: the object that was passed, or one that is built now.

    Args:
        plan: the data and the parts.
        side: `encoder` or `decoder`.
        sizes: what the class method of that name takes after the options.
    """
    if side in plan.built:
        return plan.built[side]
    return getattr(plan.part(side), side)(plan.options[side], *sizes)


def _recognizer(plan: Plan, features: int) -> nn.Module:
    """Return the encoder's network; the context stands beside the rows, or is one more channel of pictures."""
    shape, context = plan.event_shape, plan.context_layout

    def encoder(shape: tuple[int, ...]) -> nn.Module:
        return build_network(plan, "encoder", shape, features, plan.latent_dim)

    if context is not None and plan.picture and plan.options["encoder"].name == "convolutional":
        height, width, channels = shape
        plane = nn.Sequential(TableInput(context, height * width), nn.Unflatten(1, (height, width, 1)))
        return Concatenated(nn.Identity(), plane, encoder((height, width, channels + 1)))
    first: nn.Module = nn.Flatten()
    if plan.layout is not None:
        hidden = plan.options["encoder"].values().get("hidden")
        shape = (hidden[0] if hidden else 2 * plan.latent_dim,)
        first = TableInput(plan.layout, shape[0])
    if context is not None:
        read = TableInput(context, READ)
        return Concatenated(first, read, encoder((math.prod(shape) + READ,)))
    return encoder(shape) if plan.layout is None else nn.Sequential(first, encoder(shape))


def _generator(plan: Plan, likelihood: Likelihood) -> nn.Module:
    """Return the decoder's network, which sees of z what the posterior says, and the context."""
    first, inputs = plan.part("posterior").decoder_input(plan)
    context = plan.context_layout
    if context is not None:
        inputs += READ
    network = build_network(plan, "decoder", inputs, likelihood.event_shape, likelihood.parameters_per_feature)
    if context is not None:
        return Concatenated(first or nn.Identity(), TableInput(context, READ), network)
    return network if first is None else nn.Sequential(first, network)


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
        fault = f"The parts do not fit together: {shorten(str(error))}"
        raise RecipeError(fault, mend="Compare their sizes") from error
