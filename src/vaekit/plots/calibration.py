"""Draw the figures of calibration on matplotlib axes. Each function returns what the axes show, as a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.plots.colours import FIRST, SECOND, ink
from vaekit.plots.numbers import percent

Array = npt.NDArray[Any]


def coverage(ax: Any, names: Sequence[str], levels: Array, own: Array, returned: Array, errors: Array) -> str:
    """Draw shares of true values that intervals hold as dots, beside lines at their levels.

    Args:
        ax: the axes to paint on.
        names: what each row of dots is of, m of them.
        levels: the levels, shape (l,).
        own: shares that the model's own intervals hold, shape (m, l).
        returned: shares that recalibrated intervals hold, shape (m, l).
        errors: standard errors of these, shape (m, l).
    """
    rows = np.arange(len(names))[::-1]
    for level in levels:
        ax.axvline(level, color=ink(), linewidth=1, linestyle="--")
    for i, row in enumerate(rows):
        label = "model's own", "returned"
        shown = label if not i else ("_", "_")
        ax.plot(own[i], np.full(len(levels), row + 0.16), "o", markerfacecolor="none", color=SECOND, label=shown[0])
        ax.errorbar(
            returned[i],
            np.full(len(levels), row - 0.16),
            xerr=2 * errors[i],
            fmt="o",
            capsize=3,
            color=FIRST,
            label=shown[1],
        )
    ax.set(yticks=rows, yticklabels=names, ylim=(-0.6, len(names) - 0.4), xlim=(0.3, 1.04), xlabel="share inside")
    ax.set_xticks(levels, [f"{100 * level:g} %" for level in levels])
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderpad=0, columnspacing=1)
    parts = (f"{name} {percent(share[1])} at 90 %" for name, share in zip(names, returned, strict=True))
    return "; ".join(parts)


def positions(ax: Any, counts: Array, lower: Array, upper: Array) -> str:
    """Draw how the distribution function of positions differs from that of uniform numbers, with its simultaneous band.

    Args:
        ax: the axes to paint on.
        counts: positions in each of b equal bins, shape (b,).
        lower: the band of the cumulative counts at the inner edges, shape (b − 1,).
        upper: its upper end.
    """
    n, edges = counts.sum(), np.linspace(0, 1, len(counts) + 1)
    low, high = (np.concatenate([[0], end / n, [1]]) - edges for end in (lower, upper))
    reached = np.append(0, counts.cumsum()) / n - edges
    ax.fill_between(edges, low, high, color=FIRST, alpha=0.25, linewidth=0, label="99 % of right models")
    ax.plot(edges, reached, color=SECOND, marker="o", markersize=3)
    ax.axhline(0, color=ink(), linewidth=1)
    most = 1.15 * max(np.abs(reached).max(), high.max(), -low.min())
    ax.set(xlim=(0, 1), ylim=(-most, most), xlabel="position u of the truth", ylabel="share − u")
    return f"{n} positions, off by {np.abs(reached).max():.2f} at most"


def reliability(ax: Any, confidence: Array, accuracy: Array, counts: Array) -> str:
    """Draw how often the most probable category is true against its probability.

    Args:
        ax: the axes to paint on.
        confidence: mean probabilities of bins, shape (b,).
        accuracy: shares of true categories, shape (b,).
        counts: cells in each bin, shape (b,).
    """
    error = np.sqrt(np.clip(confidence * (1 - confidence), 1e-4, None) / counts)
    ax.plot([0, 1], [0, 1], color=ink(), linewidth=1, linestyle="--")
    ax.errorbar(confidence, accuracy, yerr=2 * error, fmt="o", capsize=3, color=FIRST)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="probability of the likeliest category", ylabel="share that is true")
    return f"{counts.sum()} cells in {len(counts)} bins of probability"
