"""What the figures mean, and what to try: plain sentences, each with the figures it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from vaekit.evaluation.baselines import BASELINES


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    Args:
        name: what it is.
        settings: dotted keys and values by which a recipe has it; empty for what no setting does.
        in_place: whether a recipe has it, or more than it, already.

    Examples:
        >>> str(Remedy("free bits", {"objective.name": "free_bits"}))
        'free bits (objective=free_bits)'
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    in_place: Callable[[Any], bool] = lambda _: False

    def __str__(self) -> str:
        shown = ", ".join(f"{key.removesuffix('.name')}={value}" for key, value in self.settings.items())
        return f"{self.name} ({shown})" if shown else self.name


def _tighter(recipe: Any) -> bool:
    return recipe.objective.part.importance_weighted and recipe.objective.samples >= 8


# what a later one replaced counts as in place beside it, so that remedy upon remedy never goes back
WARM_UP = Remedy("KL warm-up", {"training.kl_warmup": 0.3}, lambda recipe: recipe.training.kl_warmup > 0)
FREE_BITS = Remedy("free bits", {"objective.name": "free_bits"}, _tighter)
TIGHTER_BOUND = Remedy("a tighter bound", {"objective.name": "dreg", "objective.samples": 8}, _tighter)
FLOW_PRIOR = Remedy("a flow as prior", {"prior.name": "flow"}, lambda recipe: recipe.prior.name.endswith("flow"))
MIXTURE_PRIOR = Remedy(
    "a mixture as prior", {"prior.name": "mixture"}, lambda recipe: recipe.prior.name != "standard_normal"
)
FULL_COVARIANCE = Remedy(
    "a posterior with dependent dimensions",
    {"posterior.name": "full_covariance"},
    lambda recipe: recipe.posterior.name not in ("diagonal", "low_rank"),
)
FLOW_POSTERIOR = Remedy(
    "a posterior that bends", {"posterior.name": "flow"}, lambda recipe: "flow" in recipe.posterior.name
)
TRUE_WEIGHT = Remedy("the bound itself", {"objective.kl_weight": 1.0})
LONGER = Remedy("more training (training.epochs)")

Accepts = Callable[[Remedy], bool]
"""Whether a run can take a remedy that it has not."""


@dataclass(frozen=True)
class Reading:
    """One reading of the figures.

    Args:
        level: `good`, `note` or `warning`.
        text: what it means.
        remedies: what to try, the first first; none where nothing need be done.
    """

    level: Literal["good", "note", "warning"]
    text: str
    remedies: tuple[Remedy, ...] = ()

    @property
    def advice(self) -> str:
        """The remedies as a sentence; empty where there are none."""
        return f"Try: {'; '.join(map(str, self.remedies))}." if self.remedies else ""


def diagnose(figures: dict[str, Any], accepts: Accepts = lambda _: True) -> list[Reading]:
    """Read the figures of an evaluation.

    Args:
        figures: as `Evaluation.figures` holds them.
        accepts: what the run can take, as `Run.accepts` tells; remedies that it cannot are left out.

    Returns:
        Readings in the order in which they matter.
    """
    if figures["elbo"] is None:
        readings = _autoencoder(figures)
    else:
        parts = (_collapse, _fit, _baseline, _estimate, _gap, _rate, _beta)
        readings = [reading for part in parts if (reading := part(figures)) is not None]
    if trained := figures.get("training_rows"):
        readings.insert(0, _of_training_rows(trained, figures["examples"]))
    return [replace(r, remedies=tuple(m for m in r.remedies if not m.settings or accepts(m))) for r in readings]


def _of_training_rows(trained: int, examples: int) -> Reading:
    rows = f"{trained:,} of these {examples:,} rows trained the run: no figure here is of held-out rows alone."
    return Reading("warning", f"{rows} `vaekit evaluate RUN` measures those.")


def first_remedy(readings: list[Reading]) -> Remedy | None:
    """The first remedy that settings bring, which `vaekit remedy` tries; None where there is none."""
    return next((remedy for reading in readings for remedy in reading.remedies if remedy.settings), None)


def _autoencoder(figures: dict[str, Any]) -> list[Reading]:
    error, train = figures["reconstruction_error"], figures["train_reconstruction_error"]
    readings = [
        Reading(
            "note",
            "A deterministic autoencoder has no likelihood: its figures say how well it reconstructs, and cannot be set beside a bound.",
        ),
    ]
    if train and error > 1.3 * train:
        readings.append(
            Reading("warning", f"Held-out rows are reconstructed worse than training rows ({error:.3g} against {train:.3g}): it is over-fitted.",
                    _named("a smaller latent_dim", "narrower layers", "dropout",
                           "a variational autoencoder, whose noise regularises"))
        )  # fmt: skip
    return readings


def _named(*names: str) -> tuple[Remedy, ...]:
    return tuple(Remedy(name) for name in names)


def _collapse(f: dict[str, Any]) -> Reading:
    active, total = f["active_units"], f["latent_dim"]
    if active <= 0.2 * total:
        return _few_active(f, active, total)
    if active == total:
        return Reading(
            "note",
            f"{'The only latent unit is' if total == 1 else f'All {total} latent units are'} active: more might be of use.",
            (Remedy("more latent units", {"latent_dim": 2 * total}),),
        )
    return Reading(
        "good", f"{active} of {total} latent units are active: there is room, and the posterior has not collapsed."
    )


def _few_active(f: dict[str, Any], active: int, total: int) -> Reading:
    lighter = (TRUE_WEIGHT,) if (f["effective_beta"] or 1) > 1 else ()
    if active == 0:
        return Reading(
            "warning",
            f"None of the {total} latent units is active: the posterior has collapsed onto the prior, and codes tell nothing of the data.",
            (*lighter, WARM_UP, FREE_BITS, TIGHTER_BOUND, FLOW_PRIOR, *_named("a less flexible likelihood"), LONGER),
        )
    fewer = Remedy("if so few are enough, a faster training", {"latent_dim": max(2, 2 * active)})
    return Reading(
        "note",
        f"{active} of {total} latent units are active; the others hardly vary with x.",
        (*lighter, WARM_UP, FREE_BITS, TIGHTER_BOUND, FLOW_PRIOR, fewer),
    )


def _fit(f: dict[str, Any]) -> Reading | None:
    if f["train_elbo"] is None or f.get("training_rows"):
        return None
    gap = f["train_elbo"] - f["elbo"]
    error = f["log_likelihood"]["standard_error"]
    if error is None or 2 * error < gap <= 4 * error:
        return Reading(
            "note",
            f"The bound on training rows is {gap:.2f} nats above that on held-out rows: {f['log_likelihood']['examples']} held-out rows cannot tell whether it is over-fitted.",
            _named("more held-out rows (data.test)", "cross-checking with another seed"),
        )
    if gap > 4 * error:  # more than chance, whatever the units
        return Reading(
            "warning",
            f"The bound on training rows is {gap:.2f} nats above that on held-out rows: it is over-fitted.",
            _named("dropout", "narrower layers", "weight decay", "more data"),
        )
    return Reading(
        "good",
        f"Training and held-out bounds are {abs(gap):.2f} nats apart: no sign of over-fitting.",
    )


def _baseline(f: dict[str, Any]) -> Reading | None:
    known = {name: value for name, value in f["baselines"].items() if value is not None}
    if not known:
        return None
    name = max(known, key=lambda n: known[n])
    gain, label = f["log_likelihood"]["value"] - known[name], BASELINES[name]
    if given := ", ".join(f.get("given", ())):
        label += f", which does not see {given}"
    error = f["log_likelihood"]["standard_error"]
    if error is None or abs(gain) <= 2 * error:
        return Reading(
            "note",
            f"It is {abs(gain):.2f} nats per example {'above' if gain > 0 else 'below'} the best simple model ({label}): "
            f"{f['log_likelihood']['examples']} held-out rows cannot tell which is better.",
            (*_named("more held-out rows (data.test)"), LONGER),
        )
    if gain > 0:
        return Reading("good", f"It beats the best simple model ({label}) by {gain:.2f} nats per example.")
    return Reading(
        "warning",
        f"A simple model ({label}) is {-gain:.2f} nats per example better: the network buys nothing here.",
        (LONGER, *_named("a likelihood that fits the data", "another learning rate", "the linear model itself")),
    )


def _density(f: dict[str, Any]) -> str:
    given = ", ".join(f.get("given", ()))
    return f"log p(x|{given})" if given else "log p(x)"


def _estimate(f: dict[str, Any]) -> Reading:
    estimate = f["log_likelihood"]
    gap = estimate["value"] - f["elbo"]
    error = "" if estimate["standard_error"] is None else f" ± {estimate['standard_error']:.2f}"
    text = (
        f"{_density(f)} ≥ {estimate['value']:.2f}{error} nats (K = {estimate['samples']}, "
        f"{estimate['examples']} examples); the ELBO is {gap:.2f} below it, which is what the approximate posterior costs at least."
    )
    return Reading("note", text)


def _gap(f: dict[str, Any]) -> Reading | None:
    if (gap := f.get("inference_gap")) is None:
        return None
    family, encoder = gap["approximation"], gap["amortization"]
    if family["standard_error"] is None:
        return Reading("note", "Of a single row it cannot be told whether the encoder or the family loses more.")
    errors = family["standard_error"] + encoder["standard_error"]
    if encoder["value"] < -2 * encoder["standard_error"]:  # of a family richer than diagonal Gaussians
        return Reading(
            "good",
            f"The posterior's family is worth its price: the best diagonal Gaussian of each row would lose {-encoder['value']:.2f} nats more.",
        )
    if abs(family["value"] - encoder["value"]) <= 2 * errors:
        return Reading(
            "note",
            f"Whether the encoder or the family of diagonal Gaussians loses more, {gap['examples']} rows cannot tell.",
        )
    if encoder["value"] > family["value"]:
        return Reading(
            "note",
            f"Most of what the ELBO loses, {encoder['value']:.2f} nats, the encoder loses: the best diagonal Gaussian of each row would regain it.",
            (*_named("wider or deeper layers of the encoder"), LONGER),
        )
    return Reading(
        "note",
        f"Most of what the ELBO loses, {family['value']:.2f} nats, no diagonal Gaussian would regain.",
        (FULL_COVARIANCE, FLOW_POSTERIOR, TIGHTER_BOUND),
    )


def _rate(f: dict[str, Any]) -> Reading | None:
    if f["mutual_information"] is None:
        return None
    if f["mutual_information"] > 0.95 * f["mutual_information_ceiling"]:
        return Reading(
            "note",
            f"The codes tell all rows apart: mutual information stands at its ceiling, log N = {f['mutual_information_ceiling']:.2f} nats, "
            "so the marginal KL is only known to be at most what is shown.",
        )
    if f["marginal_kl"] > 0.5 * f["rate"] > 0.5:
        return Reading(
            "note",
            f"{f['marginal_kl']:.2f} of {f['rate']:.2f} nats of rate are mismatch between codes and prior: samples fall where no data lie.",
            (FLOW_PRIOR, MIXTURE_PRIOR, LONGER),
        )
    return None


def _beta(f: dict[str, Any]) -> Reading | None:
    if f["effective_beta"] in (None, 1):
        return None
    return Reading(
        "note",
        f"It was trained with β = {f['effective_beta']:g}; the figures here are true bounds, with weight 1.",
        (TRUE_WEIGHT,),
    )
