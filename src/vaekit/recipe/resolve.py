"""From a recipe with open choices and data with a schema to a recipe without: each choice with its reason, said aloud."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from vaekit.data import Schema
from vaekit.errors import RecipeError
from vaekit.models.likelihoods import LIKELIHOODS
from vaekit.models.posteriors import POSTERIORS
from vaekit.networks.linear import MOST_AXES
from vaekit.objectives import OBJECTIVES
from vaekit.recipe.pace import set_pace
from vaekit.recipe.recipe import Recipe

MOST_CODES = (10, 16)
"""Latent dimensions of a table whose size is left open: of one kind, and mixed."""
MOST_CATEGORIES = 256
"""Levels of which the categorical likelihood takes one by one."""
CONVOLVE_ABOVE = 4096
"""Numbers in a picture above which a convolutional network is chosen."""


def resolve(recipe: Recipe, schema: Schema, rows: int) -> tuple[Recipe, list[str]]:
    """Fill in every `auto`, and refuse what does not go together.

    Args:
        recipe: as asked for.
        schema: what the training data are.
        rows: number of training rows.

    Returns:
        The complete recipe, and a sentence for each choice.

    Raises:
        RecipeError: if likelihood and data do not fit, or a network does not fit the data.
    """
    notes = [*_data_notes(schema), *_given(recipe, schema)]
    content: dict[str, Any] = recipe.model_dump()
    content["data"]["missing"] = recipe.data.marks  # the run keeps them, whatever a later version takes for a mark
    if schema.kind == "mixed":
        _mixed(content)
    elif recipe.model == "vae":
        notes += _likelihood(content, schema)
    else:
        content["data"]["binarize"] = "none" if recipe.data.binarize == "auto" else recipe.data.binarize
    _scaling(content, schema)
    notes += _networks(content, schema)
    _layers(content)
    if content["latent_dim"] == "auto":
        features = math.prod(schema.event_shape)
        content["latent_dim"] = (
            min(32, features) if schema.picture else min(MOST_CODES[schema.kind == "mixed"], max(1, features // 2))
        )
        notes.append(
            f"latent_dim={content['latent_dim']}: the customary size for {'pictures' if schema.picture else f'{features} columns'}."
        )
    if recipe.objective.name == "auto":
        content["objective"]["name"] = "elbo" if recipe.model == "vae" else "reconstruction"
    if recipe.objective.samples == "auto":
        content["objective"]["samples"] = OBJECTIVES[content["objective"]["name"]].draws
    _linear(content, schema)
    _prior(content, schema)
    _posterior(content)
    _objective(content)
    notes += set_pace(content, schema, rows)
    complete = Recipe.model_validate(content)
    if complete.model == "vae" and not complete.trains_bound:
        notes.append("The loss of this recipe is no bound of log p(x). Every figure that is called a bound is one.")
    return complete, notes


def _mixed(content: dict[str, Any]) -> None:
    """What goes without saying where every column has a kind of its own."""
    content["data"] |= {"kind": "mixed", "binarize": "none", "scaling": "none"}
    modelled = content["likelihood"]["missing"] == "modelled"
    if content["data"]["hide"] == "auto":
        content["data"]["hide"] = 0.0 if modelled else 0.25
    if modelled and content["data"]["hide"]:
        raise RecipeError(
            "data.hide must be 0 where likelihood.missing=modelled, as hidden cells are not missing for what they hold",
            str(content["data"]["hide"]),
        )
    content["likelihood"]["name"] = "mixed"


def _given(recipe: Recipe, schema: Schema) -> list[str]:
    """What a model that is given columns cannot be, and what its figures are of."""
    if not schema.context:
        return []
    names = ", ".join(column.name for column in schema.context)
    for what, value, refused, mend in (
        ("model", recipe.model, "autoencoder", "Choose model=vae"),
        ("encoder", recipe.encoder.network, "linear", "Choose encoder=mlp"),
        ("decoder", recipe.decoder.network, "linear", "Choose decoder=mlp"),
        ("prior", recipe.prior.name, "vamp", "Choose prior=mixture"),
    ):
        if value == refused:
            raise RecipeError(f"{what} must not be {refused} where data.context gives columns", names, mend)
    return [f"Given, not modelled: {names}. Figures are of log p(x|{names}); simple baselines do not know of them."]


def _layers(content: dict[str, Any]) -> None:
    """Several layers decide the number of latent dimensions, and are drawn from the top unless asked otherwise."""
    layers, posterior = content["layers"], content["posterior"]
    if posterior["name"] == "auto":
        posterior["name"] = "top_down" if layers else "diagonal"
    if len(layers) == 1:
        raise RecipeError("layers must be two or more sizes", str(list(layers)), f"Choose latent_dim={layers[0]}")
    if layers and content["latent_dim"] not in ("auto", sum(layers)):
        raise RecipeError(
            "latent_dim must be left out or be the sum of the layers",
            f"latent_dim={content['latent_dim']} for layers of {' + '.join(map(str, layers))}",
        )
    if layers:
        content["latent_dim"] = sum(layers)


def _posterior(content: dict[str, Any]) -> None:
    name, layers, prior = content["posterior"]["name"], content["layers"], content["prior"]["name"]
    objective, chosen = content["objective"]["name"], POSTERIORS[name]
    if content["model"] == "autoencoder" and (layers or name != "diagonal"):
        raise RecipeError(
            "layers and posterior must be left out for an autoencoder, which has none",
            _asked(content),
            "Choose model=vae",
        )
    if chosen.layered != bool(layers):
        raise RecipeError(
            "several layers must have a posterior of layers, and only they",
            f"posterior={name} for {len(layers) or 1} layers",
            "Choose posterior=top_down or posterior=bottom_up, and layers=[50, 20], say",
        )
    if ("flow" in name or name == "von_mises_fisher") and content["latent_dim"] == 1:
        raise RecipeError(f"posterior={name} must have at least 2 latent dimensions", "1", "Choose posterior=diagonal")
    if name != "diagonal" and (prior == "vamp" or objective in ("tc", "free_bits")):
        raise RecipeError(
            "the posterior must be diagonal for prior=vamp and for the objectives tc and free_bits",
            _asked(content),
            "Leave layers out" if layers else "Choose posterior=diagonal",
        )
    if not chosen.detachable and objective in ("stl", "dreg"):
        raise RecipeError(
            "the posterior must be no flow for the objectives stl and dreg",
            f"posterior={name}",
            f"Choose objective={'iwae' if objective == 'dreg' else 'elbo'}",
        )
    if content["posterior"]["corruption"] and content["data"]["kind"] == "mixed":
        raise RecipeError(
            "posterior.corruption must be 0 for a table of mixed columns, whose cells data.hide hides",
            str(content["posterior"]["corruption"]),
            "Choose data.hide=0.25, say",
        )
    if name != "diagonal" and content["encoder"]["network"] == "linear":
        raise RecipeError("the posterior must be diagonal for a linear encoder", _asked(content), "Choose encoder=mlp")


def _asked(content: dict[str, Any]) -> str:
    """The posterior by the name of what was asked for: of several layers it goes without saying."""
    layers = content["layers"]
    return f"layers={list(layers)}" if layers else f"posterior={content['posterior']['name']}"


def _linear(content: dict[str, Any], schema: Schema) -> None:
    """A linear network has no more directions than the data."""
    most = min(math.prod(schema.event_shape), MOST_AXES)
    for side in ("encoder", "decoder"):
        if content[side]["network"] == "linear" and schema.kind != "mixed" and content["latent_dim"] > most:
            raise RecipeError(
                f"latent_dim must be at most {most} for a linear {side} of these data",
                str(content["latent_dim"]),
                f"Choose {side}=mlp, or a smaller latent_dim",
            )


def _prior(content: dict[str, Any], schema: Schema) -> None:
    name = content["prior"]["name"]
    if name == "vamp" and schema.kind == "mixed":
        raise RecipeError(
            "the vamp prior must be given data of one kind, since it learns inputs, and cells of lists cannot be learned",
            "a table of mixed columns",
            "Choose prior=mixture or prior=flow",
        )
    top = content["layers"][-1] if content["layers"] else content["latent_dim"]
    if name.endswith("flow") and top == 1:
        raise RecipeError("a flow must have at least 2 latent dimensions", "one", "Choose prior=mixture")


def _objective(content: dict[str, Any]) -> None:
    objective, prior = content["objective"], content["prior"]["name"]
    name, plain = objective["name"], content["model"] == "autoencoder"
    if plain != (name == "reconstruction"):
        raise RecipeError(
            "objective=reconstruction must go with model=autoencoder, and no other objective with it",
            f"{name} for the model {content['model']}",
        )
    if plain and prior != "standard_normal":
        raise RecipeError("the prior must be left out for an autoencoder, which has none", prior)
    if name == "free_bits" and prior != "standard_normal":
        raise RecipeError(
            "the free_bits objective must have prior=standard_normal, whose rate has a part for each dimension",
            f"prior={prior}",
            "Choose objective=elbo, or leave prior out",
        )
    if name in ("miwae", "piwae") and content["training"]["draws_warmup"]:
        raise RecipeError(
            f"training.draws_warmup must be 0 for objective={name}, whose groups must divide the draws",
            str(content["training"]["draws_warmup"]),
            "Leave it out",
        )
    if name in ("miwae", "piwae") and objective["samples"] % objective["groups"]:
        raise RecipeError(
            "objective.groups must divide objective.samples",
            f"{objective['groups']} groups of {objective['samples']} draws",
            f"Choose objective.samples={objective['groups'] * -(-objective['samples'] // objective['groups'])}",
        )
    if name == "mmd" and not objective["kl_weight"] and prior != "standard_normal":
        raise RecipeError(
            "the prior must be standard_normal where nothing but its distance from the codes counts",
            f"{prior} with objective.kl_weight=0",
        )


MOST_NOTES = 20
"""Columns that are left out of which each is told."""


def _data_notes(schema: Schema) -> list[str]:
    if schema.kind == "mixed":
        out = [column for column in schema.table if not column.modelled and not column.context]
        kinds = Counter(column.kind for column in schema.modelled)
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        return [
            *(f"Column '{column.name}' is left out: {column.kind}, {column.reason}." for column in out[:MOST_NOTES]),
            *([f"{len(out) - MOST_NOTES:,} further columns are left out, too."] if len(out) > MOST_NOTES else []),
            f"likelihood=mixed: each column its own ({counted}; see `vaekit describe`).",
            *_missing_note(schema),
            *(f"Column '{column.name}': {column.note}." for column in schema.table if column.note),
        ]
    if not schema.constant:
        return []
    names = ", ".join(schema.name(i) for i in list(schema.constant)[:5]) + (", …" if len(schema.constant) > 5 else "")
    return [f"Left out of the likelihood, because they never vary: {len(schema.constant)} columns ({names})."]


def _missing_note(schema: Schema) -> list[str]:
    """How many cells are missing, where, and how they are written."""
    holes = [(column, sum(count for _, count in column.missing)) for column in schema.table if column.missing]
    if not holes:
        return []
    holes.sort(key=lambda pair: -pair[1])
    words = {column.name: ", ".join(word for word, _ in column.words) for column, _ in holes}
    told = ", ".join(
        f"{c.name} {count}" + (f" written {words[c.name]}" if words[c.name] else "") for c, count in holes[:5]
    )
    more = f", and {len(holes) - 5} more columns" if len(holes) > 5 else ""
    way = " data.missing says which words count as missing." if any(words.values()) else ""
    array = " An array with missing cells is modelled column by column, as a table is." if schema.array else ""
    return [f"Missing cells: {sum(count for _, count in holes)} ({told}{more}).{way}{array}"]


def _likelihood(content: dict[str, Any], schema: Schema) -> list[str]:
    data, name, notes = content["data"], content["likelihood"]["name"], []
    if data["binarize"] == "auto" or schema.kind == "binary":
        data["binarize"] = "none"
    if data["binarize"] != "none" and not schema.levels:
        raise RecipeError(
            "data.binarize must be none unless the data have levels", f"'{data['binarize']}' for {schema.kind} data"
        )
    kind = "binary" if data["binarize"] != "none" else schema.kind
    if name == "auto":
        name, reason = _default_likelihood(kind, schema)
        content["likelihood"]["name"] = name
        notes.append(f"likelihood={name}: {reason}")
    chosen = LIKELIHOODS[name]
    if name == "categorical" and kind == "levels" and schema.levels > MOST_CATEGORIES:
        outputs = schema.levels * math.prod(schema.event_shape)
        raise RecipeError(
            f"the categorical likelihood must be given at most {MOST_CATEGORIES} levels, as it has a number for each",
            f"{schema.levels}, which would be {outputs:,} numbers for a single row",
            "Choose likelihood=discretized_logistic or discretized_logistic_mixture",
        )
    if chosen.density and kind != "real":
        if data["binarize"] != "none":
            raise RecipeError(
                "binarised data must have a likelihood of binary data",
                f"'{name}'",
                "Choose likelihood=bernoulli, or data.binarize=none",
            )
        notes.append(
            f"likelihood={name} is a density: uniform noise is added to the whole numbers, so that its bound is one on their probability."
        )
    elif kind not in chosen.kinds:
        raise RecipeError(
            f"the {name} likelihood must be given {' or '.join(sorted(chosen.kinds))} data",
            "grey levels" if kind == "levels" else f"{kind} data",
            "Add data.binarize=dynamic, or choose likelihood=discretized_logistic"
            if name.endswith("bernoulli") and kind == "levels"
            else f"Choose likelihood={_default_likelihood(kind, schema)[0]}",
        )
    return notes


def _default_likelihood(kind: str, schema: Schema) -> tuple[str, str]:
    return {
        "binary": ("bernoulli", "the values are zeros and ones."),
        "levels": ("discretized_logistic", f"the values are {schema.levels} levels, of which it gives probabilities."),
        "counts": ("negative_binomial", "the values are counts, which may scatter more than Poisson's."),
        "real": ("gaussian", "the values are real numbers; its variance is learned for each feature."),
    }[kind]


def _scaling(content: dict[str, Any], schema: Schema) -> None:
    data, name = content["data"], content["likelihood"]["name"]
    reals = content["model"] == "autoencoder" or LIKELIHOODS[name].density
    if data["scaling"] == "auto":
        autoencoder_pixels = content["model"] == "autoencoder" and schema.levels and data["binarize"] == "none"
        data["scaling"] = (
            "unit" if autoencoder_pixels else "standardize" if reals and data["binarize"] == "none" else "none"
        )
    if data["scaling"] != "none" and not reals:
        raise RecipeError(
            f"data.scaling must be none for the {name} likelihood, which speaks of whole numbers",
            f"'{data['scaling']}'",
        )
    if data["scaling"] == "unit" and not schema.levels:
        raise RecipeError(
            "data.scaling=unit must be given data with levels", f"{schema.kind} data", "Choose data.scaling=standardize"
        )


def _networks(content: dict[str, Any], schema: Schema) -> list[str]:
    notes, size = [], math.prod(schema.event_shape)
    for side in ("encoder", "decoder"):
        network = content[side]["network"]
        if network == "auto":
            network = "convolutional" if schema.picture and size > CONVOLVE_ABOVE else "mlp"
            content[side]["network"] = network
            notes.append(
                f"{side}={network}: an example is {'a picture' if schema.picture else 'a row'} of {size} numbers."
            )
        if network == "convolutional" and not schema.picture:
            raise RecipeError(f"a convolutional {side} must be given pictures", "a table", f"Choose {side}=mlp")
    return notes
