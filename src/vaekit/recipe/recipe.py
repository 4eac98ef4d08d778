"""The recipe: every choice that makes a run, typed, with defaults; from a name, a TOML file and `key=value` settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from vaekit.data.options import DataOptions
from vaekit.errors import RecipeError, did_you_mean
from vaekit.evaluation.options import EvaluationOptions
from vaekit.models.likelihoods import LIKELIHOODS, LikelihoodOptions
from vaekit.models.posteriors import PosteriorOptions
from vaekit.models.priors import PriorOptions
from vaekit.networks.options import NetworkOptions
from vaekit.objectives import OBJECTIVES, Objective, ObjectiveOptions
from vaekit.options import Options
from vaekit.training.options import TrainingOptions


class Recipe(Options):
    """A point on the axes encoder × decoder × likelihood × prior × objective, and how to train it."""

    description: str = Field("", description="What the recipe is for.")
    reference: str = Field("", description="Who described the model, and when.")
    model: Literal["vae", "autoencoder"] = Field(
        "vae", description="Variational, or the deterministic one to compare with."
    )
    latent_dim: Annotated[int, Field(gt=0, le=100_000)] | Literal["auto"] = Field(
        "auto", description="Number of latent dimensions."
    )
    layers: tuple[Annotated[int, Field(gt=0, le=100_000)], ...] = Field(
        (), description="Sizes of several layers of latent variables, from the data upwards; empty: one of latent_dim."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Decides splits, starting weights, batches and noise.")
    data: DataOptions = DataOptions()
    encoder: NetworkOptions = NetworkOptions()
    decoder: NetworkOptions = NetworkOptions()
    likelihood: LikelihoodOptions = LikelihoodOptions()
    posterior: PosteriorOptions = PosteriorOptions()
    prior: PriorOptions = PriorOptions()
    objective: ObjectiveOptions = ObjectiveOptions()
    training: TrainingOptions = TrainingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()

    @property
    def latent(self) -> str:
        """The latent variables in words."""
        size = f"layers {' and '.join(map(str, self.layers))}" if self.layers else f"latent_dim {self.latent_dim}"
        if self.model == "autoencoder":
            return size
        above = " of the top layer" if self.layers else ""
        return f"{size}, {self.posterior.name} posterior, {self.prior.name} prior{above}"

    @property
    def mixed(self) -> bool | None:
        """Whether each column of a table has a kind of its own; None: the rows decide."""
        declared = {self.data.kind, self.likelihood.name}
        if self.model != "vae" or not declared <= {"auto", "mixed"}:
            return False
        return True if "mixed" in declared or self.data.columns else None

    @property
    def effective_beta(self) -> float | None:
        """The weight of the rate in the loss; None where it has none of its own."""
        return self._objective.beta(self.objective)

    @property
    def trains_bound(self) -> bool:
        """Whether minus the loss is a lower bound of log p(x); what is reported of a likelihood always is one."""
        return self.model == "vae" and self._objective.bounds(self.objective)

    @property
    def _objective(self) -> Objective:
        return OBJECTIVES["elbo" if self.objective.name == "auto" else self.objective.name]


def recipe_keys() -> dict[str, Any]:
    """Every key with its field, dotted, in the order of the classes."""
    keys: dict[str, Any] = {}
    for name, field in Recipe.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            keys |= {f"{name}.{inner}": f for inner, f in field.annotation.model_fields.items()}
        else:
            keys[name] = field
    return keys


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(
        f.name.removesuffix(".toml")
        for f in resources.files("vaekit.recipe.library").iterdir()
        if f.name.endswith(".toml")
    )


def load_recipe(
    recipe: str | Path | Mapping[str, Any] | Recipe = "auto",
    settings: Mapping[str, Any] | Iterable[str] = (),
    seed: int | None = None,
) -> Recipe:
    """Read a recipe and change some of its values.

    Args:
        recipe: the name of a bundled recipe, a TOML file, a mapping, or a `Recipe`.
        settings: dotted keys with values, as a mapping or as `key=value` texts; a section's name alone sets its choice
            (`likelihood=gaussian`).
        seed: replaces the recipe's seed.

    Returns:
        The recipe.

    Raises:
        RecipeError: for an unknown name, key or value; all errors are told at once.

    Examples:
        >>> load_recipe("digits", ["latent_dim=3", "training.epochs=5"]).latent_dim
        3
    """
    content = (
        recipe.model_dump()
        if isinstance(recipe, Recipe)
        else dict(recipe)
        if isinstance(recipe, Mapping)
        else _read(recipe)
    )
    content = {key: dict(value) if isinstance(value, Mapping) else value for key, value in content.items()}
    pairs = settings.items() if isinstance(settings, Mapping) else [_parse(text) for text in settings]
    errors = [problem for key, value in pairs if (problem := _set(content, key, value))]
    if seed is not None:
        content["seed"] = seed
    return _validate(content, errors)


def _read(recipe: str | Path) -> dict[str, Any]:
    name = str(recipe)
    if name in recipe_names():
        return tomllib.loads((resources.files("vaekit.recipe.library") / f"{name}.toml").read_text(encoding="utf-8"))
    if not name.endswith(".toml"):
        raise RecipeError(
            "the recipe must be a known name or a .toml file", f"'{name}'", did_you_mean(name, recipe_names())
        )
    try:
        return tomllib.loads(Path(recipe).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError("the recipe must be a readable TOML file", f"'{name}': {error}") from error


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError("a setting must have the form key=value", f"'{text}'")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _set(content: dict[str, Any], key: str, value: Any) -> str:
    """Put a value in its place; returns what is wrong with the key, if anything."""
    if key.startswith("data.columns."):  # names of columns may hold dots themselves
        section = content.setdefault("data", {})
        section["columns"] = {**section.get("columns", {}), key.removeprefix("data.columns."): value}
        return ""
    keys = recipe_keys()
    for choice in (f"{key}.name", f"{key}.network"):
        key = choice if choice in keys else key
    if key not in keys:
        return str(RecipeError("a key must be known", f"'{key}'", did_you_mean(key, keys)))
    section, _, name = key.rpartition(".")
    place = content.setdefault(section, {}) if section else content
    if not isinstance(place, dict):
        return ""  # what stands there is refused by itself
    place[name] = value
    return ""


def _validate(content: dict[str, Any], errors: list[str]) -> Recipe:
    likelihood = content.get("likelihood")
    name = likelihood.get("name", "auto") if isinstance(likelihood, dict) else "auto"
    if isinstance(name, str) and name not in ("auto", *LIKELIHOODS):
        errors.append(str(RecipeError("the likelihood must be known", f"'{name}'", did_you_mean(name, LIKELIHOODS))))
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError("\n".join(dict.fromkeys([*errors, *_messages(error)]))) from error
    if errors:
        raise RecipeError("\n".join(errors))
    return recipe


LISTS = {"tuple_type": "must be a list, as in [64, 32]", "too_short": "must be a list of one number or more"}
"""What pydantic says in Python's terms, said in TOML's."""


def _messages(error: ValidationError) -> list[str]:
    keys, found = recipe_keys(), {}
    sections = dict.fromkeys(key.partition(".")[0] for key in keys if "." in key)
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"])
        key = next((k for k in sorted(keys, key=len, reverse=True) if path == k or path.startswith(f"{k}.")), path)
        if problem["type"] == "extra_forbidden":
            found[key] = str(RecipeError("a key must be known", f"'{path}'", did_you_mean(path, [*keys, *sections])))
        elif problem["type"] != "too_short" or key not in found:  # a list is short of what was refused before, too
            form = "must have the form HxW, height and width in pixels"
            must = (
                form
                if key == "data.size"
                else LISTS.get(problem["type"])
                or problem["msg"].replace("Input should be", "must be").replace("String should", "must")
            )
            before = found.get(key, "")
            alternative = (
                f"{before.partition('. Got')[0].rstrip('.')}, or {must.removeprefix('must be ')}"
                if before
                else f"'{key}' {must}"
            )
            found[key] = str(RecipeError(alternative, repr(problem["input"])))
    return list(found.values())
