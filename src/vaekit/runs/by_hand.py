"""Models that were built by hand: train them into a run, or measure them as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from vaekit.data import Rows, all_rows, choose_transforms, make_schema, open_both
from vaekit.data.batches import to_tensor
from vaekit.errors import at_least_one
from vaekit.evaluation import Evaluator, Figures
from vaekit.models.by_hand import is_density
from vaekit.recipe import load_recipe
from vaekit.recipe.objects import adapt_model
from vaekit.runs.run import Run
from vaekit.runs.train import train

FIT_ROWS = 20_000
"""How many rows determine shifts and scales, where a setting asks for them."""


def fit(model: nn.Module, X: object, **options: Any) -> Run:
    """Train a model that was built by hand; the run can do all that a run from a recipe can.

    The model sees the data as they are; `settings={"data.scaling": "standardize"}` or `data.binarize` change that. It begins
    with the weights that it has, is trained in place, and holds the best weights at the end.

    Args:
        model: a `VariationalAutoEncoder`, an `Autoencoder`, or a torch module with an `encoder` x ↦ q(z|x), a `decoder`
            z ↦ p(x|z) and a `prior` () ↦ p(z), whose forward returns distributions.
        X: training data, as `vaekit.train` takes them.
        options: the other arguments of `vaekit.train`: `objective=`, `optimizer=`, `settings=`, `out=`, …

    Returns:
        The run. Its folder does not describe the model: `vaekit.load(path, model=…)` takes the model, built again.

    Raises:
        VaekitError: as `vaekit.train`, or if the model does not have the three modules.

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
    return train(X, model=model, **options)


def evaluate(
    model: nn.Module,
    X: object,
    *,
    samples: int = 100,
    seed: int = 0,
    settings: Mapping[str, Any] | Iterable[str] = (),
) -> Figures:
    """Measure a model that was built by hand on an array, a data frame or a file.

        IWAE_K = log (1/K) Σ_k p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

    Args:
        model: as `vaekit.fit` takes it; it is left as it was.
        X: rows, as `vaekit.train` takes them.
        samples: draws K ≥ 1 of z for each row.
        seed: seed of the noise.
        settings: keys of a recipe that say how the model sees the data, such as `data.binarize`.

    Returns:
        The figures, in nats per row of the data as given; without simple models, which would need training rows.

    Raises:
        DataError: if the rows cannot be used.
        VaekitError: if the model does not have the three modules, or `samples` is below 1.

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
    evaluator = Evaluator(adapted, schema, None, None)
    return evaluator.evaluate(Rows(part, transform, seed), at_least_one(samples, "samples"))
