"""Explain what the results of an evaluation mean, and what to try next."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from vaekit.evaluation.figures import BoundFigures, ErrorFigures, Figures
from vaekit.evaluation.reading import Reading, Remedy


def _tighter(recipe: Any) -> bool:
    return recipe.objective.part.importance_weighted and recipe.objective.samples >= 8


# a remedy also counts as in place if a later remedy replaced it, so that repeated remedies never go back
WARM_UP = Remedy("KL warm-up", {"training.kl_warmup": 0.3}, lambda recipe: recipe.training.kl_warmup > 0)
FREE_BITS = Remedy("free bits", {"objective.name": "free_bits"}, _tighter)
TIGHTER_BOUND = Remedy("a tighter bound", {"objective.name": "dreg", "objective.samples": 8}, _tighter)
FLOW_PRIOR = Remedy("a flow prior", {"prior.name": "flow"}, lambda recipe: recipe.prior.name.endswith("flow"))
MIXTURE_PRIOR = Remedy(
    "a mixture prior", {"prior.name": "mixture"}, lambda recipe: recipe.prior.name != "standard_normal"
)
FULL_COVARIANCE = Remedy(
    "a full-covariance posterior",
    {"posterior.name": "full_covariance"},
    lambda recipe: recipe.posterior.name not in ("diagonal", "low_rank"),
)
FLOW_POSTERIOR = Remedy("a flow posterior", {"posterior.name": "flow"}, lambda recipe: "flow" in recipe.posterior.name)
TRUE_WEIGHT = Remedy("a KL weight of 1", {"objective.kl_weight": 1.0})
LONGER = Remedy("longer training (training.epochs)")

Accepts = Callable[[Remedy], bool]
"""A function that tells whether a remedy is possible for a run and not yet in place."""


_good, _note, _warning = partial(Reading, "good"), partial(Reading, "note"), partial(Reading, "warning")


def diagnose(figures: Figures, accepts: Accepts = lambda _: True) -> list[Reading]:
    """Explain the results of an evaluation, and suggest what to try next.

    Args:
        figures: as `Run.evaluate` returns them.
        accepts: tells whether a remedy is possible for the run, as `Run.accepts` does; others are left out.

    Returns:
        The readings, most important first.
    """
    if isinstance(figures, BoundFigures):
        parts = (_collapse, _fit, _baseline, _files, _estimate, _gap, _rate, _beta)
        readings = [reading for part in parts if (reading := part(figures)) is not None]
    else:
        readings = _reconstruction(cast(ErrorFigures, figures))
    if (more := figures.unfinished) is not None:
        readings = [replace(each, level="note") if each.level == "good" else each for each in readings]
        text = (
            f"Training is not finished: at its end the validation bound rose by {_about(more.rise)} nats in a tenth of the "
            f"steps. Twice the steps should gain about {_about(more.gain)} nats per example."
        )
        longer = _warning(text, (Remedy("longer training", {"training.epochs": more.epochs}),))
        collapsed = (figures.active_units == 0 and figures.examples >= FEW_ROWS) or getattr(
            figures, "effective_beta", None
        ) not in (None, 1)
        readings.insert(int(collapsed), longer)  # more steps alone do not mend these
    if figures.training_rows:
        text = (
            f"The model was trained on {figures.training_rows:,} of these {figures.examples:,} rows, so the figures are not "
            "held-out figures."
        )
        if figures.measured_on == "given":
            text += " To measure held-out rows, give the whole data that the model was trained on, in the same order."
        readings.insert(0, _warning(text))
    return [replace(r, remedies=tuple(m for m in r.remedies if not m.settings or accepts(m))) for r in readings]


def _about(value: float) -> str:
    """Write a number with two digits, or as a whole number."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def first_remedy(readings: Iterable[Reading]) -> Remedy | None:
    """Return the first remedy that has settings, or None; this is the one that `vaekit remedy` tries."""
    return next((remedy for reading in readings for remedy in reading.remedies if remedy.settings), None)


