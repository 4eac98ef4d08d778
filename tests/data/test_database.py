import ast
import contextlib
import glob
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from datetime import UTC, date, datetime, time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaekit.data import Source
from vaekit.data.readers import addresses, database
from vaekit.data.readers.addresses import is_database, without_password
from vaekit.data.readers.database import read_query
from vaekit.data.tables.frame import frame_of_table
from vaekit.errors import DataError

USER, PASSWORD = "tester", "o:p/e@n sesame?&=%é"
EXACT = 9007199254740993
"""A whole number that a float cannot hold."""


class Server:
    """A PostgreSQL server of the tests' own, in a folder that is removed with it."""

    def __init__(self, programs):
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short, for the name of the socket
        self.owner = {}
        if os.getuid() == 0:  # as whom the server refuses to run
            import pwd

            names = {entry.pw_name: entry for entry in pwd.getpwall()}
            entry = names.get("postgres") or names["nobody"]
            self.owner = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)

    def start(self):
        self.run("initdb", "-U", USER, "-A", "scram-sha-256", "--pwfile", self.write("password", PASSWORD), "-N",
                 "-E", "UTF8", "--locale", "C")  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        options = f"-F -p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c autovacuum=off"
        self.run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return str(path)

    def run(self, program, *arguments):
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_", "LANG"))}
        with open(self.folder / "said", "a+b") as said:  # no pipe: the server would keep it open
            done = subprocess.run([self.programs / program, "-D", self.folder / "data", *arguments], stdin=subprocess.DEVNULL,
                                  stdout=said, stderr=said, cwd=self.folder, env=outside | {"LC_ALL": "C"}, **self.owner)  # fmt: skip
        assert done.returncode == 0, (self.folder / "said").read_text()

    def uri(self, user=USER, password=PASSWORD, host="127.0.0.1", port=None, database="postgres"):
        return f"postgresql://{user}:{quote(password, safe='')}@{host}:{port or self.port}/{database}"

    def execute(self, *statements):
        import adbc_driver_postgresql.dbapi

        with adbc_driver_postgresql.dbapi.connect(self.uri()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()

    def stop(self):
        try:
            if (self.folder / "data" / "postmaster.pid").exists():
                self.run("pg_ctl", "stop", "-w", "-m", "immediate")
        finally:
            shutil.rmtree(self.folder)


def programs():
    """The folder of PostgreSQL's programs, if it is installed."""
    found = [Path(os.path.realpath(p)).parent for p in (shutil.which("postgres"), shutil.which("pg_ctl")) if p]
    folders = [*found, *map(Path, sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True))]
    return next((f for f in folders if all((f / name).exists() for name in ("initdb", "pg_ctl", "postgres"))), None)


@pytest.fixture(scope="module")
def server():
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL server is installed: neither on PATH nor in /usr/lib/postgresql")
    server = Server(folder)
    try:
        server.start()
        server.execute(
            """create table cells (i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, fixed numeric(12, 3),
               free numeric, truth boolean, words text, short varchar(10), day date, wall timestamp, world timestamptz,
               clock time)""",
            f"""insert into cells values (-1, 2, {EXACT}, 1.5, 0.1, 123.456, 1e20, true, 'größe', 'x', '2020-02-29',
               '2020-01-02 03:04:05.678901', '2020-07-02 03:04:05+02', '03:04:05')""",
            "insert into cells default values",
            "insert into cells (f8, free, truth) values ('-Infinity', 'NaN', false)",
            "create table animals (length double precision not null, legs integer not null)",
            "insert into animals select i / 4.0, i % 7 from generate_series(1, 3000) i",
            "create role guest login password 'guest'",
        )
        yield server
    finally:
        server.stop()


@pytest.fixture
def sqlite(tmp_path):
    """Makes a SQLite file; gives its address."""

    def make(*statements, name="x.db", rows=()):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
            if rows:
                connection.executemany(f"insert into t values ({', '.join('?' * len(rows[0]))})", rows)
        return f"sqlite:///{tmp_path / name}"

    return make


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)


