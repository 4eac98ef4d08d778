"""The pictures and charts of a report, each with a sentence on what a good model shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Part
from vaekit.distributions import DiagonalNormal
from vaekit.pictures import Scale, columns_for, make_strip
from vaekit.plots.numbers import nats
from vaekit.plots.runs import class_style, project
from vaekit.report import charts
from vaekit.report.account import account
from vaekit.report.canvas import LARGEST, NOT_DRAWN
from vaekit.report.panel import Key, Panel
from vaekit.report.subject import Subject

Array = npt.NDArray[Any]

MOST_POINTS = 1000
MOST_CLASSES = 12
MOST_COLUMNS = 12
MOST_TRAVERSALS = 8
TABLE_ROWS = 2000
SCATTERED = 300


def training_panels(subject: Subject) -> list[Panel]:
    """Draw the training curves of a run from its metrics.csv."""
    metrics = subject.run.folder.read_metrics()
    if not metrics:
        return []
    columns = {name: np.array([row[name] for row in metrics]) for name in metrics[0]}
    kept = subject.run.folder.chosen_step()
    chosen = np.flatnonzero((columns["step"] == kept) & np.isfinite(columns["elbo"]))
    best = int(chosen[0]) if len(chosen) else None
    return [
        Panel(title, caption, [charts.curves(columns["epoch"], columns[f"train_{name}"], columns[name], best, label)])
        for title, name, label, caption in account(subject).CURVES
    ]


def picture_panels(subjects: list[Subject]) -> list[Panel]:
    """Return panels of pictures: originals with reconstructions, samples, and traversals of latent dimensions."""
    first = subjects[0]
    count = columns_for(first.run.schema.shape[1])
    originals = first.subset(2 * count)
    scale = Scale.of(originals.take(0, len(originals)), first.run.schema.levels)
    panels = [_reconstructions(subjects, originals, scale, count), _samples(subjects, originals, scale, count)]
    kl, spread = first.figures.kl_per_dimension, first.figures.factorized
    if kl is not None and spread is not None:  # they choose the dimensions and their range
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
        " Originals are shown in grey, as given; the model sees them binarised."
        if subjects[0].run.transform.binarizes
        else ""
    )
    caption = f"Each reconstruction should resemble the held-out example above it, if a little smoother.{grey}"
    return Panel("Held-out examples and their reconstructions", caption, strips=strips, wide=True)


def _samples(subjects: list[Subject], originals: Part, scale: Scale, count: int) -> Panel:
    strips, captions = [], []
    rows = replace(originals, index=np.resize(originals.index, 2 * count))  # rows repeat if there are too few
    for s in subjects:
        drawn, caption = account(s).samples(rows, _by(s, subjects), scale, count)
        strips += drawn
        captions.append(f"{s.name}: {caption}" if len(subjects) > 1 else caption)
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
        "from three standard deviations below the mean of all codes (left) to three above it (right)"
        if subject.learned_prior
        else "from −3 (left) to 3 (right)"
    )
    caption = (
        f"In each row one latent dimension goes {path}, and the others stay at the posterior mean of the first example "
        "above. Dimensions with a large KL should change the picture smoothly, dimensions with a KL of zero not at all."
    )
    return Panel("Traversals of the dimensions with the largest KL", caption, strips=strips, wide=True)


def map_panel(subject: Subject) -> Panel | None:
    """Draw the codes of held-out rows as points in the plane, coloured by class if the rows have classes."""
    code, labels = subject.figures.measured.mean, subject.held_out.classes()
    if len(code) < 3:
        return None
    if not (np.abs(code) <= LARGEST).all():
        return Panel("Map of the codes", "", [NOT_DRAWN])
    if code.shape[1] == 1:
        return Panel("Map of the codes", account(subject).spread(), [charts.code_histogram(code[:, 0], "z")])
    plane, axes = project(code)
    keys: list[Key] = []
    groups = None
    cloud = "cloud" if subject.learned_prior else "round cloud"
    caption = f"Each point is a held-out example. Unless the data have clear clusters, the points form one {cloud}."
    if labels is not None:
        names, groups = np.unique(labels, return_inverse=True)
        if len(names) <= MOST_CLASSES:
            keys = [Key(str(name), *class_style(i)) for i, name in enumerate(names)]
            caption = "Each point is a held-out example. Classes that the codes tell apart form patches of one sign and colour."
        else:
            groups, caption = None, f"{caption} There are too many classes ({len(names)}) to mark them."
    shown = np.sort(np.random.default_rng(0).permutation(len(plane))[:MOST_POINTS])
    drawn = charts.latent_map(plane[shown], None if groups is None else groups[shown], axes)
    return Panel("Map of the codes", caption, [drawn], legend=keys)


def column_panels(subjects: list[Subject]) -> list[Panel]:
    """Draw two charts of each column: a histogram of held-out values and samples, and a scatter plot of reconstructions."""
    schema = subjects[0].run.schema
    rows = subjects[0].subset(TABLE_ROWS)
    scattered = replace(rows, index=rows.index[:: max(1, len(rows) // SCATTERED)])
    held_out, observed = (part.take(0, len(part)) for part in (rows, scattered))
    made = [(s.sample(rows), s.run.reconstruct(s.source(scattered))) for s in subjects]
    varying = [i for i in range(schema.shape[0]) if i not in schema.constant]
    return [
        Panel(
            schema.name(i),
            "",
            [charts.column(held_out[:, i], new[:, i], observed[:, i], back[:, i]) for new, back in made],
        )
        for i in varying[:MOST_COLUMNS]
    ]
