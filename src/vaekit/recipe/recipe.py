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
from vaekit.models import Likelihood, ModelFamily, Posterior, Prior
from vaekit.networks import Network
from vaekit.objectives import Objective
from vaekit.options import Options
from vaekit.parts import AUTO, OBJECT, Choice, Part, PartOptions, import_installed, unknown
from vaekit.training.optimizers import Optimizer
from vaekit.training.options import TrainingOptions

SECTIONS = {
    "model": Choice(ModelFamily, "vae"),
    "encoder": Choice(Network, AUTO),
    "decoder": Choice(Network, AUTO),
    "likelihood": Choice(Likelihood, AUTO),
    "posterior": Choice(Posterior, AUTO),
    "prior": Choice(Prior, "standard_normal"),
    "objective": Choice(Objective, AUTO),
    "optimizer": Choice(Optimizer, "adamw"),
}
"""The sections in which a part is chosen."""


def _chosen(section: str) -> Any:
    return Field({"name": SECTIONS[section].default}, validate_default=True)


class Recipe(Options):
    """A point on the axes encoder × decoder × likelihood × prior × objective, and how to train it."""

    description: str = Field("", description="What the recipe is for.")
    reference: str = Field("", description="Who described the model, and when.")
    model: Annotated[PartOptions, SECTIONS["model"]] = _chosen("model")
    latent_dim: Annotated[int, Field(gt=0, le=100_000)] | Literal["auto"] = Field(
        "auto", description="Number of latent dimensions."
    )
    layers: tuple[Annotated[int, Field(gt=0, le=100_000)], ...] = Field(
        (), description="Sizes of several layers of latent variables, from the data upwards; empty: one of latent_dim."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Decides splits, starting weights, batches and noise.")
    data: DataOptions = DataOptions()
    encoder: Annotated[PartOptions, SECTIONS["encoder"]] = _chosen("encoder")
    decoder: Annotated[PartOptions, SECTIONS["decoder"]] = _chosen("decoder")
    likelihood: Annotated[PartOptions, SECTIONS["likelihood"]] = _chosen("likelihood")
    posterior: Annotated[Posterior.Options, SECTIONS["posterior"]] = _chosen("posterior")
    prior: Annotated[PartOptions, SECTIONS["prior"]] = _chosen("prior")
    objective: Annotated[Objective.Options, SECTIONS["objective"]] = _chosen("objective")
    optimizer: Annotated[Optimizer.Options, SECTIONS["optimizer"]] = _chosen("optimizer")
    training: TrainingOptions = TrainingOptions()
    evaluation: EvaluationOptions = EvaluationOptions()

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as numbers, texts and lists in nested dictionaries; what is left open is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def networks(self) -> str:
        """Return the names of the networks; of a model that is not built of networks that the recipe names, `its own`."""
        if not self.has_parts("encoder"):
            return "its own"
        return f"encoder {self.encoder.name}, decoder {self.decoder.name}"

    @property
    def likelihood_name(self) -> str:
        """Return the name of the likelihood; a dash where the recipe does not name one."""
        return self.likelihood.name if self.has_parts("likelihood") else "–"

    @property
    def latent(self) -> str:
        """The latent variables in words."""
        size = f"layers {' and '.join(map(str, self.layers))}" if self.layers else f"latent_dim {self.latent_dim}"
        if not self.has_parts("posterior"):
            return size
        above = " of the top layer" if self.layers else ""
        return f"{size}, {self.posterior.name} posterior, {self.prior.name} prior{above}"

    @property
    def mixed(self) -> bool | None:
        """Whether each column of a table has a kind of its own; None: the rows decide."""
        declared = {self.data.kind, self.likelihood.name}
        if not self.has_parts("likelihood") or not declared <= {"auto", "mixed"}:
            return False
        return True if "mixed" in declared or self.data.columns else None

    def has_parts(self, section: str) -> bool:
        """Tell whether the model is built of a part that the recipe names in a section."""
        return self.model.name != OBJECT and section in self.model.part.parts

    @property
    def has_likelihood(self) -> bool:
        """Tell whether the model bounds log p(x)."""
        likelihood: bool = self.model.part.has_likelihood
        return likelihood

    @property
    def effective_beta(self) -> float | None:
        """The weight of the rate in the loss; None where it has none of its own."""
        part, options = self._objective
        return part.beta(options)

    @property
    def trains_bound(self) -> bool:
        """Whether minus the loss is a lower bound of log p(x); what is reported of a likelihood always is one."""
        part, options = self._objective
        return self.has_likelihood and part.bounds(options)

    @property
    def _objective(self) -> tuple[type[Objective], Objective.Options]:
        """The objective and its options; the evidence lower bound where it is left open."""
        options = self.objective
        if options.name == AUTO:
            values = options.values()
            options = Objective.known["elbo"].Options(**{k: values[k] for k in ("samples", "kl_weight") if k in values})
        return options.part, options


Part.registered.append(lambda: Recipe.model_rebuild(force=True))


def recipe_keys() -> dict[str, Any]:
    """Return every key with its field, dotted, in the order of the classes."""
    keys: dict[str, Any] = {}
    for name, field in Recipe.model_fields.items():
        if name in SECTIONS:
            keys |= {f"{name}.{inner}": f for inner, f in SECTIONS[name].fields().items()}
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Options):
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
    settings: Mapping[str, Any] | Iterable[str | tuple[str, Any]] = (),
    seed: int | None = None,
) -> Recipe:
    """Read a recipe and change some of its values.

    Args:
        recipe: the name of a bundled recipe, a TOML file, a mapping, or a `Recipe`.
        settings: dotted keys with values, as a mapping, as pairs or as `key=value` texts; a section's name alone sets its choice
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
    # a choice first, as it drops what could be set of the part that it replaces
    ordered = sorted(((_whole_key(key), value) for key, value in pairs), key=lambda pair: not pair[0].endswith(".name"))
    errors = [problem for key, value in ordered if (problem := _set(content, key, value))]
    if seed is not None:
        content["seed"] = seed
    return check_recipe(content, errors)


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


def _whole_key(key: str) -> str:
    """Return a key as it is written in full: a section's name alone sets its choice."""
    return f"{key}.name" if key in SECTIONS else key