def refusal(uri, query="select 1 as x", match=None):
    """The message of the error, of which nothing may hold the password."""
    with pytest.raises(DataError, match=match) as caught:
        read_query(uri, query)
    everything = "".join(traceback.format_exception(caught.value))
    for secret in (PASSWORD, quote(PASSWORD, safe=""), "wrong-one"):
        assert secret not in everything
    assert str(caught.value).endswith((".", "?"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["postgresql://user:pw@host/db", "postgres://host", "PostgreSQL://host/db", "postgresql+psycopg://host/db",
     "postgresql:///db?host=/run", "sqlite:///file.db", "sqlite:////file.db", "mysql://host/db", "snowflake://a/b"],
)  # fmt: skip
def test_addresses_of_databases(source):
    assert is_database(source)


@pytest.mark.parametrize(
    "source", ["digits", "file.db", "postgresql", "postgresql:", "C:\\x.csv", "C://x.csv", "https://host/x", "", "://"]
)
def test_what_is_no_address_of_a_database(source):
    assert not is_database(source)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://user:secret@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgres://user:se%40cret@host", "postgres://user:***@host"),
        ("postgresql://user:s:e@c/r?e=t@host/db?sslmode=require", "postgresql://user:***@host/db?sslmode=require"),
        ("postgresql://user@host:5432/db", "postgresql://user@host:5432/db"),
        ("postgresql://user@[::1]:5432/db", "postgresql://user@[::1]:5432/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("postgresql:///db?user=a&password=secret&port=1", "postgresql:///db?user=a&password=***&port=1"),
        ("postgresql:///db?PASSW%4FRD=a:b@c&sslpassword=d", "postgresql:///db?PASSW%4FRD=***&sslpassword=***"),
        ("mysql://user:secret@host/db", "mysql://user:***@host/db"),
        ("sqlite:///C:/x@y.db", "sqlite:///C:/x@y.db"),
        ("file.db", "file.db"),
    ],
)
def test_passwords_are_hidden(uri, shown):
    assert without_password(uri) == shown


@given(st.text())
def test_any_password_is_hidden(password):
    assert without_password(f"postgresql://user:{password}@host/db") == "postgresql://user:***@host/db"


def test_postgresql_types_and_values(server):
    table = read_query(server.uri(), "select * from cells")
    assert {field.name: str(field.type) for field in table.schema} == {
        "i2": "int16",
        "i4": "int32",
        "i8": "int64",
        "f4": "float",
        "f8": "double",
        "fixed": "double",
        "free": "double",
        "truth": "bool",
        "words": "string",
        "short": "string",
        "day": "date32[day]",
        "wall": "timestamp[us]",
        "world": "timestamp[us, tz=UTC]",
        "clock": "time64[us]",
    }
    first, empty, last = table.to_pylist()
    assert first == {
        "i2": -1,
        "i4": 2,
        "i8": EXACT,
        "f4": 1.5,
        "f8": 0.1,
        "fixed": 123.456,
        "free": 1e20,
        "truth": True,
        "words": "größe",
        "short": "x",
        "day": date(2020, 2, 29),
        "wall": datetime(2020, 1, 2, 3, 4, 5, 678901),
        "world": datetime(2020, 7, 2, 1, 4, 5, tzinfo=UTC),
        "clock": time(3, 4, 5),
    }
    assert set(empty.values()) == {None}
    assert last["f8"] == -math.inf
    assert math.isnan(last["free"])
    assert last["truth"] is False


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("count(*)", "int64", 3),
        ("avg(i4)", "double", 2.0),
        ("sum(i8)", "double", float(EXACT)),
        ("max(i4) / 3.0", "double", 2 / 3),
        ("max(123456789012345678901234567890.125)", "double", 1.2345678901234568e29),
        ("max('Infinity'::numeric)", "double", math.inf),
        ("max(null::numeric)", "double", None),
        ("min('ok'::text)::name", "string", "ok"),
    ],
)
def test_postgresql_expressions(server, expression, kind, value):
    table = read_query(server.uri(), f"select {expression} as x from cells")
    assert (str(table["x"].type), table["x"].to_pylist()) == (kind, [value])


def test_postgresql_rows_become_a_source(server):
    query = "select length, legs, length::numeric(8, 2) as rounded, legs > 3 as many from animals order by length"
    source = Source.of_frame(frame_of_table(read_query(server.uri(), query))).as_numbers()
    i = np.arange(1, 3001)
    assert source.columns == ("length", "legs", "rounded", "many")
    np.testing.assert_array_equal(source.values, np.column_stack([i / 4, i % 7, i / 4, i % 7 > 3]))
    whole = Source.of_frame(frame_of_table(read_query(server.uri(), "select legs from animals"))).as_numbers()
    assert whole.values.dtype == np.int32


