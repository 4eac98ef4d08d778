"""The recipe: all choices that determine a run, with types and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from vaekit.data.options import DataOptions
from vaekit.evaluation.options import EvaluationOptions
from vaekit.models import Likelihood, ModelFamily, Posterior, Prior
from vaekit.networks import Network
from vaekit.objectives import Objective
from vaekit.options import Options
from vaekit.parts import AUTO, OBJECT, Choice, Part, PartOptions
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
"""The sections of a recipe that choose a part."""


def _chosen(section: str) -> Any:
    return Field({"name": SECTIONS[section].default}, validate_default=True)


class Recipe(Options):
    """A recipe: how to read the data, which parts make up the model, and how to train and evaluate it."""

    description: str = Field("", description="What the recipe is for.")
    reference: str = Field("", description="Who described the model, and when.")
    model: Annotated[PartOptions, SECTIONS["model"]] = _chosen("model")
    latent_dim: Annotated[int, Field(gt=0, le=100_000)] | Literal["auto"] = Field(
        "auto", description="Number of latent dimensions."
    )
    layers: tuple[Annotated[int, Field(gt=0, le=100_000)], ...] = Field(
        (), description="Sizes of several layers of latent variables, from the data upwards; empty for one layer."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of splits, initial weights, batches and noise.")
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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the values only, since the classes of the options are rebuilt whenever a part is registered."""
        return type(self).model_validate, (self.model_dump(include=self.model_fields_set),)

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as nested dictionaries of numbers, strings and lists, omitting unset options."""
        return self.model_dump(mode="json", exclude_none=True)

    @property
    def networks(self) -> str:
        """Return the names of the encoder's and decoder's networks, or `its own` if the recipe does not name them."""
        if not self.has_parts("encoder"):
            return "its own"
        return f"encoder {self.encoder.name}, decoder {self.decoder.name}"

    @property
    def likelihood_name(self) -> str:
        """Return the name of the likelihood, or a dash if the recipe does not name one."""
        return self.likelihood.name if self.has_parts("likelihood") else "–"

    @property
    def latent(self) -> str:
        """Describe the latent variables in words: their number, posterior and prior."""
        size = f"layers {' and '.join(map(str, self.layers))}" if self.layers else f"latent_dim {self.latent_dim}"
        if not self.has_parts("posterior"):
            return size
        above = " of the top layer" if self.layers else ""
        return f"{size}, {self.posterior.name} posterior, {self.prior.name} prior{above}"

    @property
    def mixed(self) -> bool | None:
        """Tell whether the recipe is for a mixed table; None if this depends on the data."""
        likelihood = Likelihood.known.get(self.likelihood.name)
        of_tables = likelihood is not None and likelihood.kinds == {"mixed"}
        declared = {self.data.kind, "mixed" if of_tables else self.likelihood.name}
        if not self.has_parts("likelihood") or not declared <= {"auto", "mixed"}:
            return False
        return True if "mixed" in declared or self.data.columns or self.data.ranges else None

    @property
    def models_missing(self) -> bool:
        """Tell whether the likelihood predicts which cells are missing."""
        return self.likelihood.values().get("missing") == "modelled"

    def has_parts(self, section: str) -> bool:
        """Tell whether this section of the recipe determines a part of the model."""
        return self.model.name != OBJECT and section in self.model.part.parts

    @property
    def has_likelihood(self) -> bool:
        """Tell whether the model has a likelihood, and so a bound on log p(x)."""
        likelihood: bool = self.model.part.has_likelihood
        return likelihood

    @property
    def effective_beta(self) -> float | None:
        """Return the weight β of the rate in the loss; None for an objective without such a weight."""
        part, options = self._objective
        return part.beta(options)

    @property
    def trains_bound(self) -> bool:
        """Tell whether the negative training loss is a lower bound on log p(x)."""
        part, options = self._objective
        return self.has_likelihood and part.bounds(options)

    @property
    def _objective(self) -> tuple[type[Objective], Objective.Options]:
        """Return the class and options of the objective; for `auto`, those of the evidence lower bound."""
        options = self.objective
        if options.name == AUTO:
            values = options.values()
            options = Objective.known["elbo"].Options(**{k: values[k] for k in ("samples", "kl_weight") if k in values})
        return options.part, options


Part.registered.append(lambda: Recipe.model_rebuild(force=True))


def section_names() -> dict[str, None]:
    """Return the names of the sections of a recipe, in the order of definition."""
    return dict.fromkeys(key.partition(".")[0] for key in recipe_keys() if "." in key)


def recipe_keys() -> dict[str, Any]:
    """Return pydantic's field for every dotted key of a recipe, in the order of definition."""
    keys: dict[str, Any] = {}
    for name, field in Recipe.model_fields.items():
        if name in SECTIONS:
            keys |= {f"{name}.{inner}": f for inner, f in SECTIONS[name].fields().items()}
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Options):
            keys |= {f"{name}.{inner}": f for inner, f in field.annotation.model_fields.items()}
        else:
            keys[name] = field
    return keys
