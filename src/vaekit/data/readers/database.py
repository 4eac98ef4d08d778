"""A reader of tables from PostgreSQL and SQLite databases by SQL queries."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaekit.data.readers.addresses import (
    FORMS,
    KINDS,
    kind_of,
    postgresql_address,
    refuse,
    sqlite_file,
    without_password,
)
from vaekit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS, _TEXT = 1 << 14, 1 << 26
"""Most rows, and most characters of text, that are held as Python objects at once."""
_ARROW = {int: "int64", float: "float64", str: "string"}
"""Arrow types for the Python types of SQLite's cells."""


def read_query(uri: str, query: str) -> pa.Table:
    """Run a SQL query in a database, and return the resulting rows as an Arrow table.

    The query is run as given, with the rights of the user in the address. A SQLite file is opened read-only and never created.
    Changes in PostgreSQL are rolled back, but functions that a query calls may have other effects: use a user who may only read.

    Args:
        uri: `postgresql://user:password@host:port/database` (also `postgres://`), where the same parts are optional
            as for PostgreSQL's own programs; or `sqlite:///path`, with a fourth slash for an absolute path.
        query: one statement of SQL that returns rows.

    Returns:
        A table with the columns of the query. Integers, floats, truth values, text, dates and times have their Arrow types,
        `numeric` is float64, and NULL is null. Since SQLite has types for cells and not for columns, its columns are integers,
        or else floats, or else text: the first type that holds all cells unchanged.

    Raises:
        DataError: if the address is malformed, unknown or unreachable; if the query is empty, wrong or not allowed; if the
            result is empty, too large, or has two columns with the same name or a column of an unsupported type; if a
            package is missing.

    Examples:
        >>> read_query("sqlite:///measurements.db", "select length, mass from animals")  # doctest: +SKIP
        pyarrow.Table
        length: double
        mass: double
    """
    scheme, mark, rest = uri.partition("://")
    kind = kind_of(scheme)
    if not mark or kind not in KINDS:
        must = f"the address of a database must be of the form {FORMS}"
        raise DataError(must, f"'{scheme}://…'" if mark else "one without ://")
    if not query.strip():
        fault = "A database needs a query (data.query)"
        raise DataError(fault, mend="Pass a query, such as 'select length, mass from animals'")
    table = _read_sqlite(uri, rest, query) if kind == "sqlite" else _read_postgresql(uri, rest, query)
    if not table.num_rows:
        raise DataError(f"The query returned no rows from '{without_password(uri)}'")
    return table


def _import(driver: str) -> Any:
    """Import a database driver, or raise an error with the command that installs the driver."""
    try:
        return importlib.import_module(driver)
    except ImportError as error:
        fault = f"The package {error.name}, which reads databases, is not installed"
        raise DataError(fault, mend="Run: pip install 'vaekit[sql]'") from error


def _read_postgresql(uri: str, rest: str, query: str) -> pa.Table:
    """Read a query's result from PostgreSQL in batches, and refuse a result that becomes too large."""
    manager, driver = _import("adbc_driver_manager"), _import("adbc_driver_postgresql.dbapi")
    import pyarrow as pa

    from vaekit.data.tables.types import family

    try:
        with driver.connect(postgresql_address(uri, rest)) as connection, connection.cursor() as cursor:
            # The new line ends a comment in the query, because the driver embeds the query in another one.
            query = query.strip().rstrip(";") + "\n"
            schema = cursor.adbc_execute_schema(query)
            _check_names(schema.names)
            for field in schema:
                original = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
                known = _is_numeric(field.type) or family(field.type) != "other"
                if original == "money" or not known:  # money is counted in cents
                    raise _exotic(field.name, original or str(field.type))
            cursor.execute(query)
            tables, used = [], 0
            for batch in cursor.fetch_record_batch():
                used = _within(used + batch.nbytes, batch.num_rows, batch.num_columns)
                cells = [c.storage.cast(pa.float64()) if _is_numeric(c.type) else c for c in batch.columns]
                tables.append(pa.table(cells, names=schema.names))
    except (manager.Error, pa.ArrowException, OSError) as error:
        raise refuse(error, uri) from None  # its own message may contain the address with the password
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _is_numeric(kind: Any) -> bool:
    """Return whether an Arrow type is PostgreSQL's `numeric`, which the driver passes as text to keep all digits."""
    return getattr(kind, "extension_name", "") == "arrow.opaque" and kind.type_name == "numeric"