def test_forms_of_a_postgresql_address(server, monkeypatch):
    tail = server.uri().partition("://")[2]
    word = quote(PASSWORD, safe="")
    place = f"user={USER}&port={server.port}"
    for uri in (
        f"postgres://{tail}",
        f"PostgreSQL://{tail}",
        f"postgresql+psycopg://{tail}",
        f"postgresql://{tail}?connect_timeout=5&application_name=vaekit",
        f"postgresql://{tail}?",
        f"postgresql:///postgres?host={server.folder}&{place}&password={word}",  # the socket
    ):
        assert read_query(uri, "select 1 as x").to_pydict() == {"x": [1]}
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "5")
    assert read_query(f"postgresql://127.0.0.1/postgres?{place}", "select 1 as x").to_pydict() == {"x": [1]}


ENDINGS = [
    "select 1 as x;",
    "select 1 as x -- done",
    " \n select 1 as x ;\n",
    "select 1 as x /* ; */",
    "select 1 as x --;",
]


@pytest.mark.parametrize("query", [*ENDINGS, "with t as (select 1 as x) select * from t"])
def test_ends_and_beginnings_of_queries(server, sqlite, query):
    for uri in (server.uri(), sqlite()):
        assert read_query(uri, query).to_pydict() == {"x": [1]}


def test_postgresql_is_only_read(server):
    server.execute("create table kept as select generate_series(1, 3) as x")
    assert read_query(server.uri(), "delete from kept returning x").to_pydict() == {"x": [1, 2, 3]}
    for query in ("delete from kept", "drop table kept", "insert into kept values (4)", "commit"):
        refusal(server.uri(), query, "The query returned no columns")
    refusal(server.uri(), "delete from kept; commit", "single valid statement of SQL")
    assert read_query(server.uri(), "select x from kept").to_pydict() == {"x": [1, 2, 3]}


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("select * from nothing", "must name tables that exist. Got 'relation \"nothing\" does not exist' from"),
        ("select height from animals", "must name columns that exist. Got 'column \"height\" does not exist'"),
        ("select legs\nfrom animals\nwher legs > 3", "statement of SQL. Got 'syntax error at or near \"legs\"' from"),
        ("select 1 as x; select 2 as x", "single valid statement of SQL. Got 'cannot insert multiple commands"),
        ("select nosuch(1)", "without an error. Got 'function nosuch.integer. does not exist'.*type casts.$"),
        ("select 1 / 0 as x", "must run without an error. Got 'division by zero' from 'postgresql://tester:"),
        ("select 1 / (legs - 3) as x from animals", "must run without an error. Got 'division by zero' from"),
        ("select legs from animals where false", "The query returned no rows from 'postgresql://tester:"),
        ("select from animals", "The query returned no columns"),
        ("-- only a comment", "The query returned no columns"),
        ("select legs, length as legs from animals", "different names. Got 'legs' twice.*Rename one column with `as`"),
        ("", "A database needs a query .data.query.. Pass a query, such as 'select"),
        (" \n", "A database needs a query"),
    ],
)
def test_queries_that_postgresql_refuses(server, query, match):
    refusal(server.uri(), query, match)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("array[1, 2]", "_int4"),
        ("row(1, 'x')", "record"),
        ("'\\x00'::bytea", "bytea"),
        ("'{\"a\": 1}'::jsonb", "jsonb"),
        ("now() - now()", "interval"),
        ("3.5::money", "money"),
        ("gen_random_uuid()", "uuid"),
        ("point(1, 2)", "point"),
        ("'1.2.3.4'::inet", "inet"),
    ],
)
def test_exotic_columns_of_postgresql_are_named(server, expression, kind):
    message = refusal(server.uri(), f'select 1 as fine, {expression} as "the odd" from animals')
    assert f"Got column 'the odd' of type {kind} instead. Leave it out, or turn it into numbers" in message


def test_a_user_who_may_not_read(server):
    refusal(
        server.uri("guest", "guest"),
        "select * from animals",
        "must have the right to read the tables in the query. Got 'permission denied for table animals'",
    )


