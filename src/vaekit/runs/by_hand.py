"""Train a model that was built by hand, or measure it without training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from vaekit.data import Rows, all_rows, choose_transforms, make_schema, open_both
from vaekit.data.batches import to_tensor
from vaekit.errors import at_least_one
from vaekit.evaluation import Evaluator, Figures
from vaekit.models.by_hand import is_density
from vaekit.recipe import check_kind, load_recipe
from vaekit.recipe.objects import adapt_model
from vaekit.runs.run import Run
from vaekit.runs.train import train

FIT_ROWS = 20_000
"""How many rows determine the shift and scale of the data."""


def fit(model: nn.Module, X: object, **options: Any) -> Run:
    """Train a model that was built by hand, and return the trained run.

    The model sees the data unchanged, unless `settings` has `data.scaling` or `data.binarize`. Training starts from the
    model's present weights, and leaves the best weights in it. The model's `kl_weight` and `samples` are used unless the
    settings, a recipe or an objective say otherwise.

    Args:
        model: a `VariationalAutoEncoder`, an `Autoencoder`, or a torch module with an `encoder` x ↦ q(z|x), a `decoder`
            z ↦ p(x|z) and a `prior` () ↦ p(z), which all return distributions.
        X: training data, as `vaekit.train` takes them.
        options: the other arguments of `vaekit.train`: `objective=`, `optimizer=`, `settings=`, `out=`, …

    Returns:
        The run. Its folder does not describe the model: build it again to load the run, `vaekit.load(path, model=…)`.

    Raises:
        VaekitError: as in `vaekit.train`, and if the model lacks one of the three modules.

    Examples:
        >>> import tempfile
        >>> from vaekit.models import Decoder, Diagonal, Encoder, VariationalAutoEncoder
        >>> from vaekit.models.likelihoods import Gaussian
        >>> from vaekit.networks import MLP
        >>> model = VariationalAutoEncoder(
        ...     Encoder(MLP((8, 8, 1), (4,), [16]), Diagonal(2)),
        ...     Decoder(MLP((2,), (8, 8, 1, 1), [16]), Gaussian((8, 8, 1))), prior=2)
        >>> run = fit(model, "digits", settings={"training.epochs": 1}, out=tempfile.mkdtemp())
        >>> run.sample(3).shape
        (3, 8, 8, 1)
    """
    own = [(f"objective.{name}", getattr(model, name, 1)) for name in ("kl_weight", "samples")]
    if (
        "recipe" not in options and "objective" not in options
    ):  # the model's own values, unless the settings have others
        given = options.get("settings", ())
        given = given.items() if isinstance(given, Mapping) else given
        options["settings"] = [*((key, value) for key, value in own if value != 1), *given]
    return train(X, model=model, **options)


def evaluate(
    model: nn.Module,
    X: object,
    *,
    samples: int = 100,
    seed: int = 0,
    settings: Mapping[str, Any] | Iterable[str] = (),
) -> Figures:
    """Measure log p(x) and other figures of a model that was built by hand.

        IWAE_K = log (1/K) Σ_k p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

    Args:
        model: as in `vaekit.fit`; it is not changed.
        X: rows, as `vaekit.train` takes them.
        samples: draws K ≥ 1 of z for each row.
        seed: seed of the noise.
        settings: keys of a recipe that transform the data for the model, such as `data.binarize`.

    Returns:
        The figures, in nats per row of the data as given, without simple baselines, which need training rows.

    Raises:
        DataError: if the rows cannot be used.
        VaekitError: if the model lacks one of the three modules, or `samples` is below 1.

    Examples:
        >>> from vaekit.models import Decoder, Diagonal, Encoder, VariationalAutoEncoder
        >>> from vaekit.models.likelihoods import Gaussian
        >>> from vaekit.networks import MLP
        >>> model = VariationalAutoEncoder(
        ...     Encoder(MLP((8, 8, 1), (4,), [16]), Diagonal(2)),
        ...     Decoder(MLP((2,), (8, 8, 1, 1), [16]), Gaussian((8, 8, 1))), prior=2)
        >>> evaluate(model, "digits", samples=5).examples
        1797
    """
    data = load_recipe("auto", settings).data
    source, _ = open_both(X, None, data, mixed=False)
    part = all_rows(source)
    schema = make_schema(source, part, data.kind).model_copy(update={"constant": {}})
    adapted = adapt_model({"model": model}, schema)["model"]
    transform = choose_transforms(
        schema,
        to_tensor(part.subset(FIT_ROWS, seed).take(0, FIT_ROWS)).double(),
        binarize="none" if data.binarize == "auto" else data.binarize,
        scaling="none" if data.scaling == "auto" else data.scaling,
        density=is_density(adapted),
    )
    check_kind(adapted, schema, transform.binarizes)
    evaluator = Evaluator(adapted, schema, None, None)
    return evaluator.evaluate(Rows(part, transform, seed), at_least_one(samples, "samples"))
