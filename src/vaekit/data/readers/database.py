"""Tables out of databases: the answer to a SQL query, from PostgreSQL or SQLite."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from vaekit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_KINDS = ("postgresql", "postgres", "sqlite")
_FORMS = "postgresql://user:password@host/database, postgres://… or sqlite:///file.db"
_OTHERS = (
    *("mysql", "mariadb", "mssql", "sqlserver", "oracle", "db2", "duckdb", "snowflake", "bigquery", "redshift"),
    *("clickhouse", "cockroachdb", "databricks", "trino", "presto", "hive", "teradata", "mongodb"),
)
"""Databases whose addresses are recognised, so that they are refused as what they are and not as missing files."""

_ROWS, _TEXT = 1 << 14, 1 << 26
"""Rows, and letters of their text, that are held as Python's objects before they become Arrow's."""
_ARROW = {int: "int64", float: "float64", str: "string"}
"""Types of the cells of SQLite."""

_SECRET = ("password", "sslpassword")

_REFUSALS = (  # what the SQLSTATE or the words of a database tell, what must hold, how to mend it
    (r"^42P01|no such table", "the query must name tables that exist", ""),
    (r"^42703|no such column", "the query must name columns that exist", ""),
    (r"^42501", "the user must be allowed to read what the query names", ""),
    (r"^42601|syntax error|incomplete input|unrecognized token", "the query must be one statement of valid SQL", ""),
    (r"readonly database|attached databases", "the query must only read", ""),
    (r"not a database|unsupported file format", "the file must be a SQLite database", ""),
    (r"failed to open|unable to open", "the SQLite file must be readable", ""),
    (r"malformed|corrupt", "the SQLite file must be whole", "Restore it, or repair it with `sqlite3 FILE .recover`"),
    (
        r"too big",
        "a cell of the query must not be longer than 1/64 of what data may take",
        "Leave the column out, or set the environment variable VAEKIT_LARGEST (bytes)",
    ),
    (r"[Dd]ecode", "text must be encoded in UTF-8", "Leave the column out, or turn it into numbers in the query"),
    (
        r"password authentication failed|no password supplied",
        "the user's name and password must be right",
        "Check them in the address; a password may also be left out of it, and given in PGPASSWORD",
    ),
    (r'FATAL:\s+database ".*" does not exist', "the database must exist", "Check its name, the end of the address"),
    (
        r"Failed to connect",
        "the database's server must be reachable",
        "Check the host and the port in the address, and that the server runs and accepts connections",
    ),
    (r"", "the query must run without an error", ""),
)


def is_database(source: str) -> bool:
    """Whether a source is the address of a database, also of a kind that cannot be read.

    Args:
        source: what the user gave.

    Returns:
        Whether it starts with the scheme of a database and `://`.

    Examples:
        >>> is_database("postgresql://reader@host/measurements"), is_database("sqlite:///file.db")
        (True, True)
        >>> is_database("file.db")
        False
    """
    scheme, mark, _ = source.partition("://")
    return bool(mark) and _kind(scheme) in (*_KINDS, *_OTHERS)


def without_password(uri: str) -> str:
    """The address of a database with its passwords replaced by `***`, fit to be shown and saved.

    Where an address is ambiguous, more is replaced rather than less.

    Args:
        uri: the address.

    Returns:
        The address without passwords; one that has none is as it was.

    Examples:
        >>> without_password("postgresql://reader:secret@host:5432/measurements")
        'postgresql://reader:***@host:5432/measurements'
    """
    scheme, mark, rest = uri.partition("://")
    if not mark or _kind(scheme) == "sqlite":  # whose files may have any name
        return uri
    start, end = rest.find(":"), rest.rfind("@")  # the last, as a password may hold an @ that was not encoded
    if 0 <= start < end:
        rest = f"{rest[: start + 1]}***{rest[end:]}"
    place, question, parameters = rest.partition("?")
    shown = []
    for parameter in parameters.split("&"):
        key, equals, _ = parameter.partition("=")
        shown.append(f"{key}=***" if equals and unquote(key).lower() in _SECRET else parameter)
    return f"{scheme}{mark}{place}{question}{'&'.join(shown)}"


def read_query(uri: str, query: str) -> pa.Table:
    """The rows that a database answers to a query.

    The query is run as it is given, with the rights of the user whom the address names. A SQLite file is opened for
    reading alone and never made. What a query changes in PostgreSQL is rolled back, but functions that it calls may do
    what they do: give the name of a user who may only read.

    Args:
        uri: `postgresql://user:password@host:port/database` (also `postgres://`), where what may be left out is as for
            PostgreSQL's own programs, or `sqlite:///path`, where an absolute path makes a fourth slash.
        query: one statement of SQL that returns rows.

    Returns:
        A column for each of the query's. Integers, floats, truth values, text, dates and times are of Arrow's types,
        `numeric` is float64, and NULL is null. SQLite has types for cells and not for columns: a column there is of
        integers, or else floats, or else text, whichever holds all its cells without changing one.

    Raises:
        DataError: for an address that is malformed, of an unknown scheme, or leads nowhere; for a query that is empty,
            wrong or not allowed, or returns no rows, no columns, two columns of one name, a column of no plain type, or
            more than data may take; if a package is missing.

    Examples:
        >>> read_query("sqlite:///measurements.db", "select length, mass from animals")  # doctest: +SKIP
        pyarrow.Table
        length: double
        mass: double
    """
    scheme, mark, place = uri.partition("://")
    kind = _kind(scheme)
    if not mark or kind not in _KINDS:
        raise DataError(
            f"the address of a database must be of the form {_FORMS}", f"'{scheme}://…'" if mark else "one without ://"
        )
    if not query.strip():
        raise DataError(
            "a database must be asked a query", "none", "Give one, such as 'select length, mass from animals'"
        )
    table = _read_sqlite(uri, place, query) if kind == "sqlite" else _read_postgresql(uri, place, query)
    if not table.num_rows:
        raise DataError("the query must return rows", f"none from '{without_password(uri)}'")
    return table


def _kind(scheme: str) -> str:
    """The kind of database of a scheme, without the driver that it may name as in `postgresql+psycopg`."""
    return scheme.lower().partition("+")[0]


def _import(driver: str) -> Any:
    """The module of a driver, if it is installed."""
    try:
        return importlib.import_module(driver)
    except ImportError as error:
        raise DataError(
            "packages that read databases must be installed", f"no {error.name}", "Run: pip install 'vaekit[sql]'"
        ) from error


def _read_postgresql(uri: str, place: str, query: str) -> pa.Table:
    """The rows of a query to PostgreSQL, taken in blocks until they are all there, or too many."""
    manager, driver = _import("adbc_driver_manager"), _import("adbc_driver_postgresql.dbapi")
    import pyarrow as pa

    try:
        with driver.connect(_postgresql_address(uri, place)) as connection, connection.cursor() as cursor:
            # The line ends what may be a comment: the driver puts the query in another. Its columns are looked at first.
            query = query.strip().rstrip(";") + "\n"
            schema = cursor.adbc_execute_schema(query)
            _check_names(schema.names)
            for field in schema:
                original = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
                if original == "money" or not _is_plain(field.type):  # money is counted in cents
                    raise _exotic(field.name, original or str(field.type))
            cursor.execute(query)
            tables, used = [_plain(schema.empty_table())], 0
            for batch in cursor.fetch_record_batch():
                used = _within(used + batch.nbytes, batch.num_rows, batch.num_columns)
                tables.append(_plain(pa.Table.from_batches([batch])))
    except (manager.Error, pa.ArrowException, OSError) as error:
        raise _refusal(error, uri) from None  # whose own words may hold the address with its password
    return pa.concat_tables(tables)


def _read_sqlite(uri: str, place: str, query: str) -> pa.Table:
    """The rows of a query to a SQLite file, which is opened for reading alone, taken in blocks likewise."""
    import pyarrow as pa

    from vaekit.data.limits import largest

    if not _is_one_statement(query):
        raise DataError("the query must be one statement of valid SQL", "several", "Give a single `select`")
    path = _sqlite_file(place)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(largest() // 64, 10**9))  # of text made by the query
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)  # attach and vacuum would make files
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            _check_names(names)
            pieces: list[list[dict[type, pa.Array]]] = [[] for _ in names]
            for rows in _blocks(cursor, [path]):
                for name, cells, parts in zip(names, zip(*rows, strict=True), pieces, strict=True):
                    parts.append(_parts(name, cells))
    except (sqlite3.Error, sqlite3.Warning, UnicodeError) as error:
        raise _refusal(error, uri) from None
    return pa.table([_whole_column(parts) for parts in pieces], names)


def _blocks(rows: Iterable[tuple[Any, ...]], files: Sequence[Path]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in lists of bounded size, until they are all there, or too many."""
    block: list[tuple[Any, ...]] = []
    used = text = 0
    for row in rows:
        block.append(row)
        for cell in row:
            if isinstance(cell, str | bytes):
                text += len(cell)
        if len(block) == _ROWS or text > _TEXT:
            used = _within(used + text, len(block), len(row), files)
            yield block
            block, text = [], 0
    if block:
        _within(used + text, len(block), len(block[0]), files)
        yield block


