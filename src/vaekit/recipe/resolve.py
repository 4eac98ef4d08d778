"""Replace every `auto` in a recipe by a choice that suits the data, and give a reason for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from vaekit.data import Column, Schema
from vaekit.errors import RecipeError
from vaekit.models import Likelihood
from vaekit.parts import AUTO, OBJECT, Part
from vaekit.recipe.build import make_plan
from vaekit.recipe.checking import check_recipe
from vaekit.recipe.pace import set_pace
from vaekit.recipe.recipe import SECTIONS, Recipe

MOST_CODES = (10, 16)
"""Largest `latent_dim=auto` for a table with columns of one kind, and for a mixed table."""
CONVOLVE_ABOVE = 4096
"""Pictures with more numbers than this get a convolutional network."""


def resolve(
    recipe: Recipe, schema: Schema, rows: int, objects: Mapping[str, Any] | None = None
) -> tuple[Recipe, list[str]]:
    """Replace every `auto` in a recipe by a choice that suits the data, and refuse parts that do not fit together.

    Args:
        recipe: the recipe as the user wrote it.
        schema: description of the training data.
        rows: number of training rows.
        objects: parts that were passed as Python objects, by section.

    Returns:
        The complete recipe, and a sentence for each choice.

    Raises:
        RecipeError: if the data or the other parts do not meet the requirements of a part.
    """
    objects = objects or {}
    has_likelihood = objects["model"].has_likelihood if "model" in objects else recipe.has_likelihood
    notes = [*_data_notes(schema), *_given(schema)]
    content: dict[str, Any] = recipe.model_dump()
    content["data"]["missing"] = recipe.data.marks  # the run keeps these words, even if a later version has others
    for section, part in objects.items():
        shared = SECTIONS[section].kind.Options.model_fields
        kept = {key: value for key, value in content[section].items() if key in shared and value is not None}
        built = getattr(part, "built_from", None) or type(part)
        content[section] = kept | {"name": OBJECT, "type": f"{built.__module__}.{built.__qualname__}"}
    notes += _for_data(content, recipe, schema, objects)
    _latents(content, schema, objects, notes)
    if content["objective"]["name"] == AUTO:
        _choose(content, "objective", "elbo" if has_likelihood else "reconstruction")
    complete = check_recipe(content)
    plan = make_plan(complete, schema, rows, objects)
    content = complete.model_dump()
    if complete.objective.samples == AUTO:
        content["objective"]["samples"] = plan.part("objective").draws
        complete = check_recipe(content)
        plan = make_plan(complete, schema, rows, objects)
    if has_likelihood and complete.objective.name == "reconstruction":
        raise RecipeError("model must be autoencoder for objective=reconstruction", f"'{recipe.model.name}'")
    for section in ("model", *recipe.model.part.parts, "objective", "optimizer"):
        if section in ("objective", "optimizer") or "model" not in objects:
            part = plan.part(section)  # a plain torch module has no requirements
            for refusal in part.needs(plan.options[section], plan, section) if issubclass(part, Part) else ():
                raise refusal
    notes += set_pace(content, plan)
    complete = check_recipe(content)
    if has_likelihood and not complete.trains_bound:
        notes.append("The loss of this recipe is not a bound on log p(x). All reported bounds are true bounds.")
    return complete, notes


def _choose(content: dict[str, Any], section: str, name: str) -> None:
    """Choose the part of a recipe section, and keep the options that were set."""
    given = {key: value for key, value in content[section].items() if value is not None}
    content[section] = given | {"name": name}


def _for_data(content: dict[str, Any], recipe: Recipe, schema: Schema, objects: Mapping[str, Any]) -> list[str]:
    """Choose the likelihood, scaling and networks that suit the data."""
    notes: list[str] = []
    if schema.kind == "mixed":
        _mixed(content)
    elif content["data"]["blur"]:
        raise RecipeError("data.blur must be 0 unless the data are a mixed table", str(content["data"]["blur"]))
    elif recipe.has_parts("likelihood") and "model" not in objects:
        notes += _likelihood(content, schema, objects)
    elif content["data"]["binarize"] == AUTO:
        content["data"]["binarize"] = "none"
    if not recipe.has_parts("encoder") or "model" in objects:
        if content["data"]["scaling"] == AUTO:  # the model sees the data as they are, unless asked otherwise
            content["data"]["scaling"] = "none"
        return notes
    _scaling(content, schema, objects)
    return notes + _networks(content, schema)


def _latents(content: dict[str, Any], schema: Schema, objects: Mapping[str, Any], notes: list[str]) -> None:
    """Choose the number of latent dimensions and the posterior."""
    _layers(content)
    prior = objects["model"].prior if "model" in objects else objects.get("prior")
    if prior is not None and content["latent_dim"] == AUTO:
        content["latent_dim"] = prior().event_shape[0]
    if content["latent_dim"] == AUTO:
        features = math.prod(schema.event_shape)
        table = min(MOST_CODES[schema.kind == "mixed"], max(1, features // 2))
        content["latent_dim"] = min(32, features) if schema.picture else table
        of = "pictures" if schema.picture else f"{features} columns"
        notes.append(f"latent_dim={content['latent_dim']}: the usual size for {of}.")


def _mixed(content: dict[str, Any]) -> None:
    """Set the likelihood and data options of a mixed table, where every column has its own kind."""
    content["data"] |= {"kind": "mixed", "binarize": "none", "scaling": "none"}
    if content["likelihood"]["name"] == AUTO:
        _choose(content, "likelihood", "mixed")
    modelled = content["likelihood"].get("missing") == "modelled"
    if content["data"]["hide"] == AUTO:
        content["data"]["hide"] = 0.0 if modelled else 0.25
    if modelled and content["data"]["hide"]:
        must = (
            "data.hide must be 0 with likelihood.missing=modelled, because cells are hidden whatever their values are"
        )
        raise RecipeError(must, str(content["data"]["hide"]))


def _given(schema: Schema) -> list[str]:
    """Return a note that a conditional model is evaluated by log p(x|c)."""
    if not schema.context:
        return []
    names = ", ".join(column.name for column in schema.context)
    return [f"Given, not modelled: {names}. Figures measure log p(x|{names}); simple baselines ignore these columns."]


def _layers(content: dict[str, Any]) -> None:
    """Set latent_dim to the sum of the layers' sizes, and choose the posterior: `top_down` for several layers."""
    layers, posterior = content["layers"], content["posterior"]
    if posterior["name"] == AUTO:
        _choose(content, "posterior", "top_down" if layers else "diagonal")
    if len(layers) == 1:
        raise RecipeError(
            "layers must list two or more sizes",
            str(list(layers)),
            f"For a single layer, set latent_dim={layers[0]}",
        )
    if layers and content["latent_dim"] not in ("auto", sum(layers)):
        must = "latent_dim must be the sum of the layers, or be left out"
        raise RecipeError(must, f"latent_dim={content['latent_dim']} for layers of {' + '.join(map(str, layers))}")
    if layers:
        content["latent_dim"] = sum(layers)


