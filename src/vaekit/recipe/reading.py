"""Read a recipe from a name, a TOML file or a mapping, with `key=value` settings."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from vaekit.errors import RecipeError, did_you_mean, shorten
from vaekit.parts import PartOptions, import_installed
from vaekit.recipe.checking import check_recipe
from vaekit.recipe.recipe import SECTIONS, Recipe, recipe_keys, section_names


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(
        f.name.removesuffix(".toml")
        for f in resources.files("vaekit.recipe.library").iterdir()
        if f.name.endswith(".toml")
    )


def load_recipe(
    recipe: str | Path | Mapping[str, Any] | Recipe = "auto",
    settings: Mapping[str, Any] | Iterable[str | tuple[str, Any]] = (),
    seed: int | None = None,
) -> Recipe:
    """Read a recipe from a name, file or mapping, and change some of its values.

    Args:
        recipe: the name of a bundled recipe, a TOML file, a mapping, or a `Recipe`.
        settings: dotted keys with values, as a mapping, as pairs or as `key=value` texts; the name of a section
            chooses its part (`likelihood=gaussian`). A mapping may have sections as in a TOML file.
        seed: replaces the recipe's seed.

    Returns:
        The recipe.

    Raises:
        RecipeError: for an unknown name, key or value; the message lists all errors.

    Examples:
        >>> load_recipe("digits", ["latent_dim=3", "training.epochs=5"]).latent_dim
        3
    """
    import_installed()
    if isinstance(recipe, Recipe):
        content = recipe.model_dump()
    else:
        content = dict(recipe) if isinstance(recipe, Mapping) else _read(recipe)
    content = {key: dict(value) if isinstance(value, Mapping) else value for key, value in content.items()}
    pairs = (
        settings.items()
        if isinstance(settings, Mapping)
        else [_parse(each) if isinstance(each, str) else each for each in settings]
    )
    sections = section_names()
    leaves = (leaf for key, value in pairs for leaf in _leaves(key, value, sections))
    whole = ((f"{key}.name" if key in SECTIONS else key, value) for key, value in leaves)
    # names of parts first, since a new part drops the options of the one that it replaces
    ordered = sorted(whole, key=lambda pair: not pair[0].endswith(".name"))
    errors = [problem for key, value in ordered if (problem := _set(content, key, value))]
    if seed is not None:
        content["seed"] = seed
    return check_recipe(content, errors)


def _read(recipe: str | Path) -> dict[str, Any]:
    name = str(recipe)
    if name in recipe_names():
        return tomllib.loads((resources.files("vaekit.recipe.library") / f"{name}.toml").read_text(encoding="utf-8"))
    if not name.endswith(".toml"):
        must = "the recipe must be a known name or a .toml file"
        raise RecipeError(must, f"'{name}'", did_you_mean(name, recipe_names()))
    try:
        return tomllib.loads(Path(recipe).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"The recipe '{shorten(name)}' cannot be read: {shorten(str(error))}") from error


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError("a setting must have the form key=value", f"'{text}'")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _leaves(key: str, value: Any, sections: Container[str]) -> list[tuple[str, Any]]:
    """Return the settings of a section with their dotted keys; any other setting as it is."""
    if key in sections and isinstance(value, Mapping):
        return [(f"{key}.{name}", own) for name, own in value.items()]
    return [(key, value)]


def _set(content: dict[str, Any], key: str, value: Any) -> str:
    """Set a dotted key in a recipe's content. Return an error message, or an empty string if the key exists."""
    by_column = next((name for name in ("columns", "ranges") if key.startswith(f"data.{name}.")), None)
    if by_column:  # names of columns may hold dots themselves
        section = content.setdefault("data", {})
        section[by_column] = {**section.get(by_column, {}), key.removeprefix(f"data.{by_column}."): value}
        return ""
    keys = recipe_keys()
    if key not in keys:
        return str(RecipeError(f"There is no key '{shorten(key)}'", mend=did_you_mean(key, keys)))
    section, _, name = key.rpartition(".")
    place = content.setdefault(section, {}) if section else content
    if section in SECTIONS and isinstance(place, str):
        place = content[section] = {"name": place}
    if not isinstance(place, dict):
        return ""  # `check_recipe` refuses the value that is there
    if section in SECTIONS and name == "name":
        if isinstance(value, PartOptions):
            content[section] = value
            return ""
        part = SECTIONS[section].kind.known.get(value) if isinstance(value, str) else None
        if part is not None and place.get("name") != value:  # drop the options of the former part
            place = content[section] = {k: v for k, v in place.items() if k in part.Options.model_fields}
    place[name] = value
    return ""