def _within(used: int, rows: int, columns: int, files: Sequence[Path] = ()) -> int:
    """What an answer takes with further rows, as they are read and as numbers, in bytes.

    Raises:
        DataError: if that is too much.
    """
    from vaekit.data.limits import check_size

    used += 16 * rows * (columns + 1)
    check_size(used, "the answer to the query, so far", files)
    return used


def _parts(name: str, cells: Sequence[Any]) -> dict[type, pa.Array]:
    """The cells of a column by their type, as Arrow arrays that are null where a cell is of another type."""
    import pyarrow as pa

    kinds = set(map(type, cells)) - {type(None)}
    if bytes in kinds:
        raise _exotic(name, "binary")
    if len(kinds) <= 1:
        return {kind: pa.array(cells, _ARROW[kind]) for kind in kinds} or {type(None): pa.nulls(len(cells))}
    return {kind: pa.array([c if type(c) is kind else None for c in cells], _ARROW[kind]) for kind in kinds}


def _whole_column(pieces: Sequence[Mapping[type, pa.Array]]) -> pa.ChunkedArray:
    """One column of integers, or else floats, or else text, whichever holds all cells as they are written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kinds = {kind for parts in pieces for kind in parts} - {type(None)}
    ends = [pc.min_max(parts[int]).as_py() for parts in pieces if int in parts]
    exact = all(end["min"] >= -(2**53) and end["max"] <= 2**53 for end in ends)  # in floats
    if str in kinds or (len(kinds) == 2 and not exact):
        target = pa.string()
    else:
        target = pa.float64() if float in kinds else pa.int64() if kinds else pa.null()

    def cast(cells: pa.Array) -> pa.Array:
        if target == pa.string() and cells.type == pa.float64():  # as SQLite and Python write them, all digits
            return pa.array([None if cell is None else repr(cell) for cell in cells.to_pylist()], target)
        return cells.cast(target)

    return pa.chunked_array([pc.coalesce(*map(cast, parts.values())) for parts in pieces], target)


def _check_names(names: Sequence[str]) -> None:
    if not names:
        raise DataError("the query must return columns", "none", "Begin it with `select`, and name what to read")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise DataError("columns must have different names", f"'{name}' twice in the query", "Rename one with `as`")


def _is_one_statement(query: str) -> bool:
    """Whether nothing but a comment follows the first complete statement."""
    for end in re.finditer(";", query):
        if sqlite3.complete_statement(query[: end.end()]):  # which knows quotes and comments
            return not re.sub(r"--[^\n]*|/\*.*?\*/", "", query[end.end() :], flags=re.DOTALL).strip()
    return True


def _sqlite_file(place: str) -> Path:
    """The file that an address names after `sqlite://`."""
    slash, given = place[:1], place[1:]
    if slash != "/" or not given:
        raise DataError("the address of a SQLite file must be of the form sqlite:///file.db", f"'sqlite://{place}'")
    path = Path(given).expanduser().resolve()
    if not path.is_file():  # SQLite would make it
        absolute = Path("/", given)
        hint = f"Did you mean 'sqlite:///{absolute}'?" if absolute.is_file() else ""
        raise DataError("the SQLite file must exist", f"'{path}'", hint)
    return path


def _postgresql_address(uri: str, place: str) -> str:
    """The address as the driver wants it.

    Raises:
        DataError: for one that the driver would misread, as it would show parts of the password in its complaint.
    """
    authority, _, parameters = place.partition("?")
    user = authority.rpartition("@")[0]
    if "@" in user or "/" in user or re.search("%(?![0-9a-fA-F]{2})|%00", place) or "@" in parameters:
        raise DataError(
            "special characters must be encoded in the address of a database",
            f"'{without_password(uri)}'",
            "In a name or a password write %40 for @, %2F for /, %3A for :, %3F for ? and %25 for %",
        )
    if any(parameter.count("=") != 1 for parameter in parameters.split("&") if parameters):
        raise DataError(
            "the parameters of an address must be of the form ?name=value&name=value", f"'{without_password(uri)}'"
        )
    if "connect_timeout" not in parameters and "PGCONNECT_TIMEOUT" not in os.environ:  # else minutes, in vain
        place += f"{'&' if parameters else '?' if '?' not in place else ''}connect_timeout=10"
    return f"postgresql://{place}"


def _is_opaque_numeric(kind: Any) -> bool:
    """Whether a type is PostgreSQL's `numeric`, which the driver hands on as text so that no digit is lost."""
    return getattr(kind, "extension_name", "") == "arrow.opaque" and kind.type_name == "numeric"