def _set(content: dict[str, Any], key: str, value: Any) -> str:
    """Put a value in its place; return what is wrong with the key, if anything."""
    if key.startswith("data.columns."):  # names of columns may hold dots themselves
        section = content.setdefault("data", {})
        section["columns"] = {**section.get("columns", {}), key.removeprefix("data.columns."): value}
        return ""
    keys = recipe_keys()
    if key not in keys:
        return str(RecipeError("a key must be known", f"'{key}'", did_you_mean(key, keys)))
    section, _, name = key.rpartition(".")
    place = content.setdefault(section, {}) if section else content
    if section in SECTIONS and isinstance(place, str):
        place = content[section] = {"name": place}
    if not isinstance(place, dict):
        return ""  # what stands there is refused by itself
    if section in SECTIONS and name == "name":
        if isinstance(value, PartOptions):
            content[section] = value
            return ""
        part = SECTIONS[section].kind.known.get(value) if isinstance(value, str) else None
        if part is not None and place.get("name") != value:  # what could be set of the former part goes with it
            place = content[section] = {k: v for k, v in place.items() if k in part.Options.model_fields}
    place[name] = value
    return ""


def check_recipe(content: Mapping[str, Any], errors: Iterable[str] = ()) -> Recipe:
    """Return the recipe with these sections.

    Args:
        content: the sections.
        errors: what was found to be wrong before.

    Raises:
        RecipeError: that tells all errors at once.
    """
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError("\n".join(dict.fromkeys([*errors, *_messages(error)]))) from error
    if errors := list(errors):
        raise RecipeError("\n".join(errors))
    return recipe


LISTS = {"tuple_type": "must be a list, as in [64, 32]", "too_short": "must be a list of one number or more"}
"""What pydantic says in Python's terms, said in TOML's."""


def _messages(error: ValidationError) -> list[str]:
    keys, found = recipe_keys(), {}
    sections = dict.fromkeys(key.partition(".")[0] for key in keys if "." in key)
    for problem in error.errors():
        loc = [str(part) for part in problem["loc"]]
        if loc[0] in SECTIONS and len(loc) > 1:
            del loc[1]  # the part that was chosen
        path, kind = ".".join(loc), problem["type"]
        key = next((k for k in sorted(keys, key=len, reverse=True) if path == k or path.startswith(f"{k}.")), path)
        if kind.startswith("union_tag"):
            tag = problem.get("ctx", {}).get("tag", repr(problem["input"]))
            found[key] = str(
                RecipeError(f"the {loc[0]} must be known", f"'{tag}'", unknown(tag, SECTIONS[loc[0]].kind))
            )
        elif kind == "extra_forbidden" and key in keys:
            found[key] = str(_misplaced(loc[0], loc[-1], str(problem["loc"][1])))
        elif kind == "extra_forbidden":
            found[key] = str(RecipeError("a key must be known", f"'{path}'", did_you_mean(path, [*keys, *sections])))
        elif kind != "too_short" or key not in found:  # a list is short of what was refused before, too
            found[key] = str(RecipeError(_must(key, problem, found.get(key, "")), repr(problem["input"])))
    return list(found.values())


def _misplaced(section: str, key: str, name: str) -> RecipeError:
    """Refuse an option that belongs to other parts."""
    owners = [
        f"{section}={part.name}" for part in SECTIONS[section].kind.known.values() if key in part.Options.model_fields
    ]
    fault = f"'{section}.{key}' cannot be set with {section}={name}: it belongs to {', '.join(owners)}"
    return RecipeError(fault, mend=f"Leave it out, or choose {owners[0]}")


def _must(key: str, problem: Any, before: str) -> str:
    """Say what a value must be, in TOML's terms."""
    must = (
        "must have the form HxW, height and width in pixels"
        if key == "data.size"
        else LISTS.get(problem["type"])
        or problem["msg"].replace("Input should be", "must be").replace("String should", "must")
    )
    alternative = f"{before.partition('. Got')[0].rstrip('.')}, or {must.removeprefix('must be ')}"
    return alternative if before else f"'{key}' {must}"
