"""Check parts that are passed as Python objects rather than by name, in training and in loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vaekit.data import Schema
from vaekit.errors import RecipeError, RunError, shorten
from vaekit.models import Likelihood, Posterior
from vaekit.models.by_hand import as_latent_model
from vaekit.objectives import Objective
from vaekit.parts import AUTO, OBJECT, Part, PartOptions, import_installed
from vaekit.recipe.recipe import SECTIONS, Recipe
from vaekit.training.optimizers import StepOptimizer

Maker = Callable[[nn.Module, float], StepOptimizer | torch.optim.Optimizer]
MUST_BE: dict[str, tuple[type, str]] = {
    "model": (nn.Module, "a torch module with an `encoder`, a `decoder` and a `prior`"),
    "encoder": (nn.Module, "a torch module from (B, *event) to (B, features)"),
    "decoder": (nn.Module, "a torch module from (..., latent_dim) to (..., *event, parameters)"),
    "likelihood": (Likelihood, "a vaekit.models.Likelihood"),
    "posterior": (Posterior, "a vaekit.models.Posterior"),
    "prior": (nn.Module, "a torch module with a forward that returns a distribution"),
    "objective": (Objective, "a vaekit.objectives.Objective"),
    "optimizer": (object, "a class of torch.optim, or a function from a module and a learning rate to an optimiser"),
}
"""What an object must be to serve as a part."""
OWN = ("encoder", "decoder", "likelihood", "posterior", "prior")
"""Parts that a model built by hand brings along."""


def sort_parts(**parts: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the parts that a user passed into recipe settings and Python objects.

    Args:
        parts: for each section None, a part's name, its `Options`, its class, or an object.

    Returns:
        Settings of a recipe, and objects by section.

    Raises:
        RecipeError: if an object cannot serve as the part, or a model built by hand has this part already.

    Examples:
        >>> sort_parts(prior="mixture", encoder=None)
        ({'prior.name': 'mixture'}, {})
    """
    named: dict[str, Any] = {}
    objects: dict[str, Any] = {}
    for section, part in parts.items():
        kind = SECTIONS[section].kind
        if part is None:
            continue
        if isinstance(part, type) and issubclass(part, Part) and issubclass(part, kind):
            part = part.Options()
        if isinstance(part, str | PartOptions):
            if isinstance(part, PartOptions) and not issubclass(part.part, kind):
                raise RecipeError(
                    f"options for `{section}` must belong to that section", f"{part.part.section}={part.name}"
                )
            named[f"{section}.name"] = part
            continue
        must, words = MUST_BE[section]
        if not isinstance(part, must) or (section == "optimizer" and not callable(part)):
            raise RecipeError(f"`{section}` must be a name, options of a part, or {words}", type(part).__name__)
        objects[section] = part
    if "model" in objects and (own := [section for section in OWN if parts.get(section) is not None]):
        raise RecipeError(
            f"The model has a {own[0]} of its own, so `{own[0]}=` cannot be given too",
            mend="Leave it out, or build the model with it",
        )
    return named, objects


def check_objects(recipe: Recipe, objects: Mapping[str, Any], path: Path) -> None:
    """Refuse to load a run unless the caller passes the objects that the run was trained with.

    Raises:
        RunError: if an object is missing or superfluous; the message names it.
    """
    needed = {section: getattr(recipe, section) for section in SECTIONS if getattr(recipe, section).name == OBJECT}
    missing = [section for section in needed if section not in objects]
    if missing:
        types = ", ".join(f"{section} ({needed[section].type})" for section in missing)
        again = ", ".join(f"{section}=…" for section in missing)
        fault = f"'{path}' was trained with parts that were passed as objects: {types}"
        raise RunError(fault, mend=f"Build the same objects and pass them, as in vaekit.load({str(path)!r}, {again})")
    if others := [section for section in objects if section not in needed]:
        raise RunError(f"'{path}' was not trained with an object as its {others[0]}", mend=f"Leave {others[0]}= out")


def check_known(written: Mapping[str, Any], path: Path) -> None:
    """Refuse to load a run if its recipe names a part that is not registered.

    Raises:
        RunError: if a part is unknown; the message says what to import.
    """
    import_installed()
    for section, choice in SECTIONS.items():
        chosen = written.get(section)
        name = chosen.get("name") if isinstance(chosen, Mapping) else chosen
        if isinstance(name, str) and name not in (AUTO, OBJECT, *choice.kind.known):
            fault = f"'{path / 'recipe.toml'}' has the {section} '{name}', which is not known here"
            mend = "Import the module that defines it first; the command line has `--import MODULE` for this"
            raise RunError(fault, mend=mend)


def optimizer_maker(recipe: Recipe, objects: Mapping[str, Any]) -> Maker:
    """Return the function that makes an optimiser from a module and a learning rate."""
    given = objects.get("optimizer")
    if given is None:
        return partial(recipe.optimizer.part.make, recipe.optimizer)
    if isinstance(given, type) and issubclass(given, torch.optim.Optimizer):
        return lambda module, rate: given(module.parameters(), lr=rate)  # type: ignore[call-arg]
    made: Maker = given
    return made


def adapt_model(objects: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return a copy of the objects in which a model built by hand is wrapped as a `LatentModel`.

    Raises:
        VaekitError: if the model lacks an encoder, decoder or prior, or one of them does not return a distribution.
    """
    if "model" not in objects:
        return dict(objects)
    try:
        return {**objects, "model": as_latent_model(objects["model"], torch.zeros(2, *schema.event_shape))}
    except (RuntimeError, IndexError) as error:
        told = f"The encoder does not take rows of shape {schema.event_shape}: {shorten(str(error))}"
        raise RecipeError(told, mend="Compare its input with the shape of the data") from error
