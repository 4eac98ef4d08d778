"""Pictures whose factors of variation are known."""

from __future__ import annotations

import itertools

import numpy as np

SIDE, PLACES, SIZES = 16, 11, (2, 4, 6)


def squares():
    """A white square on black at every place in every size, once each, and what was drawn.

    Returns:
        Pictures, shape (363, 16, 16), 0 or 255, and their factors, shape (363, 3): left edge, upper edge (0 to 10) and
        size (0 to 2), all independent.
    """
    factors = np.array(list(itertools.product(range(PLACES), range(PLACES), range(len(SIZES)))))
    pictures = np.zeros((len(factors), SIDE, SIDE), dtype=np.uint8)
    for picture, (x, y, size) in zip(pictures, factors, strict=True):
        picture[y : y + SIZES[size], x : x + SIZES[size]] = 255
    return pictures, factors