def _reconstruction(f: ErrorFigures) -> list[Reading]:
    text = "An autoencoder has no likelihood. Its figures measure reconstruction and cannot be compared with a bound."
    readings = [_note(text)]
    error, train = f.reconstruction_error, f.train_reconstruction_error
    if train and error > 1.3 * train:
        text = (
            f"The squared error is {error:.3g} on held-out rows and {train:.3g} on training rows: the model overfits."
        )
        regularised = "a variational autoencoder (its noise regularises)"
        readings.append(_warning(text, _named("a smaller latent_dim", "narrower layers", "dropout", regularised)))
    return readings


def _named(*names: str) -> tuple[Remedy, ...]:
    return tuple(Remedy(name) for name in names)


FEW_ROWS = 5
"""With fewer rows, codes vary too little to tell which dimensions are active."""


def _collapse(f: BoundFigures) -> Reading:
    active, total = f.active_units, f.latent_dim
    if f.examples < FEW_ROWS:
        return _note(
            f"{f.examples:,} row{' is' if f.examples == 1 else 's are'} too few to tell which latent dimensions are active."
        )
    if active <= 0.2 * total:
        return _few_active(f)
    if active == total:
        which = "The only latent dimension is" if total == 1 else f"All {total} latent dimensions are"
        more = Remedy("more latent dimensions", {"latent_dim": 2 * total})
        return _note(f"{which} active; a larger latent_dim may help.", (more,))
    return _good(
        f"{active} of {total} latent dimensions are active: the posterior has not collapsed, and latent_dim is large enough."
    )


def _few_active(f: BoundFigures) -> Reading:
    active, total = f.active_units, f.latent_dim
    lighter = (TRUE_WEIGHT,) if (f.effective_beta or 1) > 1 else ()
    if active == 0:
        return _warning(
            f"The posterior has collapsed onto the prior: {'the only latent dimension is' if total == 1 else f'all {total} latent dimensions are'} "
            "inactive, and the codes carry no information about the data.",
            (*lighter, WARM_UP, FREE_BITS, TIGHTER_BOUND, FLOW_PRIOR, *_named("a less flexible likelihood"), LONGER),
        )
    fewer = Remedy("a smaller latent_dim, which trains faster", {"latent_dim": max(2, 2 * active)})
    return _note(
        f"Only {active} of {total} latent dimensions {'is' if active == 1 else 'are'} active; the others hardly vary with x.",
        (*lighter, WARM_UP, FREE_BITS, TIGHTER_BOUND, FLOW_PRIOR, fewer),
    )


def _fit(f: BoundFigures) -> Reading | None:
    if f.train_elbo is None or f.training_rows:
        return None
    gap, error = f.train_elbo - f.elbo, f.log_likelihood.standard_error
    higher = f"The ELBO is {gap:.2f} nats higher on training rows than on held-out rows"
    if error is None or 2 * error < gap <= 4 * error:
        return _note(
            f"{higher}. {_too_few(f.examples)} to tell whether the model overfits.",
            _named("more held-out rows (data.test)", "training with another seed"),
        )
    if gap > 4 * error:  # more than chance, whatever the units
        overfits = _named("dropout", "narrower layers", "weight decay", "more data")
        return _warning(f"{higher}: the model overfits.", overfits)
    return _good(f"The ELBO differs by {abs(gap):.2f} nats between training and held-out rows: no sign of overfitting.")


def _too_few(rows: int) -> str:
    return f"{rows:,} held-out row{' is' if rows == 1 else 's are'} too few"


def _baseline(f: BoundFigures) -> Reading | None:
    best = f.baselines.best()
    if best is None:
        return None
    label = best[0] + (f", which does not see {', '.join(f.given)}" if f.given else "")
    gain, error = f.log_likelihood.value - best[1], f.log_likelihood.standard_error
    if error is None or abs(gain) <= 2 * error:
        return _note(
            f"The log-likelihood is {abs(gain):.2f} nats per example {'above' if gain > 0 else 'below'} that of the best simple "
            f"model ({label}). {_too_few(f.examples)} to tell which model is better.",
            (*_named("more held-out rows (data.test)"), LONGER),
        )
    if gain > 0:
        return _good(f"The model beats the best simple model ({label}) by {gain:.2f} nats per example.")
    return _warning(
        f"A simple model ({label}) is better by {-gain:.2f} nats per example.",
        (LONGER, *_named("a likelihood that fits the data", "another learning rate", "the simple model itself")),
    )


