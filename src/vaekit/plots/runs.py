"""Draw the figures of a run on matplotlib axes. Each function returns what the axes show, as a text.

The functions draw in the colours of matplotlib's present style.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.plots.colours import CLASSES, COLOURS, FIRST, SECOND, THIRD, ink
from vaekit.plots.numbers import nats, significant

Array = npt.NDArray[Any]

MARKERS = {"●": "o", "■": "s", "▲": "^", "◆": "D", "▼": "v", "✚": "P", "★": "*", "✖": "X", "◀": "<", "▶": ">"}
"""The marker of a class in the legend, and its name in matplotlib."""


def class_style(index: int) -> tuple[str, int]:
    """Return the marker and the colour number of a class in charts and legends."""
    return list(MARKERS)[index % len(MARKERS)], index % COLOURS


def curves(ax: Any, epochs: Array, train: Array, held_out: Array, best: int | None, label: str) -> str:
    """Draw one metric against epochs, with a curve for training rows and a curve for held-out rows.

    Args:
        ax: the axes to paint on.
        epochs: shape (n,).
        train: shape (n,).
        held_out: shape (n,), NaN where there are no held-out rows.
        best: the index of the epoch with the kept weights; None if the last weights were kept.
        label: the name of the figure, with its unit.
    """
    marker = "o" if len(epochs) < 3 else None  # one point makes no line
    ax.plot(epochs, train, color=SECOND, linestyle=(0, (4, 2)), marker=marker, label="training rows")
    if np.isfinite(held_out).any():
        ax.plot(epochs, held_out, color=FIRST, marker=marker, label="held-out rows (validation)")
    if best is not None:
        ax.plot(epochs[best], held_out[best], "o", color=FIRST, markersize=8, label="weights kept")
    _frame(ax, train, held_out)
    ax.set(xlabel="epoch", ylabel=label)
    _legend_above(ax)
    return f"{label} against epochs, from {significant(train[0])} to {significant(train[-1])} on training rows"


def _legend_above(ax: Any) -> None:
    """Put the legend above the frame, where it hides nothing."""
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0, columnspacing=1)


def _frame(ax: Any, *lines: Array) -> None:
    """Limit the vertical axis to the range of later epochs if a steep start would flatten the curves."""
    values, later = np.concatenate(lines), np.concatenate([line[len(line) // 5 :] for line in lines])
    if np.isnan(later).all():
        return
    low, high = np.nanmin(later), np.nanmax(later)
    if np.nanmax(values) - np.nanmin(values) > 3 * (high - low) > 0:
        margin = 0.15 * (high - low)
        ax.set_ylim(low - margin, high + margin)


def ladder(
    ax: Any, values: dict[str, float], errors: dict[str, float], write: Callable[[float], str], label: str
) -> str:
    """Draw several numbers as labelled dots on a common axis, one below the other.

    Args:
        ax: the axes to paint on.
        values: the figures by name.
        errors: standard errors by name, for the figures that have one.
        write: turns a value into text.
        label: the label of the axis, with its unit.
    """
    rows, bars = np.arange(len(values))[::-1], [errors.get(name, 0.0) for name in values]
    ax.errorbar(list(values.values()), rows, xerr=bars, fmt="o", color=FIRST, markersize=8, capsize=4, linestyle="none")
    for row, value in zip(rows, values.values(), strict=True):
        ax.annotate(write(value), (value, row), xytext=(0, 7), textcoords="offset points", ha="center")
    ax.set(yticks=rows, yticklabels=list(values), ylim=(-0.6, len(values) - 0.2), xlabel=label)
    ax.margins(x=0.2)
    ax.locator_params(axis="x", nbins=5)  # long numbers need room
    return "; ".join(f"{name} {write(value)}" for name, value in values.items())


def kl_bars(ax: Any, kl: Array, active: Array) -> str:
    """Draw the KL of each latent dimension as a bar, the largest first; active dimensions have filled bars.

    Args:
        ax: the axes to paint on.
        kl: nats, shape (latent_dim,).
        active: whether each dimension is active, shape (latent_dim,).
    """
    order = np.argsort(-kl, kind="stable")
    positions = np.arange(len(kl))
    for chosen, style, label in (
        (active[order], {"color": FIRST}, "active"),
        (~active[order], {"facecolor": "none", "edgecolor": ink(), "hatch": "////"}, "not active"),
    ):
        if chosen.any():
            ax.bar(positions[chosen], kl[order][chosen], label=label, **style)
    if len(kl) <= 20:
        ax.set_xticks(positions, [str(j) for j in order])
    ax.grid(axis="x", visible=False)
    ax.set(xlabel="latent dimension" + (" j" if len(kl) <= 20 else ", sorted"), ylabel="KL in nats")
    _legend_above(ax)
    return f"KL of {len(kl)} latent dimensions, the largest {nats(kl[order[0]])} nats"


def rate_parts(ax: Any, information: float, marginal: float, rate: float, ceiling: float) -> str:
    """Draw the rate and its two parts, with the ceiling of the mutual information.

    Args:
        ax: the axes to paint on.
        information: I_q(x; z).
        marginal: KL(q(z) ‖ p(z)).
        rate: their sum.
        ceiling: log N, the largest mutual information that N rows can show.
    """
    values = [rate, information, marginal]
    names = ["rate", "mutual information", "marginal KL"]
    ax.barh([2, 1, 0], values, left=[0, 0, information], color=[ink(), FIRST, SECOND], height=0.6)
    ax.plot([ceiling, ceiling], [0.6, 1.4], color=THIRD, linewidth=4)
    ax.annotate(f"log N = {nats(ceiling)}", (ceiling, 1), xytext=(6, 0), textcoords="offset points", va="center")
    labels = [f"{name}\n{nats(value)}" for name, value in zip(names, values, strict=True)]
    ax.set(yticks=[2, 1, 0], yticklabels=labels, xlabel="nats per example")
    ax.set_xlim(right=max(1.1 * rate, 1.5 * ceiling))
    ax.grid(axis="y", visible=False)
    return f"rate {nats(rate)}, mutual information {nats(information)}, marginal KL {nats(marginal)}"


def latent_map(
    ax: Any, points: Array, classes: Array | None, labels: tuple[str, str], names: Sequence[str] = ()
) -> str:
    """Draw two-dimensional codes as points, with a marker and a colour for each class.

    Args:
        ax: the axes to paint on.
        points: shape (n, 2).
        classes: the class of each point, numbered from 0; None if unknown.
        labels: the labels of the two axes.
        names: names of the classes, for a legend.
    """
    groups = np.zeros(len(points), dtype=int) if classes is None else classes
    for group in np.unique(groups):
        sign, colour = class_style(int(group))
        chosen = points[groups == group]
        ax.plot(
            *chosen.T,
            MARKERS[sign],
            color=f"C{CLASSES + colour}",
            markersize=5,
            markeredgewidth=0,
            alpha=0.8,
            label=names[int(group)] if names else None,
        )
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return f"{len(points)} latent means, {labels[0]} against {labels[1]}"


def code_histogram(ax: Any, codes: Array, label: str) -> str:
    """Draw a histogram of one-dimensional codes.

    Args:
        ax: the axes to paint on.
        codes: shape (n,).
        label: the label of the axis.
    """
    ax.hist(codes, bins=30, color=FIRST)
    ax.set(xlabel=label, ylabel="rows")
    return f"histogram of {len(codes)} codes from {codes.min():.3g} to {codes.max():.3g}"


def column(axes: Any, held_out: Array, sampled: Array, observed: Array, reconstructed: Array) -> str:
    """Draw a histogram of a column's held-out values and samples, and a scatter plot of its reconstructions.

    Args:
        axes: the two axes to paint on.
        held_out: values, shape (n,).
        sampled: values, shape (m,).
        observed: values, shape (k,).
        reconstructed: the same values after reconstruction, shape (k,).
    """
    left, right = axes
    bins = _bins(held_out, sampled)
    inside = np.clip(sampled, bins[0], bins[-1])  # the outermost bins count the few samples beyond them
    left.hist(held_out, bins=bins, density=True, color=FIRST, alpha=0.55, label="held out")
    left.hist(inside, bins=bins, density=True, histtype="step", color=SECOND, linewidth=2, label="samples")
    left.set(xlabel="value", yticks=[])
    left.margins(y=0.45)
    left.legend(loc="upper center", ncols=2, handlelength=1, columnspacing=1, handletextpad=0.5, borderpad=0)
    both = [observed.min(), observed.max()]
    right.plot(both, both, color=ink(), linewidth=1, linestyle="--")
    right.plot(observed, reconstructed, "o", color=FIRST, markersize=3, markeredgewidth=0, alpha=0.7)
    right.set(xlabel="observed", ylabel="reconstructed")
    for ax in axes:
        ax.locator_params(axis="x", nbins=4)
    return f"held-out mean {held_out.mean():.3g}, mean of samples {sampled.mean():.3g}"


def _bins(held_out: Array, sampled: Array) -> Array:
    """Choose common bin edges for held-out values and samples: one bin per integer if there are few, else 30 bins."""
    integer = held_out.dtype.kind in "ui" or bool((held_out == np.floor(held_out)).all())
    low, high = np.quantile(np.concatenate([held_out, sampled]).astype(np.float64), [0.001, 0.999])
    low, high = min(low, float(held_out.min())), max(high, float(held_out.max()))
    if integer and high - low <= 30:
        return np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return np.linspace(low, high if high > low else low + 1.0, 31)


def project(code: Array) -> tuple[Array, tuple[str, str]]:
    """Project codes onto their first two principal components.

    Args:
        code: shape (n, d), d ≥ 2. Codes with d = 2 stay as they are.

    Returns:
        The points, shape (n, 2), and the labels of both axes.
    """
    if code.shape[1] == 2:
        return code, ("z, dimension 0", "z, dimension 1")
    centred = code - code.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes = axes[:2] * np.sign(axes[:2][np.arange(2), np.abs(axes[:2]).argmax(1)])[:, None]  # fix the arbitrary sign
    shares = 100 * singular[:2] ** 2 / max(float((singular**2).sum()), 1e-300)
    labels = [f"principal component {i + 1} ({share:.0f} %)" for i, share in enumerate(shares)]
    return centred @ axes.T, (labels[0], labels[1])
