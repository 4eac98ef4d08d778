"""The opening of data from a name, a path, an address or an object, with the right reader."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vaekit.data.options import DEFAULTS, DataOptions
from vaekit.data.readers import arrays, idx
from vaekit.data.readers.addresses import is_database, without_password
from vaekit.data.readers.shards import Shard, TypedShard, as_shards
from vaekit.data.readers.stored import (
    PACKED_TAR,
    UNPACK,
    StoredFile,
    file_type,
    file_types,
    find_files,
    is_hidden,
    is_pattern,
)
from vaekit.data.source import Source
from vaekit.data.tables.columns import Column
from vaekit.data.tables.frame import Frame, frame_of_table
from vaekit.errors import DataError, did_you_mean

DIGITS = "digits"
"""The name of the handwritten digits, also beside a file or folder of this name."""


def open_source(
    source: object,
    options: DataOptions = DEFAULTS,
    known: tuple[Column, ...] = (),
) -> Source:
    """Open data from a name, a path, the address of a database, or an object in memory.

    Args:
        source: `digits`; the path of a `.npy`, `.npz`, `.csv`, `.parquet`, `.arrow` or `.tar` file, of a picture, or of a folder
            of tables, tars, pictures or IDX files; a pattern of tables or tars, such as `folder/*.parquet`; an address of
            tables or tars, such as `s3://bucket/folder`, or of a database; an array, which may be masked or sparse; a data
            frame; a list of dictionaries or a dictionary of columns; or a `Source` or `Frame`.
        options: how files are read: size of pictures, header and missing cells of text, query of a database.
        known: the columns of a text file if they are known; its cells then stay text.

    Returns:
        The rows. A table is not encoded yet, because its columns may have any type.

    Raises:
        DataError: if the source is missing, empty, damaged, of an unknown form, or of a type that does not hold numbers.

    Examples:
        >>> open_source("digits").values.shape
        (1797, 8, 8, 1)
    """
    if not isinstance(source, str | Path):
        return _open_object(source)
    if not str(source).strip():
        fault = "The name of the source is empty"
        raise DataError(fault, mend="Pass 'digits', a file or a folder ('.' is the current folder)")
    if str(source) == DIGITS:
        return digits()
    if is_database(str(source)):
        from vaekit.data.readers import database  # slow to import

        answer = frame_of_table(database.read_query(str(source), options.query))
        return replace(Source.of_frame(answer), origin=without_password(str(source)))
    if "://" in str(source):
        return replace(open_stored(find_source(str(source)), options, known), origin=str(source))
    try:
        path = Path(source).expanduser().resolve()
        exists = path.exists()
    except (OSError, RuntimeError) as error:  # the name is too long, or the user unknown
        raise DataError("the source must be a path", f"'{source}' ({error})") from error
    if not exists and not is_pattern(str(source)):
        raise DataError(f"The source '{source}' does not exist", mend=_nearby(path))
    if not exists:
        found = open_stored(find_source(str(path)), options, known)
    else:
        found = _open_folder(path, options, known) if path.is_dir() else _open_file(path, options, known)
    if not len(found.values):
        raise DataError(f"The source '{source}' holds no examples")
    return replace(found, origin=str(path))


def _open_object(value: object) -> Source:
    """Open an object in memory as a source."""
    from vaekit.data.readers import libraries, objects  # slow to import

    value = value if isinstance(value, Frame) else objects.arrange(value)
    if isinstance(value, Source):
        return value
    frame = value if isinstance(value, Frame) else libraries.open_frame(value)
    if frame is not None:
        return Source.of_frame(frame)
    objects.refuse_sequence(value)
    return arrays.from_object(value)


def _nearby(path: Path) -> str:
    known = [DIGITS, *(p.name for p in path.parent.iterdir())] if path.parent.is_dir() else [DIGITS]
    hint = did_you_mean(path.name, known)
    return (
        hint
        if hint.startswith("Did")
        else "Pass 'digits', a .npy, .npz, .csv, .parquet, .arrow or .tar file, a folder or a pattern"
    )


def digits() -> Source:
    """Open the 1,797 handwritten digits of scikit-learn, with 8×8 pixels and 17 levels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source(bunch.images.astype(np.uint8)[..., None], bunch.target, picture=True, levels=17, origin=DIGITS)


