"""Write the report's table of results, and say which results of two runs can be compared."""

from __future__ import annotations

from vaekit.data import Column
from vaekit.data.tables.columns import CATEGORICAL
from vaekit.plots.numbers import cut, significant
from vaekit.report.account import MISSING, account, data_unit
from vaekit.report.panel import Row
from vaekit.report.subject import Subject

COMPARABLE = "Both log-likelihoods are bounds for the same rows in the same units, so they can be compared."


def table(subjects: list[Subject]) -> list[Row]:
    """Return the report's table of results, with a column for each run; results that no run has are left out."""
    columns = [account(subject).column() for subject in subjects]
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
        else "rows used neither for training nor for choosing the weights",
        "log-likelihood": f"{of}: a lower bound on the mean {subject.log_probability} of a held-out example (± one standard error)",
        "draws K": "draws of z for each log-likelihood; more draws make the bound tighter",
        "bits per dimension": "bits per value: a code based on the model needs at most this many",
        "ELBO": f"{of}: a looser bound, −(distortion + rate)",
        "distortion": f"{of}: the mean of −log p(x|z), which measures reconstruction",
        "rate": "nats per example: KL[q(z|x) ‖ p(z)], the cost of the code",
        "β in training": "weight of the rate in the loss; every figure here has weight 1",
        "ELBO on training rows": f"{of}: far above the held-out ELBO means overfitting",
        "mutual information": "nats per example: the part of the rate that is information about x",
        "ceiling of mutual information": "nats: log N, the largest mutual information that N rows can show",
        "marginal KL": "nats per example: the rest of the rate, the distance of codes from the prior",
        "active latent dimensions": "latent dimensions whose posterior mean has a variance above 0.01",
        "probabilistic PCA": f"{of}: log-likelihood of a linear model with one noise variance",
        "factor analysis": f"{of}: log-likelihood of a linear model with a noise variance for each value",
        "independent columns": f"{of}: log-likelihood of a model in which the columns are independent",
        "mean squared error": "of reconstructions, per value, in squared units of the data as given",
        "reconstruction error": "squared error summed over a held-out example, in the model's units",
        "reconstruction error on training rows": "the same on training rows: far below the held-out error means overfitting",
    }


def comparison(one: Subject, other: Subject) -> list[str]:
    """Explain which results of two runs on the same held-out rows can be compared, and which cannot."""
    if one.mixed:
        return _compare_tables(one, other)
    sentences = [
        f"Both runs reconstructed the same {len(one.held_out):,} held-out rows. The mean squared errors, "
        f"{significant(one.squared_error)} for {one.name} and {significant(other.squared_error)} for {other.name}, "
        "are in squared units of the data as given and can be compared"
        + ("." if one.run.schema.picture else "; columns with large values have the most weight.")
    ]
    autoencoders = [s.name for s in (one, other) if not s.run.model.has_likelihood]
    if len(autoencoders) == 2:
        sentences.append("Both runs are autoencoders without a likelihood: nothing else can be compared.")
    elif autoencoders:
        sentences.append(
            f"Likelihood and rate cannot be compared: {autoencoders[0]} is an autoencoder and has no likelihood. No prior "
            "limits its codes, which makes reconstruction easier, so compare the samples too."
        )
    elif data_unit(one) != data_unit(other):
        sentences.append(
            "The log-likelihoods cannot be compared: only one of the models was trained on binarised data."
        )
    else:
        sentences.append(COMPARABLE)
    return [*sentences, *_trained_elsewhere(one, other)]


def _trained_elsewhere(one: Subject, other: Subject) -> list[str]:
    prints = [each.run.provenance["fingerprint"] for each in (one, other)]
    if None in prints:
        return [
            "It is not known whether the two runs were trained on the same rows, because one was shared without its data."
        ]
    if prints[0] == prints[1]:
        return []
    return [
        f"The runs were trained on different rows. If {other.name} was trained on some of the held-out rows, it looks better "
        "than it is."
    ]


def _compare_tables(one: Subject, other: Subject) -> list[str]:
    """Say whether the log-likelihoods of two runs on a mixed table can be compared."""
    if one.run.recipe.models_missing != other.run.recipe.models_missing:
        return ["The log-likelihoods cannot be compared: only one of the models predicts which cells are missing."]
    columns = [{c.name: c for c in s.run.schema.modelled} for s in (one, other)]
    unlike = [cut(n) for n, c in columns[0].items() if _is_density(c) != _is_density(columns[1][n])]
    if unlike:
        return [
            f"The log-likelihoods cannot be compared: only one of the models has a density for {', '.join(unlike[:5])}"
            + (f" and {len(unlike) - 5} more." if len(unlike) > 5 else ".")
        ]
    if columns[0] != columns[1]:  # different codes give different fingerprints, even for the same rows
        return [
            COMPARABLE,
            "The runs treat some columns as different kinds, so it is unknown whether they were trained on the same rows.",
        ]
    return [COMPARABLE, *_trained_elsewhere(one, other)]


def _is_density(column: Column) -> bool:
    return column.kind not in CATEGORICAL and not column.spacing
