"""A single type for opened rows from files, databases and memory, both before and after encoding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vaekit.data.tables.arrays import LABEL, Values, frame_of_array, numbers_of
from vaekit.data.tables.checks import check_names
from vaekit.data.tables.columns import Column
from vaekit.data.tables.frame import Frame, frame_of_table
from vaekit.errors import DataError

DEPTHS = (8, 10, 12, 14, 16)
"""Bit depths of cameras and scanners, which are stored in files of 8 or 16 bits."""


def levels_of(greatest: float) -> int:
    """Return the number of levels of pictures, judged from their greatest value.

    The bit depth is the smallest of `DEPTHS` that holds this value.

    Args:
        greatest: the greatest value, < 65,536.

    Examples:
        >>> levels_of(255), levels_of(256), levels_of(4000), levels_of(65535)
        (256, 1024, 4096, 65536)
    """
    return next(1 << bits for bits in DEPTHS if greatest < 1 << bits)


@dataclass(frozen=True)
class Source:
    """Holds rows opened from any source, with their labels, column names and other properties.

    Args:
        values: numbers, shape (n, *event); they may be memory-mapped. Pictures have shape (n, H, W, C), and a table has
            shape (n, 0) before it is encoded.
        labels: class of each row, shape (n,). Labels colour the report and can be given to the model.
        columns: names of the columns of a table.
        picture: whether the rows are pictures.
        levels: number of levels of the values if the source knows it, else 0.
        table: all columns of an encoded mixed table, with codes in `values` and `context`; or the context columns of
            other data.
        frame: the table as it was opened; None for arrays, pictures, and tables that were turned into one array.
        test: held-out rows, if the source has its own.
        validation: validation rows, if the source has its own.
        notes: sentences about how the rows were read, for `train` and `describe`.
        origin: where the rows come from: an absolute path, a name, an address, or `memory`.
        weights: weight of each row in training, > 0, shape (n,); 1 by default.
        context: encoded context (covariates) of each row, shape (n, ...).
    """

    values: Values
    labels: Values | None = None
    columns: tuple[str, ...] = ()
    picture: bool = False
    levels: int = 0
    table: tuple[Column, ...] = ()
    frame: Frame | None = None
    test: Source | None = None
    validation: Source | None = None
    notes: tuple[str, ...] = ()
    origin: str = "memory"
    weights: Values | None = None
    context: Values | None = None

    @classmethod
    def of_frame(cls, frame: Frame) -> Source:
        """Make a source from a table that is not yet encoded."""
        return cls(np.empty((frame.rows, 0)), frame=frame, notes=frame.notes)

    def as_frame(self, labels: bool = False) -> Frame:
        """Return the rows as a table; an array is converted to a table.

        Args:
            labels: whether to add the labels of an array as a column.

        Raises:
            DataError: for pictures.
        """
        if self.frame is not None:
            return self.frame
        return frame_of_array(self.values, self.columns, self.labels if labels else None)

    def as_numbers(self, without: Collection[str] = ()) -> Source:
        """Return a source with its table of numbers converted to one array.

        Args:
            without: columns of the table to leave out.

        Raises:
            DataError: if a column of the table does not hold numbers, or a cell is empty.
        """
        if self.frame is None:
            return self
        names = [name for name in self.frame.names if name not in without]
        kept = self.frame.in_order(names) if without else self.frame
        return replace(self, values=numbers_of(kept), columns=kept.names if kept.named else (), frame=None)

    def context_frame(self, names: Sequence[str]) -> Frame:
        """Return the context columns of a table, or the labels of pictures and arrays, as a table.

        Raises:
            DataError: if they are missing.
        """
        if self.frame is not None:
            return self.frame.in_order(names)
        if list(names) != [LABEL]:
            raise DataError(f"data.context must be ['{LABEL}'] for pictures and arrays", str(list(names)))
        if self.labels is None:
            raise DataError(
                f"The model is conditional on labels (data.context), but the {len(self.values)} rows have no labels",
                mend="Pass an .npz file with `labels`, a folder of IDX files, a folder with a sub-folder for each class, or a vaekit.data.Source",
            )
        return frame_of_table(pa.table({LABEL: pa.array(self.labels)}))

    def in_order(self, columns: tuple[str, ...]) -> Source:
        """Return the rows with only the given columns, in the given order.

        Raises:
            DataError: if one of the columns is missing.
        """
        if not columns or not self.columns or columns == self.columns:
            return self
        check_names(self.columns, columns)
        values = self.values[:, [self.columns.index(name) for name in columns]]
        return replace(self, values=values, columns=columns)

    def drawn_as(self, shape: tuple[int, ...], levels: int) -> Source:
        """Convert pictures to the number of channels and the levels of the training pictures.

        Args:
            shape: shape of a training picture, (H, W, C).
            levels: number of levels in training, 2 for zeros and ones, 0 if it is unknown.

        Raises:
            DataError: if these pictures have 8 bits and the training pictures 16, or the reverse.
        """
        if not self.picture or len(shape) != 3:
            return self
        values, depth = self.values, self.levels
        values = values[..., None] if values.shape[1:] == shape[:-1] else values
        if shape[-1] == 3 and values.shape[1:] == (*shape[:-1], 1):
            values = np.broadcast_to(values, (len(values), *shape))
        if depth in (2, 256) and levels > 256:
            raise DataError(f"pictures must have 16 bits, as in training ({levels} levels)", "8 bits")
        if depth > 256 and levels == 256:
            raise DataError("pictures must have 8 bits, as in training", "16 bits")
        if depth == 2 and levels > 2:
            values, depth = values * np.uint8(levels - 1), levels
        elif depth == 256 and levels == 2 and all(((row == 0) | (row == 255)).all() for row in values):
            values, depth = values // np.uint8(255), 2
        return replace(self, values=values, levels=depth)

    def weighted(self, weights: npt.ArrayLike) -> Source:
        """Attach training weights to the rows, and drop rows of weight 0.

        Args:
            weights: weight of each row, ≥ 0, shape (n,).

        Raises:
            DataError: if there is not one weight for each row, or all weights are 0.
        """
        given = np.ma.filled(np.ma.asarray(weights, dtype=np.float64), np.nan)
        if given.shape != (len(self.values),):
            raise DataError(
                f"the weights must be one number for each of the {len(self.values)} rows", f"shape {given.shape}"
            )
        if not (np.isfinite(given) & (given >= 0)).all():
            raise DataError("weights must be finite and not negative", f"{given[~(given >= 0)][:1]}")
        kept = given > 0
        if not kept.any():
            raise DataError("at least one weight must be above 0", f"{len(given)} zeros")
        labels, context = (None if beside is None else beside[kept] for beside in (self.labels, self.context))
        return replace(self, values=self.values[kept], labels=labels, weights=given[kept], context=context)
