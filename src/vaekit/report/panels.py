"""The pictures and charts of a report, each with the sentence that says what to look for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Part
from vaekit.distributions import DiagonalNormal
from vaekit.evaluation import BASELINES, active_units
from vaekit.report import charts
from vaekit.report.canvas import LARGEST, NOT_DRAWN
from vaekit.report.numbers import nats, significant
from vaekit.report.panel import Key, Panel
from vaekit.report.pictures import Scale, columns_for, make_strip
from vaekit.report.subject import Subject

Array = npt.NDArray[Any]

MOST_POINTS = 1000
MOST_CLASSES = 12
MOST_COLUMNS = 12
MOST_TRAVERSALS = 8
TABLE_ROWS = 2000
SCATTERED = 300


def training_panels(subject: Subject) -> list[Panel]:
    """Curves of the training, from metrics.csv."""
    metrics = subject.run.folder.read_metrics()
    if not metrics:
        return []
    columns = {name: np.array([row[name] for row in metrics]) for name in metrics[0]}
    kept = subject.run.folder.chosen_step()
    chosen = np.flatnonzero((columns["step"] == kept) & np.isfinite(columns["elbo"]))
    best = int(chosen[0]) if len(chosen) else None

    def panel(title: str, name: str, label: str, caption: str) -> Panel:
        drawn = charts.curves(columns["epoch"], columns[f"train_{name}"], columns[name], best, label)
        return Panel(title, caption, [drawn])

    if subject.is_autoencoder:
        caption = (
            "Both lines should fall and level out together; a held-out line that turns upwards means over-fitting."
        )
        return [panel("Reconstruction error", "distortion", "squared error per example", caption)]
    return [
        panel("ELBO", "elbo", "ELBO in nats",
              "Both lines should rise and level out together; a held-out line that turns downwards means over-fitting. "
              "The weights kept are those with the greatest held-out bound of the kind that training raises. Training rows are measured as they train, with dropout if there is any."),
        panel("Distortion", "distortion", "distortion in nats",
              "It should fall and level out: reconstruction gets better."),
        panel("Rate", "rate", "rate in nats",
              "It should settle above zero: the code is used. A rate that stays at zero, or falls to it, is a collapsed posterior."),
    ]  # fmt: skip


def gap_panel(subject: Subject) -> Panel:
    """Training rows against held-out ones."""
    f, title = subject.figures, "Training against held-out rows"
    if subject.is_autoencoder:
        both = {"training rows": f["train_reconstruction_error"], "held-out rows": f["reconstruction_error"]}
        known = {name: value for name, value in both.items() if value is not None}
        caption = "The two should lie close together; held-out rows far to the right mean over-fitting."
        return Panel(title, caption, [charts.ladder(known, {}, significant, "squared error per example")])
    estimate = f["log_likelihood"]
    bounds = {
        "ELBO, training rows": f["train_elbo"],
        "ELBO, held-out rows": f["elbo"],
        "log-likelihood": estimate["value"],
        **{name: f["baselines"].get(key) for key, name in BASELINES.items()},
    }
    known = {name: value for name, value in bounds.items() if value is not None}
    caption = (
        "The two bounds should lie close together (held-out far to the left means over-fitting), the log-likelihood a little "
        "to the right of the held-out one, and any simple model to its left; the bar is one standard error."
    )
    errors = {"log-likelihood": estimate["standard_error"] or 0.0}
    return Panel(title, caption, [charts.ladder(known, errors, nats, "nats per example")])


def latent_panels(subject: Subject) -> list[Panel]:
    """What the latent dimensions cost, and what for; told of independent ones only, and an autoencoder's cost nothing."""
    kl, f = subject.evaluation.kl_per_dimension, subject.figures
    if kl is None:
        return []
    unused = (
        "does not change with x. The learned prior has no parts by dimension: a bar is the KL to the Gaussian that has the mean "
        "and the variance of all codes there, and the bars need not add up to the rate"
        if subject.learned_prior
        else "equals the prior and costs nothing"
    )
    return [
        Panel("KL of each latent dimension",
              "A few or many filled bars, and perhaps some hatched ones near zero, are well: a dimension without use "
              f"{unused}. No filled bar at all is a collapsed posterior.",
              [charts.kl_bars(kl, active_units(subject.evaluation.code))]),
        Panel("Where the rate goes",
              "Most of the rate should be mutual information, which tells of x, and little of it marginal KL, by which codes "
              "and prior differ; at the ceiling log N (N examples) the parts cannot be told apart well.",
              [charts.rate_parts(f["mutual_information"], f["marginal_kl"], f["rate"], f["mutual_information_ceiling"])]),
    ]  # fmt: skip


