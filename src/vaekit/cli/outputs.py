"""Write rows to a file, in the format given by its ending."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from vaekit.data import Schema
from vaekit.data.tables.types import value_type
from vaekit.errors import DataError, RunError, VaekitError, did_you_mean, shorten
from vaekit.files import atomic_folder, atomic_path
from vaekit.pictures import Scale, tile
from vaekit.runs.verbs import Content, as_table

ENDINGS = (".npy", ".npz", ".csv", ".parquet", ".png")
TABLE_ENDINGS = (".csv", ".parquet")
MOST_ON_A_SHEET = 400
CSV_BLOCK = 1 << 14
"""How many rows of a CSV file are formatted at once."""

Array = npt.NDArray[Any]


def check_out(out: Path, schema: Schema, content: Content) -> None:
    """Refuse an output path that does not suit the content.

    Args:
        out: the file or folder to write.
        schema: description of the data; only pictures can become PNG files.
        content: the content of the file.

    Raises:
        VaekitError: for an unknown ending, or for PNG files of rows that are not pictures.
    """
    ending = out.suffix.lower()
    if ending and ending not in ENDINGS:
        must = f"--out must end in {', '.join(ENDINGS)}, or name a folder"
        raise VaekitError(must, f"'{out}'", did_you_mean(ending, ENDINGS))
    if content == "table" and ending not in TABLE_ENDINGS:
        raise VaekitError(f"--out must end in {' or '.join(TABLE_ENDINGS)} for a mixed table", f"'{out}'")
    if ending in ("", ".png"):
        _check_pictures(out, schema.shape if schema.picture and content == "data" else ())
        if not ending:
            _check_folder(out)
    if out.is_dir() and ending:
        raise RunError(f"--out is the folder '{out}'", mend="Choose a file")


def _check_pictures(out: Path, shape: tuple[int, ...]) -> None:
    if not shape:
        raise VaekitError("--out must end in .npy, .npz, .csv or .parquet unless pictures are written", f"'{out}'")
    if shape[-1] not in (1, 3, 4):
        raise VaekitError(
            f"Pictures with {shape[-1]} channels cannot be written to '{out}': PNG files have 1, 3 or 4 channels",
            mend="Choose a .npy file",
        )


def _check_folder(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"'{out}' holds other files already", mend="Choose a new or empty folder")


def write_rows(out: Path, values: Array, schema: Schema, name: str) -> None:
    """Write rows to a file, in the format given by its ending.

    Args:
        out: a file ending in one of `ENDINGS`, or a folder for PNG files.
        values: shape (n, ...).
        schema: description of the data, for names of columns and levels of pictures.
        name: name of the columns (`z0`, `z1`, …) if the schema has no names for them.

    Raises:
        VaekitError: if `out` is for pictures, but the values are not pictures.
    """
    ending = out.suffix.lower()
    if ending in ("", ".png"):
        _check_pictures(out, values.shape[1:] if schema.picture and values.shape[1:] == schema.shape else ())
        if (
            not ending and schema.levels > 256 and values.shape[-1] == 1
        ):  # only grey PNG files have more than 256 levels
            return _write_pictures(out, np.round(values).clip(0, schema.levels - 1).astype(np.uint16))
        return _write_pictures(out, Scale.of(values, schema.levels).bytes(values))
    if ending in TABLE_ENDINGS:
        write_tables(out, [as_table(values, schema, name)])
        return None
    with atomic_path(out) as temporary, temporary.open("wb") as file:
        if ending == ".npy":
            np.save(file, values, allow_pickle=False)
        else:
            np.savez_compressed(file, **{name: values})  # type: ignore[arg-type]
    return None


def write_tables(out: Path, tables: Iterable[Any]) -> int:
    """Write Arrow tables, one after the other, to a single CSV or Parquet file.

    Args:
        out: a file ending in `.csv` or `.parquet`.
        tables: Arrow tables with the same columns.

    Returns:
        Number of rows written.
    """
    rows, writer = 0, None
    with atomic_path(out) as temporary, contextlib.ExitStack() as stack:
        for table in tables:
            if writer is None:
                kind = CSVWriter if out.suffix.lower() == ".csv" else pyarrow.parquet.ParquetWriter
                writer, schema = stack.enter_context(kind(temporary, table.schema)), table.schema
            try:
                writer.write_table(table.cast(schema))
            except pa.ArrowInvalid as error:
                told = f"The type of a column changes between rows: {shorten(str(error))}"
                raise DataError(told, mend="Make sure that all cells of the column have the same type") from error
            rows += len(table)
        stack.close()  # closes the file before it is renamed
    return rows


class CSVWriter:
    """A writer of Arrow tables to one CSV file, with quotes only where they are needed.

    A missing cell and an empty text are both written as an empty cell; in a table of one column as `""`.

    Args:
        path: the file to make.
        schema: the columns of the tables.

    Raises:
        VaekitError: for columns of lists or bytes, which CSV cannot hold.
    """

    def __init__(self, path: Path, schema: Any) -> None:
        for field in schema:
            kind = value_type(field.type)
            if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                told = f"Column '{field.name:.200}' of type {kind!s:.80} cannot be written as CSV"
                raise VaekitError(told, mend="Choose a .parquet file")
        self._file = path.open("wb")
        self._write([pa.array([name], pa.large_string()) for name in schema.names])

    def __enter__(self) -> CSVWriter:
        return self

    def __exit__(self, *stop: object) -> None:
        self._file.close()

    def write_table(self, table: Any) -> None:
        """Append an Arrow table with the schema's columns to the CSV file."""
        for batch in table.to_batches(CSV_BLOCK):
            self._write([_as_text(column) for column in batch.columns])

    def _write(self, columns: list[Any]) -> None:
        cells = [_quoted(column) for column in columns]
        if len(cells) == 1:  # readers skip an empty line
            cells = [pc.if_else(pc.equal(cells[0], ""), pa.scalar('""', pa.large_string()), cells[0])]
        lines = pc.binary_join_element_wise(*cells, pa.scalar(",", pa.large_string()))
        self._file.write("".join(f"{line}\n" for line in lines.to_pylist()).encode())


