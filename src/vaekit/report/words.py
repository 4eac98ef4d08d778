"""The report's figures in words: the large numbers at its head, the table, what may be compared with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.evaluation import BASELINES
from vaekit.report.numbers import nats, significant, with_error
from vaekit.report.panel import cut
from vaekit.report.subject import Subject

MISSING = "–"
COMPARABLE = "Their log-likelihoods are bounds for the same rows in the same units, and can be compared."


@dataclass(frozen=True)
class Card:
    """A large number.

    Args:
        name: what it is.
        value: the number.
        note: its unit, and what it rests on.
    """

    name: str
    value: str
    note: str


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        name: of the figure.
        values: one for each run.
        meaning: what it says, with its unit.
    """

    name: str
    values: list[str]
    meaning: str


def data_unit(subject: Subject) -> str:
    """Of what the probabilities are."""
    return "the binarised data" if subject.run.transform.binarizes else "the data as given"


def beta_note(figures: dict[str, Any]) -> str:
    """β of the training, where the loss was not the bound itself."""
    beta = figures["effective_beta"]
    return "" if beta in (None, 1) else f"Trained with β = {beta:g}; here the rate has weight 1."


def best_baseline(figures: dict[str, Any]) -> tuple[str, float] | None:
    """Name and log-likelihood of the best simple model."""
    known = [(BASELINES[name], value) for name, value in figures["baselines"].items() if value is not None]
    return max(known, key=lambda pair: pair[1], default=None)


def cards(subject: Subject) -> list[Card]:
    """The large numbers."""
    f = subject.figures
    active = Card("Active units", f"{f['active_units']} of {f['latent_dim']}", "latent dimensions that vary with x")
    if subject.is_autoencoder:
        return [_squared(subject), *_own_error(f), active]
    estimate, given = f["log_likelihood"], ", ".join(f["given"])
    found = [
        Card(
            f"Log-likelihood given {given}" if given else "Log-likelihood",
            f"≥\u00a0{with_error(estimate['value'], estimate['standard_error'])}",
            f"nats per example of {data_unit(subject)}, ± one standard error; "
            f"K = {estimate['samples']} draws, {estimate['examples']:,} held-out examples",
        )
    ]
    if f["bits_per_dim"] is not None:
        found.append(
            Card("Bits per dimension", f"{f['bits_per_dim']:.4f}", "at most; the same log-likelihood, per value")
        )
    parts = f"nats per example: −\u2060(D + R), distortion D = {nats(f['distortion'])}, rate R = {nats(f['rate'])}. {beta_note(f)}"
    found += [Card("ELBO", nats(f["elbo"]), parts.strip()), active]
    baseline = best_baseline(f)
    if baseline is not None:
        name = f"{baseline[0]}, which does not see {given}" if given else baseline[0]
        title = "Baseline" if baseline[0] == BASELINES["independent"] else "Best linear baseline"
        gain = estimate["value"] - baseline[1]
        judged = f"{nats(abs(gain))} nats {'below' if gain > 0 else 'above'} this model"
        found.append(Card(title, nats(baseline[1]), f"nats per example, {name}: {judged}"))
    return found


def _squared(subject: Subject) -> Card:
    note = f"mean over held-out rows and values, in squared units of the data as given; {subject.figures['examples']:,} examples"
    return Card("Mean squared error", significant(subject.squared_error), note)


def _own_error(f: dict[str, Any]) -> list[Card]:
    train = f["train_reconstruction_error"]
    beside = "" if train is None else f"; {significant(train)} on training rows"
    note = f"squared, summed over an example, in the model's units{beside}"
    return [Card("Reconstruction error", significant(f["reconstruction_error"]), note)]


def table(subjects: list[Subject]) -> list[Row]:
    """All figures, a column for each run; those that no run has are left out."""
    columns = [_column(subject) for subject in subjects]
    rows = [
        Row(name, [column.get(name, MISSING) for column in columns], meaning)
        for name, meaning in _meanings(subjects[0]).items()
    ]
    return [row for row in rows if any(value != MISSING for value in row.values)]


def _meanings(subject: Subject) -> dict[str, str]:
    of = f"nats per example of {data_unit(subject)}"
    return {
        "held-out examples": "rows that were named for this report"
        if subject.named
        else "rows that neither trained nor chose the model",
        "log-likelihood": f"{of}: at least this is the mean {subject.log_prob_word} of a held-out example (± one standard error)",
        "draws K": "draws of z behind each log-likelihood; more make it tighter",
        "bits per dimension": "bits per value: at most this many would a code built on the model take",
        "ELBO": f"{of}: a looser bound, −(distortion + rate)",
        "distortion": f"{of}: −log p(x|z) on average, what reconstruction leaves open",
        "rate": "nats per example: KL[q(z|x) ‖ p(z)], what the code costs",
        "β in training": "weight that the rate had in the loss; every figure here has weight 1",
        "ELBO on training rows": f"{of}: far above the held-out one means over-fitting",
        "mutual information": "nats per example: the part of the rate that tells of x",
        "ceiling of mutual information": "nats: log N, as N rows cannot be told apart by more",
        "marginal KL": "nats per example: the rest of the rate, by which codes and prior differ",
        "active units": "latent dimensions whose posterior mean has a variance above 0.01",
        "probabilistic PCA": f"{of}: log-likelihood of a linear model with one noise variance",
        "factor analysis": f"{of}: log-likelihood of a linear model with a noise variance for each value",
        "independent columns": f"{of}: log-likelihood of columns that know nothing of each other",
        "mean squared error": "of reconstructions, per value, in squared units of the data as given",
        "reconstruction error": "squared error summed over a held-out example, in the model's units",
        "reconstruction error on training rows": "the same of training rows: far below the held-out one means over-fitting",
    }