def picture_panels(subjects: list[Subject]) -> list[Panel]:
    """Originals, reconstructions, samples, traversals."""
    first = subjects[0]
    count = columns_for(first.run.schema.shape[1])
    originals = first.subset(2 * count)
    scale = Scale.of(originals.take(0, len(originals)), first.run.schema.levels)
    panels = [_reconstructions(subjects, originals, scale, count), _samples(subjects, originals, scale, count)]
    kl, spread = first.evaluation.kl_per_dimension, first.evaluation.factorized
    if kl is not None and spread is not None:  # by which dimensions and their range are chosen
        panels.append(_traversals(first, kl, spread, originals.crop(0, 1), scale, count))
    return panels


def _by(subject: Subject, subjects: list[Subject]) -> str:
    return f" by {subject.name}" if len(subjects) > 1 else ""


def _reconstructions(subjects: list[Subject], originals: Part, scale: Scale, count: int) -> Panel:
    strips = []
    for part in (originals.crop(0, count), originals.crop(count, 2 * count)):
        if len(part):
            strips.append(make_strip("as given", part.take(0, count), scale, count))
            strips += [
                make_strip(f"reconstructed{_by(s, subjects)}", s.run.reconstruct(s.source(part)), scale, count)
                for s in subjects
            ]
    grey = (
        " It is shown grey as given, while the model sees it binarised." if subjects[0].run.transform.binarizes else ""
    )
    caption = f"Each held-out example should be recognised in what is under it, if a little smoother.{grey}"
    return Panel("Held-out examples and their reconstructions", caption, strips=strips, wide=True)


def _samples(subjects: list[Subject], originals: Part, scale: Scale, count: int) -> Panel:
    strips, captions = [], []
    alike = replace(originals, index=np.resize(originals.index, 2 * count))  # from the first again, if they are few
    for s in subjects:
        by, whose = _by(s, subjects), f"{s.name}: " if len(subjects) > 1 else ""
        means = s.run.sample_at(s.rows(alike).context(), len(alike), mean=True)
        if s.is_autoencoder:
            strips.append(make_strip(f"decoded{by}", means, scale, count))
            captions.append(
                f"{whose}Codes are drawn from a Gaussian fitted to those of training rows, as an autoencoder has no prior; "
                "if it fits them, the pictures look like the data."
            )
            continue
        strips.append(make_strip(f"means of p(x|z){by}", means, scale, count))
        draws = s.run.sample_at(s.rows(alike).context(), len(alike))
        strips.append(make_strip(f"draws from p(x|z){by}", draws, scale, count))
        drawn = "draws are zeros and ones" if s.binary else "draws add the noise of each value apart"
        captions.append(
            f"{whose}Codes z are drawn from the {'learned prior' if s.learned_prior else 'prior N(0, I)'}; the means of p(x|z) should look like smooth examples of the data, while {drawn} and look grainy."
            + (
                " What is given with them is that of the examples above, in the same order."
                if s.run.schema.context
                else ""
            )
        )
    return Panel("New samples", " ".join(captions), strips=strips, wide=True)


