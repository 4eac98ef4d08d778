"""One table of many shards: where files become rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from vaekit.data.limits import check_size
from vaekit.data.readers.libraries import INDEX
from vaekit.data.readers.pieces import even_pieces
from vaekit.data.readers.shards import Header, Shard, TypedShard
from vaekit.data.tables.checks import check_columns
from vaekit.data.tables.frame import Frame
from vaekit.data.tables.types import family, value_type
from vaekit.errors import DataError
from vaekit.reporters import track

AT_ONCE = 16
"""How many files are asked for their headers at the same time."""


def open_typed(shards: Sequence[TypedShard]) -> Frame:
    """Open files whose columns have types as one table that is read in batches.

    Args:
        shards: the files, in the order of their rows.

    Returns:
        The rows, without an unnamed pandas index. A column has the narrowest type that holds those of all files.

    Raises:
        DataError: if a file is damaged, a column is missing in a file or has another type in it, there are no rows or columns,
            two columns have the same name, or there are more cells or text than may be unpacked.
    """
    headers = _headers(shards)
    schemas = {shard.address: _with_partitions(h.schema, shard) for shard, h in zip(shards, headers, strict=True)}
    rows = sum(header.rows for header in headers)
    for schema in schemas.values():
        check_columns(schema, rows)
    check_same_columns({address: schema.names for address, schema in schemas.items()})
    schema = _union(schemas)
    needed = max(8 * rows * len(schema.names), sum(header.unpacked for header in headers))  # as codes, and unpacked
    check_size(needed, _named(shards), [shard.stored for shard in shards])
    frame = Frame(schema, rows, lambda: _read(shards, headers, schema), notes=empty_note(shards, headers))
    kept = [name for name in frame.names if not INDEX.fullmatch(name)]
    return frame.in_order(kept) if kept and len(kept) < len(frame.names) else frame


def _named(shards: Sequence[Shard]) -> str:
    return f"'{shards[0].name}'" if len(shards) == 1 else f"the {len(shards):,} files"


def _headers(shards: Sequence[TypedShard]) -> list[Header]:
    """Read the headers of files, several at once, because each is a short question to a distant store."""
    with ThreadPoolExecutor(AT_ONCE) as pool, track(len(shards), "files") as advance:
        headers = []
        for header in pool.map(lambda shard: shard.header(), shards):
            headers.append(header)
            advance(1)
    return headers


def _read(shards: Sequence[TypedShard], headers: Sequence[Header], schema: pa.Schema) -> Iterator[pa.Table]:
    """Read all rows in pieces whose ends do not depend on the files."""

    def tables() -> Iterator[pa.Table]:
        for shard, header in zip(shards, headers, strict=True):
            found = 0
            for batch in shard.batches():
                found += len(batch)
                yield _converted(pa.Table.from_batches([batch]), schema, shard)
            if found != header.rows:
                fault = f"'{shard.address}' ({found} rows, where there were {header.rows})"
                raise DataError("a file must not change while it is read", fault)

    return even_pieces(tables())


def _converted(table: pa.Table, schema: pa.Schema, shard: Shard) -> pa.Table:
    """Bring the columns of a file into the order and the types of the table."""
    if table.schema.equals(schema):
        return table
    columns = []
    for field in schema:
        try:
            columns.append(_cast(table[field.name], field.type))
        except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            must = f"column '{field.name:.200}' must have the type {field.type} of the other files"
            raise DataError(must, f"'{shard.address}' ({error!s:.150})") from error
    return pa.table(columns, schema)


def _cast(cells: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if cells.type == kind:
        return cells
    if pa.types.is_dictionary(cells.type) and not pa.types.is_dictionary(kind):
        cells = cells.cast(value_type(cells.type))
    return cells.cast(kind)


def _with_partitions(schema: pa.Schema, shard: Shard) -> pa.Schema:
    for name, value in shard.partitions.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, value.type))
    return schema


def check_same_columns(names: Mapping[str, Sequence[str]]) -> None:
    """Refuse files of which one lacks a column that another has.

    Args:
        names: the columns of each file, by its address.

    Raises:
        DataError: names the column and both files.
    """
    having: dict[str, str] = {}
    for address, own in names.items():
        for name in own:
            having.setdefault(name, address)
    for address, own in names.items():
        if missing := [name for name in having if name not in set(own)]:
            fault = f"Column '{missing[0]:.200}' is missing in '{address}', but '{having[missing[0]]}' has it"
            more = f" ({len(missing)} columns are missing)" if len(missing) > 1 else ""
            raise DataError(fault + more, mend="All files of a table must have the same columns")


def _union(schemas: Mapping[str, pa.Schema]) -> pa.Schema:
    """Return the columns of all files, each with the narrowest type that holds those of all files.

    Raises:
        DataError: if types do not agree; the message names the column and the file.
    """
    (first, known), *others = schemas.items()
    kinds, earlier = {field.name: field.type for field in known}, dict.fromkeys(known.names, first)
    for address, schema in others:
        for field in schema:
            kind = kinds[field.name]
            if field.type == kind:
                continue
            joined = _joined(kind, field.type)
            if joined is None:
                must = f"column '{field.name:.200}' must have types that agree in all files"
                raise DataError(must, f"{kind} in '{earlier[field.name]}' and {field.type} in '{address}'")
            if joined != kind:
                kinds[field.name], earlier[field.name] = joined, address
    return pa.schema(list(kinds.items()))


def _joined(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the narrowest Arrow type that holds the cells of two types; None if they do not agree.

    Examples:
        >>> _joined(pa.int32(), pa.int64()), _joined(pa.null(), pa.bool_()), _joined(pa.string(), pa.int8()) is None
        (DataType(int64), DataType(bool), True)
    """
    if pa.types.is_null(a) or pa.types.is_null(b):
        return b if pa.types.is_null(a) else a
    if pa.types.is_dictionary(a) != pa.types.is_dictionary(b):
        a, b = value_type(a), value_type(b)
    if family(a) != family(b):
        return None
    both = [pa.schema([("", kind)]) for kind in (a, b)]
    try:
        return pa.unify_schemas(both, promote_options="permissive").field(0).type
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return None


def empty_note(shards: Sequence[Shard], headers: Sequence[Header]) -> tuple[str, ...]:
    """Return a note for the user if some of many files have no rows."""
    empty = [shard.name for shard, header in zip(shards, headers, strict=True) if not header.rows]
    if not empty or len(shards) == 1:
        return ()
    return (f"{len(empty):,} of {len(shards):,} files have no rows, such as '{empty[0]}'.",)
