"""A score of unusual rows that joins two estimates of the density of blurred rows.

    s(x) = Σ_v (v(x) − median_v)/(median_v − q10_v)

The views v are log p(x) of a model of blurred rows, and log p_σ(x) of the blurred training rows themselves. Each has its
median and its 10 % quantile over training rows. The model sees how columns depend on each other; the rows themselves see what
the model has not learned. Neither is better for all tables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import Rows
from vaekit.data.tables.blur import BlurredRows
from vaekit.data.tables.cells import Layout
from vaekit.evaluation.bounds import measure
from vaekit.models import LatentModel

Array = npt.NDArray[np.float64]
VIEWS = 2
"""Number of views of a row."""
QUANTILE = 0.1
"""The quantile that is one unit below the median."""
MOST_SAMPLES = 1 << 20
"""Most draws K that a run folder may ask for."""
MOST_ROWS = 10_000
"""Most training rows whose blur is a view."""
BLOCK = 4096
"""Rows that are read at a time."""
MOST_MEASURED = 2_000
"""Most training rows that give the median and the unit of each view."""


@dataclass(frozen=True)
class OutlierScore:
    """Scores rows by two log-densities of them, in comparable units.

    Args:
        rows: slots of training rows, shape (n, S).
        centre: median of each view over training rows, shape (2,).
        width: unit of each view, > 0, shape (2,).
        scale: standard deviation σ of the blur.
        samples: number of draws K for log p(x).
    """

    rows: Tensor
    centre: Array
    width: Array
    scale: float
    samples: int

    @classmethod
    def fit(cls, model: LatentModel, train: Rows, scale: float, samples: int) -> OutlierScore:
        """Return the score for a model, with the units that training rows give.

        Args:
            model: a model of blurred rows of a mixed table.
            train: its training rows.
            scale: standard deviation σ of the blur.
            samples: number of draws K for log p(x).
        """
        some = Rows(train.part.subset(MOST_ROWS, train.seed), train.transform, train.seed)
        rows = some.tensor()[:, : layout_of(train).slots]
        start = cls(rows, np.zeros(VIEWS), np.ones(VIEWS), scale, samples)
        few = Rows(some.part.subset(MOST_MEASURED, train.seed), train.transform, train.seed)
        centre, low = np.quantile(start.views(model, few), [0.5, QUANTILE], axis=0)
        width = np.where(centre > low, centre - low, 1.0)
        return cls(rows, centre, width, scale, samples)

    def __call__(self, model: LatentModel, rows: Rows) -> Array:
        """Return the score of each row, shape (n,); unusual rows have low scores."""
        joined: Array = ((self.views(model, rows) - self.centre) / self.width).sum(1)
        return joined

    def views(self, model: LatentModel, rows: Rows) -> Array:
        """Return the two log-densities of each row in nats, shape (n, 2); that of the model is in the units of the data."""
        layout = layout_of(rows)
        blurred = BlurredRows(self.rows, layout, self.scale)
        own = [blurred.log_density(x[:, : layout.slots]) for x, _, _ in rows.blocks(BLOCK)]
        return np.stack([measure(model, rows, self.samples).score, torch.cat(own).numpy()], 1)


@dataclass(frozen=True)
class Detection:
    """Holds what a run needs in order to detect unusual rows.

    Args:
        score: the score of rows.
        calibration: scores of the rows held out for p-values, shape (m,); m may be 0.
        offset: rows with a lower score are outliers.
    """

    score: OutlierScore
    calibration: Array
    offset: float = -math.inf

    def tensors(self) -> dict[str, Tensor]:
        """Return the content as named tensors, for the run folder."""
        units = {"centre": self.score.centre, "width": self.score.width, "calibration": self.calibration}
        numbers = {"scale": self.score.scale, "offset": self.offset, "samples": float(self.score.samples)}
        return (
            {"rows": self.score.rows}
            | {name: torch.from_numpy(values) for name, values in units.items()}
            | {name: torch.tensor([value], dtype=torch.float64) for name, value in numbers.items()}
        )

    @classmethod
    def of_tensors(cls, found: Mapping[str, Tensor], slots: int) -> Detection:
        """Return a detection from the tensors of a run folder.

        Args:
            found: named tensors.
            slots: number of slots S of a row.

        Raises:
            KeyError: if a tensor is missing.
            ValueError: if a tensor has another shape or type, or numbers that are not finite.
        """
        rows, calibration = found["rows"], found["calibration"]
        shapes = {"centre": (VIEWS,), "width": (VIEWS,), "scale": (1,), "offset": (1,), "samples": (1,)}
        fits = all(found[name].shape == shape and found[name].dtype == torch.float64 for name, shape in shapes.items())
        fits &= rows.ndim == 2 and rows.shape[1] == slots and len(rows) > 0 and rows.dtype == torch.float32
        fits &= calibration.ndim == 1 and calibration.dtype == torch.float64
        if not fits:
            raise ValueError("tensors have wrong shapes or types")
        numbers = {name: found[name].numpy() for name in shapes}
        scale, samples, offset = (float(numbers[name][0]) for name in ("scale", "samples", "offset"))
        kept = (numbers["centre"], numbers["width"], calibration.numpy())
        if not (all(np.isfinite(each).all() for each in kept) and (numbers["width"] > 0).all()):
            raise ValueError("numbers are not finite, or a width is not positive")
        if not (0 < scale <= 1 and 1 <= samples <= MOST_SAMPLES and samples.is_integer()) or math.isnan(offset):
            raise ValueError("the scale, the number of draws or the offset is out of range")
        return cls(OutlierScore(rows, kept[0], kept[1], scale, int(samples)), kept[2], offset)


def layout_of(rows: Rows) -> Layout:
    """Return the layout of the cells of a mixed table's rows."""
    if rows.transform.cells is None:
        raise TypeError("only the rows of a mixed table have cells")
    return rows.transform.cells.layout