def _files(f: BoundFigures) -> Reading | None:
    """Compare with lossless files of the same pictures, which are no models but show what is possible."""
    sizes = {name: getattr(f.baselines, key, None) for name, key in (("PNG", "png"), ("lossless WebP", "webp"))}
    known = {name: size for name, size in sizes.items() if size is not None}
    if not known or max(known.values()) <= f.log_likelihood.value:
        return None
    name = max(known, key=lambda each: known[each])
    short = (known[name] - f.log_likelihood.value) / math.log(2)
    return _note(
        f"{name} files of the same pictures are {short:,.0f} bits smaller on average than the model's code of them."
    )


def _estimate(f: BoundFigures) -> Reading:
    density, estimate = f"log p(x|{', '.join(f.given)})" if f.given else "log p(x)", f.log_likelihood
    error = "" if estimate.standard_error is None else f" ± {estimate.standard_error:.2f}"
    return _note(
        f"{density} ≥ {estimate.value:.2f}{error} nats (K = {estimate.samples}, {estimate.examples} examples). The ELBO is "
        f"{estimate.value - f.elbo:.2f} nats lower: the approximate posterior costs at least that much."
    )


def _gap(f: BoundFigures) -> Reading | None:
    if (gap := f.inference_gap) is None:
        return None
    family, encoder = gap.approximation, gap.amortization
    if family.standard_error is None or encoder.standard_error is None:
        return _note("One row is too few to tell whether the encoder or the posterior family loses more.")
    if encoder.value < -2 * encoder.standard_error:  # the family is richer than the diagonal Gaussians
        return _good(
            "The posterior is better than diagonal Gaussians: even the best diagonal Gaussian for each row would lose "
            f"{-encoder.value:.2f} nats more."
        )
    if abs(family.value - encoder.value) <= 2 * (family.standard_error + encoder.standard_error):
        return _note(
            f"{gap.examples} rows are too few to tell whether the encoder or the family of diagonal Gaussians loses more."
        )
    if encoder.value > family.value:
        return _note(
            "The encoder causes most of the inference gap: the best diagonal Gaussian for each row would save "
            f"{encoder.value:.2f} nats.",
            (*_named("wider or deeper layers of the encoder"), LONGER),
        )
    return _note(
        f"The posterior family causes most of the inference gap: even the best diagonal Gaussian for each row loses "
        f"{family.value:.2f} nats.",
        (FULL_COVARIANCE, FLOW_POSTERIOR, TIGHTER_BOUND),
    )


def _rate(f: BoundFigures) -> Reading | None:
    if f.mutual_information is None or f.mutual_information_ceiling is None or f.marginal_kl is None:
        return None
    if f.mutual_information > 0.95 * f.mutual_information_ceiling:
        return _note(
            f"The codes distinguish all rows: mutual information has reached its ceiling, log N = {f.mutual_information_ceiling:.2f} "
            "nats. The marginal KL shown is therefore only an upper bound."
        )
    if f.marginal_kl > 0.5 * f.rate > 0.5:
        return _note(
            f"Codes do not match the prior: the marginal KL makes up {f.marginal_kl:.2f} of the rate's {f.rate:.2f} nats. "
            "Samples fall where there are no data.",
            (FLOW_PRIOR, MIXTURE_PRIOR, LONGER),
        )
    return None


def _beta(f: BoundFigures) -> Reading | None:
    if f.effective_beta in (None, 1):
        return None
    return _note(
        f"The model was trained with β = {f.effective_beta:g}. The figures here are true bounds, with weight 1.",
        (TRUE_WEIGHT,),
    )