def _read_sqlite(uri: str, rest: str, query: str) -> pa.Table:
    """Read a query's result from a read-only SQLite file in blocks, and refuse a result that becomes too large."""
    import pyarrow as pa

    from vaekit.data.limits import largest

    path = sqlite_file(rest)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(largest() // 64, 10**9))  # length of a cell
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # attach and vacuum would create files
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            _check_names(names)
            columns: list[list[dict[type, pa.Array]]] = [[] for _ in names]
            for rows in _blocks(cursor, path):
                for name, cells, blocks in zip(names, zip(*rows, strict=True), columns, strict=True):
                    blocks.append(_by_type(name, cells))
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        raise refuse(error, uri) from None
    return pa.table([_join_types(blocks) for blocks in columns], names)


def _blocks(rows: Iterable[tuple[Any, ...]], path: Path) -> Iterator[list[tuple[Any, ...]]]:
    """Group the rows of a query into lists of bounded size, and refuse a result that becomes too large."""
    block: list[tuple[Any, ...]] = []
    used = text = 0
    for row in rows:
        block.append(row)
        text += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
        if len(block) == _ROWS or text > _TEXT:
            used = _within(used + text, len(block), len(row), [path])
            yield block
            block, text = [], 0
    if block:
        _within(used + text, len(block), len(block[0]), [path])
        yield block


def _within(used: int, rows: int, columns: int, files: Sequence[Path] = ()) -> int:
    """Estimate the memory of a query's result so far, and refuse a result that is too large."""
    from vaekit.data.limits import check_size

    used += 16 * rows * (columns + 1)
    check_size(used, "the result of the query so far", files)
    return used


def _by_type(name: str, cells: Sequence[Any]) -> dict[type, pa.Array]:
    """Split cells into one Arrow array for each Python type, with null for cells of other types."""
    import pyarrow as pa

    kinds = set(map(type, cells)) - {type(None)}
    if bytes in kinds:
        raise _exotic(name, "binary")
    found = {kind: pa.array([c if type(c) is kind else None for c in cells], _ARROW[kind]) for kind in kinds}
    return found or {type(None): pa.nulls(len(cells))}


def _join_types(blocks: Sequence[dict[type, pa.Array]]) -> pa.ChunkedArray:
    """Join a column's blocks as integers, floats or text: the first of these types that holds all cells unchanged."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = {kind for block in blocks for kind in block} - {type(None)}
    ends = [pc.min_max(block[int]).as_py() for block in blocks if int in block]
    exact = all(end["min"] >= -(2**53) and end["max"] <= 2**53 for end in ends)  # floats hold all of these integers
    text = str in kinds or (len(kinds) == 2 and not exact)
    target = pa.string() if text else pa.float64() if float in kinds else pa.int64() if kinds else pa.null()

    def cast(cells: pa.Array) -> pa.Array:
        if text and cells.type == pa.float64():  # with all digits, as SQLite and Python write them
            return pa.array([None if cell is None else repr(cell) for cell in cells.to_pylist()], target)
        return cells.cast(target)

    return pa.chunked_array([pc.coalesce(*map(cast, block.values())) for block in blocks], target)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise DataError(
            "The query returned no columns", mend="Begin the query with `select`, and name the columns to read"
        )
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError(
            "columns must have different names", f"'{name}' twice in the query", "Rename one column with `as`"
        )


def _exotic(name: str, kind: str) -> DataError:
    return DataError(
        "every column of the query must hold numbers, truth values, text, dates or times",
        f"column '{name}' of type {kind}",
        "Leave it out, or turn it into numbers in the query",
    )