def _open_file(path: Path, options: DataOptions, known: tuple[Column, ...]) -> Source:
    from vaekit.data.readers import containers, decoding, pictures  # slow to import

    if not path.is_file():
        raise DataError("a source must be a file or a folder", f"'{path}' (a pipe or a device)")
    if path.stat().st_size == 0:
        raise DataError(f"The source '{path}' is an empty file")
    openers: dict[str, Callable[[Path], Source]] = {".npy": _open_npy, ".npz": arrays.open_npz}
    if decoding.is_picture_name(path.name):
        return pictures.open_pictures([containers.SingleFile(path)], options.height_width)
    if path.suffix.lower() in openers:
        return openers[path.suffix.lower()](path)
    if (kind := file_type(path.name)) is not None:
        return open_stored([kind.local(path)], options, known)
    must = f"the name of a file must end in one of {', '.join((*openers, *file_types()))}"
    mend = "A picture, or a folder of tables, pictures or IDX files, can be passed too"
    if PACKED_TAR.search(path.name):
        mend = UNPACK
    raise DataError(must, f"'{path.name}'", mend)


def find_source(address: str) -> tuple[StoredFile, ...]:
    """Find the files of a table, or tars of pictures. Folders named `name=value` give a table columns.

    Args:
        address: as in `find_files`.

    Returns:
        The files, sorted by address.

    Raises:
        DataError: as in `find_files`.
    """
    files = find_files(address)
    return as_shards(files) or files


def open_stored(files: Sequence[StoredFile], options: DataOptions, known: tuple[Column, ...]) -> Source:
    """Open the files of a table, or tars of pictures.

    Args:
        files: the files, in the order of their rows.
        options: how they are read.
        known: as in `open_shards`.

    Raises:
        DataError: as `open_shards` and `open_pictures`.
    """
    parts = _parts_of_files(files)
    aside = parts.pop("", [])
    joined = _joined({name: _open_files(own, options, known) for name, own in parts.items()})
    return replace(joined, notes=(*joined.notes, *_told_aside(len(aside), "file", files[0].root)))


def _open_files(files: Sequence[StoredFile], options: DataOptions, known: tuple[Column, ...]) -> Source:
    from vaekit.data.readers import pictures, tars  # slow to import

    found = [file for file in files if isinstance(file, tars.Tar)]
    if found:
        return pictures.open_pictures(found, options.height_width)
    return open_shards([file for file in files if isinstance(file, Shard)], options, known)


def open_shards(shards: Sequence[Shard], options: DataOptions, known: tuple[Column, ...]) -> Source:
    """Open the files of a table, which all have the same format.

    Args:
        shards: the files, in the order of their rows.
        options: how text files are read.
        known: the columns if they are known; cells of text files then stay text.

    Raises:
        DataError: if a file is damaged, there are no rows, or files differ in their columns.
    """
    from vaekit.data.readers import csv, union  # slow to import

    typed = [shard for shard in shards if isinstance(shard, TypedShard)]
    if typed:
        return Source.of_frame(union.open_typed(typed))
    header = None if options.header == "auto" else options.header
    if known:
        return Source.of_frame(csv.open_written(shards, known, header, options.marks))
    return Source.of_frame(csv.open_csv(shards, header, options.marks))


def _open_npy(path: Path) -> Source:
    """Open a `.npy` file; a structured array becomes a table."""
    values = arrays.read_npy(path)
    if values.dtype.names is not None and values.ndim != 1:
        must = "a structured array must have one dimension, with a record per row"
        raise DataError(must, f"shape {values.shape} in '{path.name}'")
    return arrays.from_array(values, where=f"'{path.name}'") if values.dtype.names is None else _open_object(values)


PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Names of the folders of training, validation and test data, in lower case."""


def _open_folder(path: Path, options: DataOptions, known: tuple[Column, ...]) -> Source:
    """Open a folder of IDX files, pictures or tables; pictures and tables may be in sub-folders such as train and test."""
    if idx.is_idx_folder(path):
        return idx.open_idx(path)
    parts = _parts(path)
    if not parts:
        return _open_pictures(path, (), options) or open_stored(find_source(str(path)), options, known)
    training = parts.pop("train", path)
    opened = {"train": _open_part(training, tuple(parts.values()), options, known)}
    opened |= {name: _open_part(part, (), options, known) for name, part in parts.items()}
    joined = _joined(opened)
    aside = [] if training == path else _left_aside(path, [training, *parts.values()])
    return replace(joined, notes=(*joined.notes, *aside))


def _joined(parts: Mapping[str, Source]) -> Source:
    """Join the parts `train`, `validation` and `test` to one source."""
    train, validation = parts["train"], parts.get("validation")
    notes = [note for source in parts.values() for note in source.notes]
    if validation is not None:
        told = f"{len(validation.values)} validation {'pictures' if train.picture else 'rows'}"
        notes.append(f"The {told} are used to choose the best weights.")
    levels = max(source.levels for source in parts.values()) if train.levels > 256 else train.levels
    return replace(train, levels=levels, validation=validation, test=parts.get("test"), notes=tuple(notes))


def _parts_of_files(files: Sequence[StoredFile]) -> dict[str, list[StoredFile]]:
    """Divide files by folders named `train`, `val` or `test`, and tars else by such words in their names.

    Returns:
        The files of each part. If there are validation or test files, but none for training, the others are for training; else
        those of no part stand under "". If there is only one part, all files are training data.
    """
    found: dict[str, list[StoredFile]] = {}
    for file in files:
        words = re.split(r"[^a-z]+", file.name.lower()) if file.format == "tar" else []
        places = ([file.below[0].lower()] if len(file.below) > 1 else [], words)
        matched = (part for words in places for part, names in PARTS.items() if set(words) & set(names))
        found.setdefault(next(matched, ""), []).append(file)
    if "train" not in found and "" in found:
        found["train"] = found.pop("")
    return found if "train" in found and len(set(found) - {""}) > 1 else {"train": list(files)}


def _open_part(path: Path, without: tuple[Path, ...], options: DataOptions, known: tuple[Column, ...]) -> Source:
    """Open a part of the data: a folder of pictures or, if it holds none, of the files of a table or of tars."""
    pictures = _open_pictures(path, without, options)
    if pictures is not None:
        return pictures
    files = [file for file in find_source(str(path)) if not any(Path(file.path).is_relative_to(p) for p in without)]
    if not files:
        raise DataError(f"The folder '{path}' has test or validation data, but no training data")
    return _open_files(files, options, known)


def _open_pictures(path: Path, without: tuple[Path, ...], options: DataOptions) -> Source | None:
    """Open a folder of pictures, or return None if it holds none."""
    from vaekit.data.readers import containers, pictures  # slow to import

    folder = containers.Folder(path, without)
    return pictures.open_pictures([folder], options.height_width) if folder.holds_pictures() else None


def _left_aside(path: Path, parts: list[Path]) -> list[str]:
    """Return a note on the pictures, tables and tars of a folder that are in none of its parts."""
    from vaekit.data.readers.containers import Folder  # slow to import

    outside = Folder(path, parts)
    files = sum(file_type(name) is not None and not is_hidden(name, "") for name in outside.names())
    return [*_told_aside(len(outside.listing().files), "picture", path.name), *_told_aside(files, "file", path.name)]


def _told_aside(count: int, what: str, where: str) -> list[str]:
    plural = "" if count == 1 else "s"
    told = f"Skipped {count} {what}{plural} in '{where}' that {'is' if count == 1 else 'are'} outside of its parts."
    return [told] if count else []


def _parts(path: Path) -> dict[str, Path]:
    """Find the folders of training, validation and test pictures; return {} if the sub-folders are classes instead."""
    folders = {p.name.lower(): p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")}
    named = {part: [folders[name] for name in names if name in folders] for part, names in PARTS.items()}
    found = {part: paths[0] for part, paths in named.items() if paths}
    classes = {name for name, path in folders.items() if path not in found.values()}
    if "train" in found:
        if len(found) == 1 and classes:  # a class named train, as among cars
            return {}
    elif found and classes:
        inner = [{p.name.lower() for p in part.iterdir() if p.is_dir()} for part in found.values()]
        if not all(names and names <= classes for names in inner):
            return {}
    elif found:
        told = " and ".join(f"'{part.name}'" for part in found.values())
        raise DataError("a folder divided into parts must have a sub-folder named train", f"only {told} in '{path}'")
    for part, paths in named.items():
        if len(paths) > 1:
            raise DataError(
                f"there must be only one folder of {part} pictures", f"'{paths[0].name}' and '{paths[1].name}'"
            )
    return found