def _as_text(column: Any) -> Any:
    """Return the cells of an Arrow array as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column.cast(pa.string()).cast(pa.large_string())  # large_string, as a line may be long


def _quoted(text: Any) -> Any:
    """Format texts as cells of a CSV file: empty if missing, quoted if they hold quotes, commas or line ends."""
    text = pc.fill_null(text, "")
    special = pc.match_substring_regex(text, '[",\r\n]')
    if not pc.any(special).as_py():
        return text
    mark, nothing = pa.scalar('"', text.type), pa.scalar("", text.type)
    quoted = pc.binary_join_element_wise(mark, pc.replace_substring(text, '"', '""'), mark, nothing)
    return pc.if_else(special, quoted, text)


def _write_pictures(out: Path, pictures: Array) -> None:
    from PIL import Image

    def squeezed(picture: Array) -> Array:
        return picture[..., 0] if picture.shape[-1] == 1 else picture

    if out.suffix:
        shown, zoom = pictures[:MOST_ON_A_SHEET], max(1, 32 // max(pictures.shape[1:3]))
        sheet = tile(shown, math.ceil(math.sqrt(len(shown))), zoom, gap=2, border=2, background=255)
        with atomic_path(out) as temporary:
            Image.fromarray(squeezed(sheet)).save(temporary)
        return
    _check_folder(out)
    digits = len(str(len(pictures) - 1))
    with atomic_folder(out) as temporary:
        for i, picture in enumerate(pictures):
            Image.fromarray(squeezed(picture)).save(temporary / f"{i:0{digits}d}.png")
