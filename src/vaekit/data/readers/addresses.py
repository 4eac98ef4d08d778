"""Addresses of databases, and error messages that do not show passwords."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

from vaekit.errors import DataError

KINDS = ("postgresql", "postgres", "sqlite")
FORMS = "postgresql://user:password@host/database, postgres://… or sqlite:///file.db"
_OTHERS = (
    *("mysql", "mariadb", "mssql", "sqlserver", "oracle", "db2", "duckdb", "snowflake", "bigquery", "redshift"),
    *("clickhouse", "cockroachdb", "databricks", "trino", "presto", "hive", "teradata", "mongodb"),
)
"""Databases that are not supported; they are refused as databases, not as missing files."""

_SECRET = ("password", "sslpassword")

_REFUSALS = (  # pattern of the SQLSTATE and the message, rule that was broken, instruction
    (r"^42P01|no such table", "the query must name tables that exist", ""),
    (r"^42703|no such column", "the query must name columns that exist", ""),
    (r"^42501", "the user must have the right to read the tables in the query", ""),
    (
        r"^42601|syntax error|incomplete input|unrecognized token|one statement at a time",
        "the query must be a single valid statement of SQL",
        "",
    ),
    (r"readonly database|attached databases", "the query must only read data", ""),
    (r"not a database|unsupported file format", "the file must be a SQLite database", ""),
    (r"failed to open|unable to open", "the SQLite file must be readable", ""),
    (
        r"malformed|corrupt",
        "the SQLite file must be undamaged",
        "Restore it, or repair it with `sqlite3 FILE .recover`",
    ),
    (
        r"too big",
        "a cell in the result of the query must not be longer than 1/64 of the limit on data",
        "Leave the column out, or raise the limit with the environment variable VAEKIT_LARGEST (bytes)",
    ),
    (r"[Dd]ecode", "text must be encoded in UTF-8", "Leave the column out, or turn it into numbers in the query"),
    (
        r"password authentication failed|no password supplied",
        "the user name and the password must be correct",
        "Check them in the address, or leave the password out and set PGPASSWORD",
    ),
    (r'FATAL:\s+database ".*" does not exist', "the database must exist", "Check its name at the end of the address"),
    (
        r"Failed to connect",
        "the database server must be reachable",
        "Check the host and the port in the address, and that the server runs and accepts connections",
    ),
    (r"", "the query must run without an error", ""),
)


def is_database(source: str) -> bool:
    """Return whether a source is the address of a database, supported or not.

    Args:
        source: the source as the user passed it.

    Examples:
        >>> is_database("postgresql://reader@host/measurements"), is_database("sqlite:///file.db")
        (True, True)
        >>> is_database("file.db")
        False
    """
    scheme, mark, _ = source.partition("://")
    return bool(mark) and kind_of(scheme) in (*KINDS, *_OTHERS)


def without_password(uri: str) -> str:
    """Replace each password in a database address with `***`, so that the address can be shown and saved.

    If an address is ambiguous, more of it is replaced rather than less.

    Args:
        uri: the address.

    Examples:
        >>> without_password("postgresql://reader:secret@host:5432/measurements")
        'postgresql://reader:***@host:5432/measurements'
    """
    return _mask(uri)[0]


def _mask(uri: str) -> tuple[str, set[str]]:
    """Mask the passwords in a database address; return the masked address and the set of passwords."""
    secrets: set[str] = set()

    def hide(found: re.Match[str]) -> str:
        if found[2] and unquote(found[2]).lower() not in _SECRET:  # another parameter
            return found[0]
        secrets.add(found[3])
        return f"{found[1]}***"

    scheme, mark, rest = uri.partition("://")
    if not mark or kind_of(scheme) == "sqlite":  # a file may have any name
        return uri, secrets
    # up to the last @, because a password may contain an unencoded @
    rest = re.sub(r"^([^:]*:)()(.*)(?=@)", hide, rest, flags=re.DOTALL)
    rest = re.sub(r"((?<=[?&])([^=&]+)=)([^&]*)", hide, rest)
    return f"{scheme}{mark}{rest}", {text for secret in secrets for text in (secret, unquote(secret)) if text}


def kind_of(scheme: str) -> str:
    """Return the kind of database given by the scheme of an address, such as `postgresql` for `postgresql+psycopg`."""
    return scheme.lower().partition("+")[0]


def postgresql_address(uri: str, rest: str) -> str:
    """Return the address of a PostgreSQL database in the form that the driver accepts.

    Raises:
        DataError: if the driver would misread the address, and so show parts of the password in its error.
    """
    authority, _, parameters = rest.partition("?")
    user = authority.rpartition("@")[0]
    if "@" in user or "/" in user or re.search("%(?![0-9a-fA-F]{2})|%00", rest) or "@" in parameters:
        must = "special characters must be encoded in the address of a database"
        mend = "In a name or a password write %40 for @, %2F for /, %3A for :, %3F for ? and %25 for %"
        raise DataError(must, f"'{without_password(uri)}'", mend)
    if any(parameter.count("=") != 1 for parameter in parameters.split("&") if parameters):
        must = "the parameters of an address must be of the form ?name=value&name=value"
        raise DataError(must, f"'{without_password(uri)}'")
    if "connect_timeout" not in parameters and "PGCONNECT_TIMEOUT" not in os.environ:  # the default is minutes
        rest += f"{'&' if parameters else '?' if '?' not in rest else ''}connect_timeout=10"
    return f"postgresql://{rest}"


def sqlite_file(rest: str) -> Path:
    """Return the path of a SQLite file, given the part of the file's address after `sqlite://`."""
    slash, given = rest[:1], rest[1:]
    if slash != "/" or not given:
        raise DataError("the address of a SQLite file must be of the form sqlite:///file.db", f"'sqlite://{rest}'")
    path = Path(given).expanduser().resolve()
    if not path.is_file():  # SQLite would create it
        absolute = Path("/", given)
        hint = f"Did you mean 'sqlite:///{absolute}'?" if absolute.is_file() else ""
        raise DataError("the SQLite file must exist", f"'{path}'", hint)
    return path


def refuse(error: Exception, uri: str) -> DataError:
    """Turn an error of a database or its driver into a refusal that does not show the password."""
    details = dict(getattr(error, "details", None) or [])
    hint = details.get(b"PG_DIAG_MESSAGE_HINT", b"").decode(errors="replace")
    found = details.get(b"PG_DIAG_MESSAGE_PRIMARY", b"").decode(errors="replace")
    first = str(error).strip().partition("\n")[0]  # later lines repeat the query
    if not found:  # no details: before the connection, while rows are read, and always with SQLite
        found = re.sub(r"^(.*\bERROR: +|([A-Z_]+: )?(\[\w+\] )?(Failed to [a-z ]+: )?)", "", first)
    told = f"{getattr(error, 'sqlstate', None) or ''} {first}"
    must, mend = next((must, mend) for pattern, must, mend in _REFUSALS if re.search(pattern, told))
    shown, secrets = _mask(uri)

    def masked(text: str) -> str:
        text = text.replace(uri, shown)
        for secret in secrets:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
        return text

    return DataError(must, f"'{masked(found):.200}' from '{shown}'", mend or masked(hint))
