"""Recipes: read a typed configuration, replace each `auto` by a choice that suits the data, and build the model."""

from vaekit.recipe.build import build_model, build_part, check_fit, check_kind, is_density, make_plan
from vaekit.recipe.keys import describe_keys
from vaekit.recipe.reading import load_recipe, recipe_names
from vaekit.recipe.recipe import Recipe
from vaekit.recipe.resolve import resolve

__all__ = [
    "Recipe",
    "build_model",
    "build_part",
    "check_fit",
    "check_kind",
    "describe_keys",
    "is_density",
    "load_recipe",
    "make_plan",
    "recipe_names",
    "resolve",
]