def _is_plain(kind: Any) -> bool:
    """Whether a type is of numbers, truth values, text, dates or times."""
    import pyarrow as pa

    tests = (
        *(pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null),
        *(pa.types.is_string, pa.types.is_large_string, pa.types.is_date, pa.types.is_timestamp, pa.types.is_time),
    )
    return _is_opaque_numeric(kind) or any(test(kind) for test in tests)


def _plain(table: Any) -> Any:
    """The table with decimals as floats, and its text of one width."""
    import pyarrow as pa

    columns = []
    for column in table.columns:
        kind = column.type
        if _is_opaque_numeric(kind):
            column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type).cast(pa.float64())
        elif pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        elif pa.types.is_large_string(kind):
            column = column.cast(pa.string())
        columns.append(column)
    return pa.table(columns, names=table.column_names)


def _exotic(name: str, kind: str) -> DataError:
    return DataError(
        "every column of the query must be of numbers, truth values, text, dates or times",
        f"column '{name}' of type {kind}",
        "Leave it out, or turn it into numbers in the query",
    )


def _refusal(error: Exception, uri: str) -> DataError:
    """What a database or its driver complained of, in one form and without the password."""
    details = dict(getattr(error, "details", None) or [])
    code = getattr(error, "sqlstate", None) or ""
    hint = details.get(b"PG_DIAG_MESSAGE_HINT", b"").decode(errors="replace")
    found = details.get(b"PG_DIAG_MESSAGE_PRIMARY", b"").decode(errors="replace")
    first = str(error).strip().partition("\n")[0]  # the query comes after
    if not found:  # before there is a connection, in the midst of the rows, and with SQLite always
        found = re.sub(r"^(.*\bERROR: +|([A-Z_]+: )?(\[\w+\] )?(Failed to [a-z ]+: )?)", "", first)
    must, mend = next((must, mend) for told, must, mend in _REFUSALS if re.search(told, f"{code} {first}"))
    return DataError(must, f"'{_masked(found, uri):.200}' from '{without_password(uri)}'", mend or _masked(hint, uri))


def _masked(text: str, uri: str) -> str:
    """A text without the passwords of an address."""
    place = uri.partition("://")[2]
    secrets = {place.rpartition("@")[0].partition(":")[2]}
    for parameter in place.partition("?")[2].split("&"):
        key, _, value = parameter.partition("=")
        if unquote(key).lower() in _SECRET:
            secrets.add(value)
    text = text.replace(uri, without_password(uri))
    for secret in filter(None, secrets | {unquote(secret) for secret in secrets}):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text
