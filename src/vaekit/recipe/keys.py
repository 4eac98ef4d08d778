"""The list of keys that `vaekit recipes --keys` prints."""

from __future__ import annotations

from typing import Annotated, Literal, Union, get_args, get_origin

from vaekit.models.likelihoods import LIKELIHOODS
from vaekit.recipe.recipe import recipe_keys


def _values(annotation: object) -> str:
    """The values a key may have, in words."""
    if get_origin(annotation) is Annotated:
        return _values(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(str(a) for a in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "a list"
    if get_origin(annotation) is dict:
        return f"for each name: {_values(get_args(annotation)[1])}"
    options = get_args(annotation)
    if options and (get_origin(annotation) is Union or "|" in str(annotation)):
        return " or ".join(_values(o) for o in options)
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names[annotation]  # type: ignore[index]


def describe_keys() -> list[tuple[str, str, str, str]]:
    """Every key of a recipe: (key, default, values, sentence)."""
    rows = []
    for key, field in recipe_keys().items():
        values = ", ".join(["auto", *LIKELIHOODS]) if key == "likelihood.name" else _values(field.annotation)
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        rows.append((key, str(default), values, field.description or ""))
    return rows