def test_a_wrong_password_is_told_and_not_shown(server):
    message = refusal(server.uri(password="wrong-one"), match="the user name and the password must be correct")
    assert f'password authentication failed for user "{USER}"' in message
    assert f"from 'postgresql://{USER}:***@127.0.0.1:{server.port}/postgres'" in message
    refusal(
        f"postgresql://{USER}@127.0.0.1:{server.port}/postgres", match="password must be correct.*no password suppl"
    )
    refusal(f"postgresql://127.0.0.1:{server.port}/postgres?user={USER}&password=wrong-one", match="must be correct")


def test_a_database_that_does_not_exist(server):
    message = refusal(server.uri(database="nowhere"), match="^the database must exist")
    assert 'database "nowhere" does not exist' in message


def test_a_server_that_cannot_be_reached():
    with socket.socket() as free:  # bound, and not listened at
        free.bind(("127.0.0.1", 0))
        uri = f"postgresql://user:wrong-one@127.0.0.1:{free.getsockname()[1]}/db"
        message = refusal(uri, match="the database server must be reachable")
    assert "Connection refused" in message
    assert f"'{without_password(uri)}'" in message
    assert "Check the host and the port" in message
    refusal("postgresql://user:wrong-one@nowhere.invalid/db", match="must be reachable")
    refusal("postgresql://user:wrong-one@[::1/db", match="must be reachable")  # of which the driver shows all


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://user:se@wrong-one@host/db",
        "postgresql://user:se/wrong-one@host/db",
        "postgresql://user:se?wrong-one@host/db",
        "postgresql://user:se?x=wrong-one@host/db",
        "postgresql://user:wrong-one%zz@host/db",
        "postgresql://user:wrong-one%00@host/db",
        "postgresql://user:wrong-one%@host/db",
        "postgresql:///db?password=wrong-one@host",
    ],
)
def test_a_password_that_is_not_encoded_is_told_and_not_shown(uri):
    refusal(uri, match="special characters must be encoded.*Got 'postgresql://.*write %40 for @")


def test_parameters_of_an_address():
    refusal("postgresql:///db?sslmode", match=r"of the form \?name=value&name=value")
    refusal("postgresql:///db?a=b=c", match=r"of the form \?name=value&name=value")


@pytest.mark.parametrize("uri", ["mysql://user:wrong-one@host/db", "oracle+driver://user:wrong-one@host/db"])
def test_other_databases_are_refused_with_those_that_are_known(uri):
    message = refusal(uri, match="of the form postgresql://.*, postgres://.* or sqlite:///file.db")
    assert f"Got '{uri.partition(':')[0]}://…' instead" in message
    refusal("file.db", match="of the form postgresql://.*Got one without ://")


def test_sqlite_types_and_values(sqlite):
    uri = sqlite(
        "create table t (i integer, r real, fixed decimal(10, 2), truth boolean, words text, day date, n numeric)",
        rows=[(EXACT, 0.1, 1.5, True, "größe", "2020-02-29", 7), (None,) * 7, (-1, 2, 2, False, "1", "", 0.5)],
    )
    table = read_query(uri, "select * from t")
    assert {field.name: str(field.type) for field in table.schema} == {
        "i": "int64",
        "r": "double",
        "fixed": "double",
        "truth": "int64",
        "words": "string",
        "day": "string",
        "n": "double",
    }
    assert table.to_pydict() == {
        "i": [EXACT, None, -1],
        "r": [0.1, None, 2.0],
        "fixed": [1.5, None, 2.0],
        "truth": [1, None, 0],
        "words": ["größe", None, "1"],
        "day": ["2020-02-29", None, ""],
        "n": [7.0, None, 0.5],
    }
    mixed = read_query(uri, "select count(*) as n, avg(r) as mean, max(i) > 3 as large from t")
    assert mixed.to_pydict() == {"n": [3], "mean": [(0.1 + 2) / 2], "large": [1]}


def test_types_that_show_in_late_rows_of_sqlite(sqlite):
    rows = [(i, None, i, None) for i in range(5000)] + [(0.5, 2.5, 5000, "late")]
    table = read_query(
        sqlite("create table t (number numeric, gaps real, whole integer, words)", rows=rows), "select * from t"
    )
    assert table["number"].to_pylist() == [*map(float, range(5000)), 0.5]
    assert table["gaps"].to_pylist() == [None] * 5000 + [2.5]
    assert table["whole"].to_pylist() == list(range(5001))
    assert table["whole"].type == pa.int64()
    assert table["words"].to_pylist() == [None] * 5000 + ["late"]


