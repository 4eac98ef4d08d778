"""Check a recipe, and report all of pydantic's errors at once in the user's terms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from vaekit.errors import RecipeError, did_you_mean, shorten
from vaekit.parts import unknown
from vaekit.recipe.recipe import SECTIONS, Recipe, recipe_keys, section_names

LISTS = {"tuple_type": "must be a list, as in {}", "too_short": "must be a list of one number or more"}
"""Clauses in TOML's terms for errors that pydantic states in Python's terms, with an example in the place of {}."""


def check_recipe(content: Mapping[str, Any], errors: Iterable[str] = ()) -> Recipe:
    """Return a recipe with these sections, or raise one error that lists all faults.

    Args:
        content: the sections.
        errors: messages of errors that were found before.

    Raises:
        RecipeError: if anything is wrong; the message lists all errors.
    """
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError("\n".join(dict.fromkeys([*errors, *_messages(error)]))) from error
    if errors := list(errors):
        raise RecipeError("\n".join(errors))
    return recipe


def _messages(error: ValidationError) -> list[str]:
    keys, sections, found = recipe_keys(), section_names(), {}
    for problem in error.errors():
        loc = [str(part) for part in problem["loc"]]
        if loc[0] in SECTIONS and len(loc) > 1:
            del loc[1]  # the name of the chosen part
        path, kind = ".".join(loc), problem["type"]
        key = next((k for k in sorted(keys, key=len, reverse=True) if path == k or path.startswith(f"{k}.")), path)
        if kind.startswith("union_tag"):
            tag = problem.get("ctx", {}).get("tag", repr(problem["input"]))
            found[key] = str(
                RecipeError(f"There is no {loc[0]} '{shorten(tag)}'", mend=unknown(tag, SECTIONS[loc[0]].kind))
            )
        elif kind == "extra_forbidden" and key in keys:
            found[key] = str(_misplaced(loc[0], loc[-1], str(problem["loc"][1])))
        elif kind == "extra_forbidden":
            found[key] = str(
                RecipeError(f"There is no key '{shorten(path)}'", mend=did_you_mean(path, [*keys, *sections]))
            )
        elif kind != "too_short" or key not in found:  # a list that lacks a refused element counts as too short, too
            found[key] = str(RecipeError(_must(key, problem, found.get(key, "")), repr(problem["input"])))
    return list(found.values())


def _misplaced(section: str, key: str, name: str) -> RecipeError:
    """Return the error for an option that other parts have but the chosen part lacks."""
    owners = [
        f"{section}={part.name}" for part in SECTIONS[section].kind.known.values() if key in part.Options.model_fields
    ]
    fault = f"'{section}.{key}' cannot be set with {section}={name}: it belongs to {', '.join(owners)}"
    return RecipeError(fault, mend=f"Leave it out, or choose {owners[0]}")


def _must(key: str, problem: Any, before: str) -> str:
    """Return a clause, in TOML's terms, that says what a value must be."""
    example = json.dumps([shorten(problem["input"])] if isinstance(problem["input"], str) else [64, 32])
    must = (
        "must have the form HxW, height and width in pixels"
        if key == "data.size"
        else LISTS.get(problem["type"], "").replace("{}", example)
        or problem["msg"]
        .replace("Input should be", "must be")
        .replace("String should", "must")
        .removeprefix("Value error, ")
    )
    alternative = f"{before.partition('. Got')[0].rstrip('.')}, or {must.removeprefix('must be ')}"
    return alternative if before else f"'{key}' {must}"