def _traversals(subject: Subject, kl: Array, spread: DiagonalNormal, example: Part, scale: Scale, count: int) -> Panel:
    steps = np.linspace(-3, 3, max(5, (count - 1) | 1))  # an odd number has the mean in the middle
    context = subject.rows(replace(example, index=example.index.repeat(len(steps)))).context()
    strips = []
    for j in np.argsort(-kl, kind="stable")[:MOST_TRAVERSALS]:
        z = subject.run.encode(subject.source(example)).repeat(len(steps), axis=0)
        z[:, j] = float(spread.mean[j]) + float(spread.stddev[j]) * steps
        made = subject.run.decode_at(z, context)
        strips.append(make_strip(f"dimension {j}: KL {nats(kl[j])} nats", made, scale, len(steps)))
    path = (
        "from three standard deviations of all codes below their mean (left) to three above it (right)"
        if subject.learned_prior
        else "from −3 (left) to 3 (right)"
    )
    caption = (
        f"In each row one latent dimension goes {path}, while the others stay at the posterior mean of the first "
        "example above: rows with much KL should change it smoothly, rows with none not at all."
    )
    return Panel("Traversals of the dimensions with the largest KL", caption, strips=strips, wide=True)


def map_panel(subject: Subject) -> Panel | None:
    """Latent means in the plane, coloured by class where the source has classes."""
    code, labels = subject.evaluation.code, subject.held_out.classes()
    if len(code) < 3:
        return None
    if not (np.abs(code) <= LARGEST).all():
        return Panel("Map of the codes", "", [NOT_DRAWN])
    if code.shape[1] == 1:
        caption = (
            "An autoencoder's codes may lie anywhere."
            if subject.is_autoencoder
            else "If all is well these posterior means spread about as far as the learned prior, or less."
            if subject.learned_prior
            else "If all is well these posterior means spread as far as the prior N(0, I), between −3 and 3, or less."
        )
        return Panel("Map of the codes", caption, [charts.code_histogram(code[:, 0], "z")])
    plane, axes = project(code)
    keys: list[Key] = []
    groups = None
    cloud = "cloud" if subject.learned_prior else "round cloud"
    caption = f"Each point is a held-out example; without clear clusters in the data, points fill one {cloud}."
    if labels is not None:
        names, groups = np.unique(labels, return_inverse=True)
        if len(names) <= MOST_CLASSES:
            keys = [Key(str(name), *charts.class_style(i)) for i, name in enumerate(names)]
            caption = "Each point is a held-out example: classes that the codes tell apart form patches of one sign and colour."
        else:
            groups, caption = None, f"{caption} There are {len(names)} classes, too many for signs and colours."
    shown = np.sort(np.random.default_rng(0).permutation(len(plane))[:MOST_POINTS])
    drawn = charts.latent_map(plane[shown], None if groups is None else groups[shown], axes)
    return Panel("Map of the codes", caption, [drawn], legend=keys)


def project(code: Array) -> tuple[Array, tuple[str, str]]:
    """Codes (n, d ≥ 2) in the plane, with labels of its axes: the two dimensions themselves, or principal components."""
    if code.shape[1] == 2:
        return code, ("z, dimension 0", "z, dimension 1")
    centred = code - code.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]  # the sign is arbitrary
    shares = 100 * singular[:2] ** 2 / max(float((singular**2).sum()), 1e-300)
    labels = [f"principal component {i + 1} ({share:.0f} %)" for i, share in enumerate(shares)]
    return centred @ axes.T, (labels[0], labels[1])


def column_panels(subjects: list[Subject]) -> list[Panel]:
    """For tables: samples against held-out values, and reconstructions against observed ones, column by column."""
    schema = subjects[0].run.schema
    rows = subjects[0].subset(TABLE_ROWS)
    scattered = replace(rows, index=rows.index[:: max(1, len(rows) // SCATTERED)])
    held_out, observed = (part.take(0, len(part)) for part in (rows, scattered))
    made = [
        (s.run.sample_at(s.rows(rows).context(), len(rows)), s.run.reconstruct(s.source(scattered))) for s in subjects
    ]
    varying = [i for i in range(schema.shape[0]) if i not in schema.constant]
    return [
        Panel(
            schema.name(i),
            "",
            [charts.column(held_out[:, i], new[:, i], observed[:, i], back[:, i]) for new, back in made],
        )
        for i in varying[:MOST_COLUMNS]
    ]