def test_sqlite_rows_become_a_source(sqlite):
    uri = sqlite("create table t (a real, b integer)", rows=[(i / 8, i) for i in range(2000)])
    source = Source.of_frame(frame_of_table(read_query(uri, "select a, b from t where b >= 10"))).as_numbers()
    assert source.columns == ("a", "b")
    np.testing.assert_array_equal(source.values, [(i / 8, i) for i in range(10, 2000)])
    with pytest.raises(DataError, match=r"an empty cell in column 'c', row 5 \(1995 of its 2000"):
        Source.of_frame(
            frame_of_table(read_query(uri, "select a, case when b < 5 then b end as c from t"))
        ).as_numbers()


@pytest.mark.parametrize("name", ["x.db", "größe und 50%41 ?#&@:.db", "no-ending"])
def test_paths_of_sqlite(sqlite, name, monkeypatch, tmp_path):
    uri = sqlite("create table t (x)", name=name, rows=[(5,)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for form in (uri, f"sqlite:///{name}", f"sqlite:///./{name}", f"sqlite:///~/{name}", f"SQLite:///{name}"):
        assert read_query(form, "select x from t").to_pydict() == {"x": [5]}


def test_a_missing_sqlite_file_is_not_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for uri in ("sqlite:///x.db", f"sqlite:///{tmp_path}/x.db", "sqlite:///nowhere/x.db", f"sqlite:///{tmp_path}"):
        refusal(uri, match=f"the SQLite file must exist. Got '{tmp_path}")
    refusal("sqlite:///:memory:", match="must exist")
    assert list(tmp_path.iterdir()) == []


def test_an_absolute_path_with_too_few_slashes(sqlite, tmp_path, monkeypatch):
    uri = sqlite("create table t (x)", rows=[(5,)])
    monkeypatch.chdir("/")
    monkeypatch.chdir(tmp_path)
    assert refusal(uri.replace("////", "///"), match="must exist").endswith(f"Did you mean '{uri}'?")


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite://x.db"])
def test_a_sqlite_address_without_a_path(uri):
    refusal(uri, match="must be of the form sqlite:///file.db. Got 'sqlite://")


def test_sqlite_is_only_read(sqlite, tmp_path):
    uri = sqlite("create table t (x)", rows=[(1,), (2,)])
    before = (tmp_path / "x.db").read_bytes()
    for query in ("delete from t returning x", "insert into t values (3)", "create table u (x)", "drop table t"):
        refusal(uri, query, "the query must only read data. Got 'attempt to write a readonly database'")
    for query in (
        "select x from t; delete from t",
        "select x from t; select 1",
        "select ';' as x; /* and */ select 1;",
    ):
        refusal(uri, query, "single valid statement of SQL. Got 'You can only execute one statement at a time")
    assert (tmp_path / "x.db").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("query", ["attach 'y.db' as y", "vacuum into 'y.db'"])
def test_sqlite_makes_no_other_file(sqlite, tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    uri = sqlite("create table t (x)", rows=[(1,), (2,)])
    refusal(uri, query, "the query must only read data. Got 'too many attached databases")
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]


def test_rows_that_another_program_has_just_written(sqlite, tmp_path):
    uri = sqlite("create table t (x)")
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("insert into t values (1)")
        connection.commit()
        connection.execute("insert into t values (2)")
        assert read_query(uri, "select x from t").to_pydict() == {"x": [1]}


@pytest.mark.parametrize(
    ("query", "match"),
    [
        ("select * from absent", "must name tables that exist. Got 'no such table: absent' from 'sqlite:///.*x.db'"),
        ("select y from t", "must name columns that exist. Got 'no such column: y' from"),
        ("selct x from t", "statement of SQL. Got 'near \"selct\": syntax error' from"),
        ("select (1", "statement of SQL. Got 'incomplete input'"),
        ("select abs(-9223372036854775807 - 1) as x", "must run without an error. Got 'integer overflow'"),
        ("select x from t where x > 9", "The query returned no rows from 'sqlite:///"),
        ("select x, 1 as x from t", "different names. Got 'x' twice"),
        ("select 1 as fine, x'00' as odd", "numbers, truth values.*Got column 'odd' of type binary"),
        ("", "A database needs a query"),
    ],
)
def test_queries_that_sqlite_refuses(sqlite, query, match):
    refusal(sqlite("create table t (x)", rows=[(1,)]), query, match)


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "x.db").write_text("length,mass\n" * 100)
    refusal(f"sqlite:///{tmp_path}/x.db", "select * from t", "must be a SQLite database. Got 'file is not a database'")


@pytest.mark.parametrize("missing", ["adbc_driver_manager", "adbc_driver_postgresql.dbapi"])
def test_missing_packages_are_told_with_how_to_get_them(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    message = refusal(
        "postgresql://user:wrong-one@host/db", match=f"The package {missing}, which reads databases, is not installed"
    )
    assert message.endswith("Run: pip install 'vaekit[sql]'.")


def test_sqlite_needs_no_further_package(sqlite, monkeypatch):
    for name in ("polars", "adbc_driver_manager", "adbc_driver_sqlite", "adbc_driver_sqlite.dbapi"):
        monkeypatch.setitem(sys.modules, name, None)
    assert read_query(sqlite("create table t (x)", rows=[(7,)]), "select x from t").to_pydict() == {"x": [7]}


@pytest.mark.parametrize("block", [2, 1000])
def test_cells_of_sqlite_come_as_they_are_written_whatever_stands_beside_them(sqlite, monkeypatch, block):
    monkeypatch.setattr(database, "_ROWS", block)
    rows = [(7, 7, EXACT, None), (None, 0.1, 0.5, None), (123456789.123456, 1e300, None, None), ("02116", 3, 1, None)]
    table = read_query(sqlite("create table t (a, b, c, d)", rows=rows), "select * from t")
    assert [str(kind) for kind in table.schema.types] == ["string", "double", "string", "null"]
    assert table.to_pydict() == {
        "a": ["7", None, "123456789.123456", "02116"],
        "b": [7.0, 0.1, 1e300, 3.0],
        "c": [str(EXACT), "0.5", None, "1"],
        "d": [None] * 4,
    }


ENDLESS = "with recursive c(x) as (select 1 union all select x + 1 from c) select x from c"


@pytest.mark.parametrize(
    "query",
    [
        ENDLESS,
        "select a.x from t a, t b, t c, t d, t e, t f, t g",
        "select x, hex(zeroblob(9000)) as y from t, (select 1 from t)",
    ],
)
def test_an_answer_of_sqlite_without_end_is_refused_with_the_way_to_lift_it(sqlite, monkeypatch, query):
    monkeypatch.setenv("VAEKIT_LARGEST", "2e6")
    uri = sqlite("create table t (x)", rows=[(i,) for i in range(60)])
    message = refusal(uri, query, "at most 1.9 MiB after unpacking. Got .* in the result of the query so far")
    assert "set the environment variable VAEKIT_LARGEST=" in message


def test_an_answer_of_postgresql_without_end_is_refused_likewise(server, monkeypatch):
    monkeypatch.setenv("VAEKIT_LARGEST", "2e6")
    query = "select a.legs from animals a, animals b, animals c"
    refusal(server.uri(), query, "at most 1.9 MiB.*in the result of the query so far.*VAEKIT_LARGEST=")


@pytest.mark.parametrize("query", ["select zeroblob(500000000) as x", "select hex(zeroblob(200000000)) as x from t"])
def test_a_cell_of_sqlite_that_is_too_long(sqlite, query):
    refusal(sqlite("create table t (x)", rows=[(1,)]), query, "must not be longer than 1/64.*VAEKIT_LARGEST")


def test_a_sqlite_file_that_is_damaged(sqlite, tmp_path):
    uri = sqlite("create table t (x)", rows=[("word" * 100,) for _ in range(500)])
    content = bytearray((tmp_path / "x.db").read_bytes())
    content[4096:20000] = b"?" * (20000 - 4096)
    (tmp_path / "x.db").write_bytes(content)
    refusal(uri, "select x from t", "the SQLite file must be undamaged. Got 'database disk image is malformed'")


def test_text_of_sqlite_that_is_no_utf8(sqlite):
    uri = sqlite("create table t (x)", "insert into t values (cast(x'fffe' as text))")
    refusal(uri, "select x from t", "text must be encoded in UTF-8. Got 'Could not decode to UTF-8 column 'x'")


@pytest.mark.parametrize("module", [addresses, database])
def test_the_module_imports_nothing_heavy(module):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert names <= {*sys.stdlib_module_names, "collections.abc", "urllib.parse", addresses.__name__, "vaekit.errors"}
