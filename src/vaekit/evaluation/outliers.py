"""A score of unusual rows that joins three views of a row: two densities of blurred rows and an error.

    s(x) = −Σ_v (v(x) − median_v)/(q90_v − median_v)

The views v are −log p(x) of a model of blurred rows, −log p_σ(x) of the blurred training rows themselves, and the squared error
of the reconstruction. Each has its median and its 90 % quantile over training rows. No view is best for all tables.
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
from vaekit.evaluation.bounds import block_rows, evaluating, first_row, measure, widest
from vaekit.models import LatentModel

Array = npt.NDArray[np.float64]
VIEWS = 3
"""Number of views of a row."""
QUANTILE = 0.9
"""The quantile that is one unit above the median."""
MOST_SAMPLES = 1 << 20
"""Most draws K that a run folder may ask for."""
MOST_ROWS = 10_000
"""Most training rows whose blur is a view."""
MOST_MEASURED = 2_000
"""Most training rows that give the median and the unit of each view."""


@dataclass(frozen=True)
class OutlierScore:
    """Scores rows by three views of them, in comparable units.

    Args:
        rows: slots of training rows, shape (n, S).
        centre: median of each view over training rows, shape (3,).
        width: unit of each view, > 0, shape (3,).
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
        centre, high = np.quantile(start.views(model, few), [0.5, QUANTILE], axis=0)
        width = np.where(high > centre, high - centre, 1.0)
        return cls(rows, centre, width, scale, samples)

    def __call__(self, model: LatentModel, rows: Rows) -> Array:
        """Return the score of each row, shape (n,); unusual rows have low scores."""
        units: Array = (self.views(model, rows) - self.centre) / self.width
        return -units.sum(1)

    def views(self, model: LatentModel, rows: Rows) -> Array:
        """Return the three views of each row, shape (n, 3)."""
        layout, width = layout_of(rows), widest(model, *first_row(rows))
        blurred, errors, densities = BlurredRows(self.rows, layout, self.scale), [], []
        with evaluating(model) as device:
            for x, _, context in rows.blocks(block_rows(width)):
                at = model.given(None if context is None else context.to(device))
                typical = at.decode(at.encode(x.to(device))).cpu()
                errors.append(squared_error(x, typical, layout).numpy())
                densities.append(blurred.log_density(x[:, : layout.slots]).numpy())
        density = measure(model, rows, self.samples).score
        return np.stack([-density, -np.concatenate(densities), np.concatenate(errors)], 1)


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


def squared_error(x: Tensor, typical: Tensor, layout: Layout) -> Tensor:
    """Return the squared error of each row's observed numbers, in standard deviations, plus its number of wrong categories.

    Args:
        x: slots and measures, shape (B, 2S).
        typical: slots of the reconstruction, shape (B, S).
        layout: the K categories and R scores of a row.

    Returns:
        Shape (B,), double precision.
    """
    count, given, typical = len(layout.sizes), x[:, : layout.slots].double(), typical.double()
    wrong = (given[:, :count] != typical[:, :count]) & ~given[:, :count].isnan()
    errors = (given[:, count:] - typical[:, count:]).square().nan_to_num(0.0)
    return errors.sum(1) + wrong.sum(1)


def layout_of(rows: Rows) -> Layout:
    """Return the layout of the cells of a mixed table's rows."""
    if rows.transform.cells is None:
        raise TypeError("only the rows of a mixed table have cells")
    return rows.transform.cells.layout
