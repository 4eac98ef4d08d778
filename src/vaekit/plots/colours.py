"""The colours of figures: those of matplotlib's present style, by their numbers."""

from __future__ import annotations

import matplotlib as mpl

FIRST, SECOND, THIRD = "C0", "C1", "C2"
CLASSES, COLOURS = 3, 8
"""Number of the first colour for classes, and how many there are."""


def ink() -> str:
    """Return the colour of text and thin lines."""
    return str(mpl.rcParams["text.color"])