def _column(subject: Subject) -> dict[str, str]:
    f = subject.figures
    shared = {
        "held-out examples": f"{f['examples']:,}",
        "active units": f"{f['active_units']} of {f['latent_dim']}",
        "mean squared error": MISSING if subject.mixed else significant(subject.squared_error),
    }
    if subject.is_autoencoder:
        train = f["train_reconstruction_error"]
        return shared | {
            "reconstruction error": significant(f["reconstruction_error"]),
            "reconstruction error on training rows": MISSING if train is None else significant(train),
        }
    estimate, beta = f["log_likelihood"], f["effective_beta"]
    plain = {
        "ELBO": f["elbo"],
        "distortion": f["distortion"],
        "rate": f["rate"],
        "ELBO on training rows": f["train_elbo"],
        "mutual information": f["mutual_information"],
        "ceiling of mutual information": f["mutual_information_ceiling"],
        "marginal KL": f["marginal_kl"],
        **{name: f["baselines"].get(key) for key, name in BASELINES.items()},
    }
    return {
        **shared,
        **{name: MISSING if value is None else nats(value) for name, value in plain.items()},
        "log-likelihood": f"≥ {with_error(estimate['value'], estimate['standard_error'])}",
        "draws K": f"{estimate['samples']:,}",
        "bits per dimension": MISSING if f["bits_per_dim"] is None else f"{f['bits_per_dim']:.4f}",
        "β in training": MISSING if beta in (None, 1) else f"{beta:g}",
    }


def comparison(one: Subject, other: Subject) -> list[str]:
    """What can be compared between two runs on the same held-out rows, and what cannot."""
    if one.mixed:
        return _compared_tables(one, other)
    sentences = [
        f"Both reconstructed the same {len(one.held_out):,} held-out rows: the mean squared error is "
        f"{significant(one.squared_error)} for {one.name} and {significant(other.squared_error)} for {other.name}, "
        "in squared units of the data as given, and can be compared"
        + ("." if one.run.schema.picture else "; the columns with the largest values weigh most in it.")
    ]
    autoencoders = [s.name for s in (one, other) if s.is_autoencoder]
    if len(autoencoders) == 2:
        sentences.append("Neither has a likelihood, as both are autoencoders: nothing else is to be compared.")
    elif autoencoders:
        sentences.append(
            f"Likelihood, rate and their parts cannot be compared: {autoencoders[0]} is an autoencoder and has no likelihood. "
            "It is free to reconstruct well by codes that no prior knows, so look at the samples too."
        )
    elif data_unit(one) != data_unit(other):
        sentences.append("Their log-likelihoods cannot be compared, as only one of them speaks of binarised data.")
    else:
        sentences.append(COMPARABLE)
    return [*sentences, *_trained_elsewhere(one, other)]


def _trained_elsewhere(one: Subject, other: Subject) -> list[str]:
    if one.run.provenance["fingerprint"] == other.run.provenance["fingerprint"]:
        return []
    return [
        f"They were trained on different rows: some of the held-out rows may have trained {other.name}, which then looks better than it is."
    ]


def _compared_tables(one: Subject, other: Subject) -> list[str]:
    """Likelihoods of tables compare where each column has probabilities in both runs, or densities in both."""
    if one.run.recipe.likelihood.values()["missing"] != other.run.recipe.likelihood.values()["missing"]:
        return ["Their log-likelihoods cannot be compared: only one of them tells which cells are missing as well."]
    columns = [{c.name: c for c in s.run.schema.modelled} for s in (one, other)]
    unlike = [cut(n) for n, c in columns[0].items() if _is_density(c) != _is_density(columns[1][n])]
    if unlike:
        return [
            f"Their log-likelihoods cannot be compared: only one of them has a density for {', '.join(unlike[:5])}"
            + (f" and {len(unlike) - 5} more." if len(unlike) > 5 else ".")
        ]
    if columns[0] != columns[1]:  # other codes have another fingerprint, whatever the rows
        return [
            COMPARABLE,
            "They take columns to be of other kinds, so that it is not known whether they were trained on the same rows.",
        ]
    return [COMPARABLE, *_trained_elsewhere(one, other)]


def _is_density(column: Column) -> bool:
    return column.kind not in CATEGORICAL and not column.spacing
