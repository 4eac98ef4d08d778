"""Build a model from a complete recipe and a schema, and initialise it from some training rows."""

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
"""Number of features to which encoder and decoder each map the context."""


def make_plan(
    recipe: Recipe,
    schema: Schema,
    rows: int,
    objects: Mapping[str, Any] | None = None,
    transform: Transform | None = None,
) -> Plan:
    """Return the plan of a model: what a recipe and a schema say about the model before it is built.

    Args:
        recipe: complete except for epochs, precision and compilation.
        schema: description of the data.
        rows: number of training rows.
        objects: parts that were passed as Python objects, by section.
        transform: maps data as given to data as the model sees them; None before it is fitted.
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
    """Tell whether a recipe's likelihood is a density on real numbers rather than a probability."""
    if "model" in plan.built:
        return is_density_of(plan.built["model"])
    if "likelihood" in recipe.model.part.parts:
        density: bool = plan.part("likelihood").density
        return density
    with seeded(0):
        return is_density_of(recipe.model.part.build(recipe.model, plan))


def build_part(plan: Plan, section: str, **built: Any) -> Any:
    """Return the part of a recipe section: the object that the user passed, or a new one built from its options.

    Args:
        plan: the data and the parts.
        section: a key of `SECTIONS`.
        built: parts that are built already, which this part may use.
    """
    if section in plan.built:
        return plan.built[section]
    return plan.part(section).build(plan.options[section], replace(plan, built={**plan.built, **built}))


def build_model(
    recipe: Recipe, schema: Schema, transform: Transform, objects: Mapping[str, Any] | None = None
) -> LatentModel:
    """Return the model that a complete recipe describes, with weights drawn from torch's global generator.

    Args:
        recipe: complete, without any `auto`.
        schema: description of the data.
        transform: maps data as given to data as the model sees them.
        objects: parts that were passed as Python objects, by section.

    Returns:
        The model, on the CPU.
    """
    model: LatentModel = build_part(make_plan(recipe, schema, 0, objects, transform), "model")
    return model


class VariationalFamily(ModelFamily):
    """Variational autoencoder: encoder q(z|x), decoder p(x|z) and prior p(z), built from the recipe's parts."""

    name = "vae"
    parts = ("encoder", "decoder", "likelihood", "posterior", "prior")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> VariationalAutoEncoder:  # noqa: ARG003 - it has none
        """Build the variational autoencoder that a plan describes."""
        likelihood, chosen = build_part(plan, "likelihood"), plan.options["posterior"]
        layers = None
        if plan.layers:
            hidden = chosen.values()["hidden"]  # widths of the networks between layers, in prior and posterior
            layers = LayeredPrior(plan.layers, hidden, build_part(plan, "prior"))
        posterior = build_part(plan, "posterior", layers=layers)
        network = _recognizer(plan, posterior.features)
        inference = Encoder(network, posterior, Rescale(logarithm=plan.logarithm), chosen.corruption)
        prior = layers or build_part(plan, "prior", inference=inference)
        decoder = Decoder(_generator(plan, likelihood), likelihood)
        objective = plan.options["objective"]
        return VariationalAutoEncoder(inference, decoder, prior, objective.kl_weight, int(objective.samples))


class DeterministicFamily(ModelFamily):
    """Deterministic autoencoder dec(enc(x)) without a likelihood, as a baseline."""

    name = "autoencoder"
    has_likelihood = False
    parts = ("encoder", "decoder")

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield an error for each setting that an autoencoder does not support."""
        if plan.context:
            fault = f"An autoencoder cannot be conditional on columns (data.context): {', '.join(plan.context)}"
            yield RecipeError(fault, mend="Choose model=vae")
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
            must = "objective must be reconstruction for model=autoencoder"
            yield RecipeError(must, f"'{plan.options['objective'].name}'", "Leave objective out")

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Autoencoder:  # noqa: ARG003 - it has none
        """Build the autoencoder that a plan describes."""
        encoder = build_network(plan, "encoder", plan.event_shape, plan.latent_dim, plan.latent_dim)
        decoder = build_network(plan, "decoder", plan.latent_dim, plan.event_shape, 1)
        return Autoencoder(encoder, decoder, plan.latent_dim, Rescale(logarithm=plan.logarithm))


def build_network(plan: Plan, side: str, *sizes: Any) -> nn.Module:
    """Return the network of the encoder or decoder: the object that the user passed, or a new one.

    Args:
        plan: the data and the parts.
        side: `encoder` or `decoder`.
        sizes: arguments, after the options, of the network's class method `encoder` or `decoder`.
    """
    if side in plan.built:
        return plan.built[side]
    return getattr(plan.part(side), side)(plan.options[side], *sizes)


def _recognizer(plan: Plan, features: int) -> nn.Module:
    """Return the encoder's network, which reads the context as extra features or as an extra picture channel."""
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
    """Return the decoder's network, whose inputs are z and, in a conditional model, the context."""
    first, inputs = plan.part("posterior").decoder_input(plan)
    context = plan.context_layout
    if context is not None:
        inputs += READ
    network = build_network(plan, "decoder", inputs, likelihood.event_shape, likelihood.parameters_per_feature)
    if context is not None:
        return Concatenated(first or nn.Identity(), TableInput(context, READ), network)
    return network if first is None else nn.Sequential(first, network)


def check_kind(model: LatentModel, schema: Schema, binarizes: bool) -> None:
    """Refuse a model whose likelihood gives probabilities to other values than those of the data.

    Args:
        model: a model that was built by hand, or of parts passed as objects.
        schema: the schema of the data.
        binarizes: whether grey values are binarised for the model.

    Raises:
        RecipeError: if the likelihood is not one for such data: its log-probabilities would not be bounds.
    """
    likelihood = getattr(getattr(model, "decoder", None), "likelihood", None)
    if not isinstance(likelihood, Likelihood) or likelihood.density:
        return
    kind = "binary" if binarizes else schema.kind
    if kind not in likelihood.kinds:
        raise RecipeError(
            f"The model's likelihood is {likelihood.name}, for {' or '.join(sorted(likelihood.kinds))} data, but the data are {kind}",
            mend="Choose a likelihood for these data, or data.binarize=dynamic for grey values",
        )


def check_fit(model: LatentModel, x: Tensor) -> None:
    """Check that parts passed as objects fit together, by running the model on some rows.

    Args:
        model: a model that was just built.
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
        raise RecipeError(fault, mend="Compare their shapes") from error