MOST_NOTES = 20
"""Most omitted columns that get a note each."""


def _left_out(column: Column) -> str:
    also = "" if column.kind == "constant" else ", also of drawn rows"
    return f"Column '{column.name}' is left out{also}: {column.kind}, {column.reason}."


def _data_notes(schema: Schema) -> list[str]:
    if schema.kind == "mixed":
        out = [column for column in schema.table if not column.modelled and not column.context]
        kinds = Counter(column.kind for column in schema.modelled)
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        return [
            *map(_left_out, out[:MOST_NOTES]),
            *([f"{len(out) - MOST_NOTES:,} further columns are left out, too."] if len(out) > MOST_NOTES else []),
            f"likelihood=mixed: each column has its own ({counted}; see `vaekit describe`).",
            *_missing_note(schema),
            *(f"Column '{column.name}': {column.note}." for column in schema.table if column.note),
        ]
    if not schema.constant:
        return []
    names = ", ".join(schema.name(i) for i in list(schema.constant)[:5]) + (", …" if len(schema.constant) > 5 else "")
    return [f"Left out of the likelihood, because they never vary: {len(schema.constant)} columns ({names})."]


def _missing_note(schema: Schema) -> list[str]:
    """Return a note on missing cells: how many there are, in which columns, and how the data mark them."""
    holes = [(column, sum(count for _, count in column.missing)) for column in schema.table if column.missing]
    if not holes:
        return []
    holes.sort(key=lambda pair: -pair[1])
    words = [f" written {', '.join(word for word, _ in c.words)}" if c.words else "" for c, _ in holes]
    told = ", ".join(f"{c.name} {count}{word}" for (c, count), word in zip(holes[:5], words, strict=False))
    more = f", and {len(holes) - 5} more columns" if len(holes) > 5 else ""
    way = " data.missing lists the words that count as missing." if any(words) else ""
    array = " An array with missing cells is modelled column by column, as a table is." if schema.array else ""
    return [f"Missing cells: {sum(count for _, count in holes)} ({told}{more}).{way}{array}"]


