"""What the figures mean, and what to try: plain sentences, each with the figures it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vaekit.evaluation.baselines import BASELINES


@dataclass(frozen=True)
class Reading:
    """One reading of the figures.

    Args:
        level: `good`, `note` or `warning`.
        text: what it means.
        remedy: what to try; empty where nothing need be done.
    """

    level: Literal["good", "note", "warning"]
    text: str
    remedy: str = ""


def diagnose(figures: dict[str, Any]) -> list[Reading]:
    """Read the figures of an evaluation.

    Args:
        figures: as `Evaluation.figures` holds them.

    Returns:
        Readings in the order in which they matter.
    """
    if figures["elbo"] is None:
        return _autoencoder(figures)
    readings = [
        _collapse(figures),
        _fit(figures),
        _baseline(figures),
        _estimate(figures),
        _rate(figures),
        _beta(figures),
    ]
    return [reading for reading in readings if reading is not None]


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
                    "A smaller latent_dim, narrower layers, dropout, or a variational autoencoder, whose noise regularises.")
        )  # fmt: skip
    return readings


def _collapse(f: dict[str, Any]) -> Reading:
    active, total = f["active_units"], f["latent_dim"]
    if active == 0:
        return Reading(
            "warning",
            f"None of the {total} latent units is active: the posterior has collapsed onto the prior, and codes tell nothing of the data.",
            "KL warm-up (training.kl_warmup=0.3), free bits (objective=free_bits), a tighter bound (objective=dreg), a less flexible likelihood, or more training.",
        )
    if active <= 0.2 * total:
        return Reading(
            "note",
            f"{active} of {total} latent units are active; the others equal the prior and cost nothing.",
            f"latent_dim={max(2, 2 * active)} would train faster; if you expected more, KL warm-up (training.kl_warmup=0.3) or free bits (objective=free_bits).",
        )
    if active == total:
        return Reading(
            "note", f"All {total} latent units are active: more might be of use.", f"latent_dim={2 * total}."
        )
    return Reading(
        "good", f"{active} of {total} latent units are active: there is room, and the posterior has not collapsed."
    )


def _fit(f: dict[str, Any]) -> Reading | None:
    if f["train_elbo"] is None:
        return None
    gap = f["train_elbo"] - f["elbo"]
    error = f["log_likelihood"]["standard_error"]
    if error is None or 2 * error < gap <= 4 * error:
        return Reading(
            "note",
            f"The bound on training rows is {gap:.2f} nats above that on held-out rows: {f['log_likelihood']['examples']} held-out rows cannot tell whether it is over-fitted.",
            "More held-out rows (data.test), or cross-checking with another seed.",
        )
    if gap > 4 * error:  # more than chance, whatever the units
        return Reading(
            "warning",
            f"The bound on training rows is {gap:.2f} nats above that on held-out rows: it is over-fitted.",
            "Dropout, narrower layers, weight decay, or more data.",
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
    if gain > 0:
        return Reading("good", f"It beats the best simple model ({label}) by {gain:.2f} nats per example.")
    return Reading(
        "warning",
        f"A simple model ({label}) is {-gain:.2f} nats per example better: the network buys nothing here.",
        "More training (training.epochs), a likelihood that fits the data, another learning rate, or the linear model itself.",
    )


def _estimate(f: dict[str, Any]) -> Reading:
    estimate = f["log_likelihood"]
    gap = estimate["value"] - f["elbo"]
    error = "" if estimate["standard_error"] is None else f" ± {estimate['standard_error']:.2f}"
    text = (
        f"log p(x) ≥ {estimate['value']:.2f}{error} nats (K = {estimate['samples']}, "
        f"{estimate['examples']} examples); the ELBO is {gap:.2f} below it, which is what the approximate posterior costs at least."
    )
    return Reading("note", text)


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
            "A learned prior (prior=flow, prior=mixture), or a longer training.",
        )
    return None


def _beta(f: dict[str, Any]) -> Reading | None:
    if f["effective_beta"] in (None, 1):
        return None
    return Reading(
        "note",
        f"It was trained with β = {f['effective_beta']:g}; the figures here are true bounds, with weight 1.",
        "objective.kl_weight=1 trains the bound itself.",
    )
