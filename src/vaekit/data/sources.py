"""Where data come from: one opener for each form of source, chosen by what is found on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vaekit.data import arrays, idx
from vaekit.data.columns import Column
from vaekit.data.frame import Frame, frame_of_table
from vaekit.data.source import Progress, Source
from vaekit.data.written import MISSING
from vaekit.errors import DataError, did_you_mean


@dataclass(frozen=True)
class TextForm:
    """How a text file is read.

    Args:
        header: whether its first line names the columns; by default it is looked at.
        marks: words for a missing cell.
        known: what its columns are, where a run knows; its cells are then left as they are written.
    """

    header: bool | None = None
    marks: tuple[str, ...] = MISSING
    known: tuple[Column, ...] = ()

    def open(self, path: Path) -> Frame:
        """Open a CSV file."""
        from vaekit.data import csv  # pyarrow is slow to import

        if self.known:
            return csv.open_written(path, self.known, self.header, self.marks)
        return csv.open_csv(path, self.header, self.marks)


def open_source(
    source: object,
    size: tuple[int, int] | None = None,
    progress: Progress | None = None,
    query: str = "",
    text: TextForm = TextForm(),
) -> Source | Frame:
    """Open data by name, path or value.

    Args:
        source: `digits`; the path of a `.npy`, `.npz`, `.csv` or `.parquet` file, of a folder of IDX files or of
            pictures; the address of a database; an array; a data frame; or a `Source` or `Frame`.
        size: (H, W) to which pictures in a folder are brought; by default they must all be of one size.
        progress: told how many pictures are decoded.
        query: the SQL query whose rows are wanted, where the source is a database.
        text: how text files are read.

    Returns:
        The opened source; tables as frames, whose columns may be of any type.

    Raises:
        DataError: if it is missing, empty, damaged, of an unknown form, or of a type that holds no numbers.

    Examples:
        >>> open_source("digits").values.shape
        (1797, 8, 8, 1)
    """
    from vaekit.data import database, tables  # pyarrow is slow to import

    if isinstance(source, Source | Frame):
        return source
    if not isinstance(source, str | Path):
        return tables.open_frame(source) or arrays.from_object(source)
    if not str(source).strip():
        raise DataError(
            "a source must be named", "an empty name", "Give 'digits', a file or a folder ('.' is this one)"
        )
    if str(source) == "digits":
        return digits()
    if database.is_database(str(source)):
        address = database.without_password(str(source))
        return replace(frame_of_table(database.read_query(str(source), query)), origin=address)
    if query:
        raise DataError(
            "data.query must go with a database", f"the source '{source}'", "Name postgresql://… or sqlite:///…"
        )
    try:
        path = Path(source).expanduser().resolve()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # too long a name, an unknown user
        raise DataError("the source must be a path", f"'{source}': {error}") from error
    if not exists:
        raise DataError("the source must exist", f"'{source}'", _nearby(path))
    found = _open_folder(path, size, progress) if path.is_dir() else _open_file(path, text)
    if isinstance(found, Source) and not len(found.values):
        raise DataError("the source must hold examples", f"none in '{source}'")
    return replace(found, origin=str(path))


def _nearby(path: Path) -> str:
    known = ["digits", *(p.name for p in path.parent.iterdir())] if path.parent.is_dir() else ["digits"]
    hint = did_you_mean(path.name, known)
    return hint if hint.startswith("Did") else "Give 'digits', a .npy, .npz, .csv or .parquet file, or a folder"


def digits() -> Source:
    """The 1,797 handwritten digits of 8×8 pixels and 17 levels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source(bunch.images.astype(np.uint8)[..., None], bunch.target, picture=True, levels=17, origin="digits")


def _open_file(path: Path, text: TextForm) -> Source | Frame:
    from vaekit.data import tables  # pyarrow is slow to import

    openers: dict[str, Callable[[Path], Source | Frame]] = {
        ".npy": arrays.open_npy,
        ".npz": arrays.open_npz,
        **dict.fromkeys((".csv", ".tsv", ".csv.gz", ".tsv.gz"), text.open),
        ".parquet": tables.open_parquet,
    }
    ending = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    if ending not in openers:
        raise DataError(
            f"a file must end in one of {', '.join(openers)}",
            f"'{path.name}'",
            "A folder may hold IDX files or pictures",
        )
    if path.stat().st_size == 0:
        raise DataError("the source must hold examples", f"an empty file, '{path}'")
    return openers[ending](path)


def _open_folder(path: Path, size: tuple[int, int] | None, progress: Progress | None) -> Source:
    from vaekit.data import pictures

    if idx.is_idx_folder(path):
        return idx.open_idx(path)
    parts = {name: path / name for name in ("train", "test") if (path / name).is_dir()}
    if len(parts) == 2:
        train, test = (pictures.open_pictures(folder, size, progress) for folder in parts.values())
        return replace(train, test=test)
    return pictures.open_pictures(path, size, progress)