def _likelihood(content: dict[str, Any], schema: Schema, objects: Mapping[str, Any]) -> list[str]:
    data, name, notes = content["data"], content["likelihood"]["name"], []
    if data["binarize"] == AUTO or schema.kind == "binary":
        data["binarize"] = "none"
    if data["binarize"] != "none" and not schema.levels:
        must = "data.binarize must be none unless the data have levels"
        raise RecipeError(must, f"'{data['binarize']}' for {schema.kind} data")
    kind = "binary" if data["binarize"] != "none" else schema.kind
    if name == AUTO:
        name, reason = _default_likelihood(kind, schema, objects)
        _choose(content, "likelihood", name)
        notes.append(f"likelihood={name}: {reason}")
    chosen = _likelihood_of(content, objects)
    if chosen.density and kind != "real":
        if data["binarize"] != "none":
            must = "binarised data must have a likelihood for binary data"
            raise RecipeError(must, f"'{name}'", "Choose likelihood=bernoulli, or data.binarize=none")
        notes.append(
            f"likelihood={name} is a density: uniform noise is added to integers, so its bound also holds for their probability."
        )
    elif kind not in chosen.kinds:
        raise RecipeError(
            f"the data must be {' or '.join(sorted(chosen.kinds))} for likelihood={name}",
            "grey levels" if kind == "levels" else f"{kind} data",
            "Add data.binarize=dynamic, or choose likelihood=discretized_logistic"
            if name.endswith("bernoulli") and kind == "levels"
            else f"Choose likelihood={_default_likelihood(kind, schema, objects)[0]}",
        )
    return notes


def _likelihood_of(content: dict[str, Any], objects: Mapping[str, Any]) -> type[Likelihood]:
    if "likelihood" in objects:
        return type(objects["likelihood"])
    return Likelihood.named(content["likelihood"]["name"])


def _default_likelihood(kind: str, schema: Schema, objects: Mapping[str, Any]) -> tuple[str, str]:
    return {
        "binary": ("bernoulli", "the values are zeros and ones."),
        "levels": _likelihood_of_levels(schema, objects),
        "counts": ("negative_binomial", "the values are counts, and their variance may exceed their mean."),
        "real": ("gaussian", "the values are real numbers; a variance is learned for each feature."),
    }[kind]


def _likelihood_of_levels(schema: Schema, objects: Mapping[str, Any]) -> tuple[str, str]:
    # a decoder of one's own has the outputs of the simplest likelihood of levels, a location and a scale
    if "decoder" not in objects and schema.picture and math.prod(schema.event_shape) > CONVOLVE_ABOVE:
        return "autoregressive_logistic", "in pictures of this size, the pixels before a pixel tell most of it."
    return "discretized_logistic", f"the values are {schema.levels} levels, and it gives their probabilities."


def _scaling(content: dict[str, Any], schema: Schema, objects: Mapping[str, Any]) -> None:
    data, name = content["data"], content["likelihood"]["name"]
    reals = content["model"]["name"] == "autoencoder" or _likelihood_of(content, objects).density
    if data["scaling"] == "auto":
        as_given = reals and data["binarize"] == "none"
        pixels = content["model"]["name"] == "autoencoder" and schema.levels
        data["scaling"] = "none" if not as_given else "unit" if pixels else "standardize"
    if data["scaling"] != "none" and not reals:
        must = f"data.scaling must be none for likelihood={name}, which is for integers"
        raise RecipeError(must, f"'{data['scaling']}'")
    if data["scaling"] == "unit" and not schema.levels:
        raise RecipeError(
            "data must have kind 'levels' for data.scaling=unit",
            f"{schema.kind} data",
            "Choose data.scaling=standardize",
        )


def _networks(content: dict[str, Any], schema: Schema) -> list[str]:
    notes, size = [], math.prod(schema.event_shape)
    for side in ("encoder", "decoder"):
        if content[side]["name"] == AUTO:
            network = "convolutional" if schema.picture and size > CONVOLVE_ABOVE else "mlp"
            _choose(content, side, network)
            example = "a picture" if schema.picture else "a row"
            notes.append(f"{side}={network}: an example is {example} of {size} numbers.")
    return notes
