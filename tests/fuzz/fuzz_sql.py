"""Damaged SQLite files, hostile cells and hostile queries: `describe` takes them or refuses them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import numpy as np
from common import damaged, fuzz
from fuzz_csv import HOSTILE, table

from vaekit.cli import tables
from vaekit.recipe import load_recipe

os.environ["VAEKIT_LARGEST"] = "2e6"

CELLS = (
    *(None, 0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63), 0.5, 1e308, -1e308, 5e-324, float("inf"), float("nan"), b"", b"\x00" * 9),
    *("", "x\x00y", "\x00", "1", "1.0", "1e5", "0x1f", "NULL", "nan", "2020-01-01", "0000-01-01", "9999-12-31", "ä" * 3000),
    *HOSTILE,
)  # fmt: skip
NAMES = ("a", "a b", "[bold]", "select", "ä", "x" * 300, "\x1b[31m", "", "data.columns", "a\nb")
QUERIES = (
    *("select * from t", "select * from t order by 1", "select rowid, * from t", "select city, n, x, hole from t"),
    *("select cast(x as blob) from t", "select cast(x'ff' || city as text) as c, x from t", "select city, count(*) from t"),
    *("select x, zeroblob(n * 1000) from t", "select x, hex(zeroblob(1000000)) from t", "select randomblob(9) || x from t"),
    *("select a.x, b.x as y, c.n from t a, t b, t c, t d, t e", "select x, n / 0 as z from t", "select x, x * 1e308 from t"),
    *("with recursive c(x) as (select 1 union all select x + 1 from c) select x from c", "select 1e999 as x, n from t"),
    *("select 1180591620717411303424 as big, n from t", "select n, x from t union all select x, city from t"),
    *("select date(n * 1e9, 'unixepoch') as d, x from t", "select json_array(n, x) as j, x from t", "pragma integrity_check"),
    *("select * from sqlite_master", "select group_concat(city) from t, t", "select abs(-9223372036854775807 - 1) as x"),
    *("explain select * from t", "attach 'y.db' as y", "vacuum into 'y.db'", "select load_extension('x')", "select x from t limit -1 offset 55"),
)  # fmt: skip


def check(rng: np.random.Generator, folder: Path) -> str:
    """Describe the answer to one query."""
    names, *rows = table(rng)
    if rng.random() < 0.3:
        names[rng.integers(len(names))] = NAMES[rng.integers(len(NAMES))]
    cells: list[list[object]] = [[_number(cell) for cell in row] for row in rows]
    for _ in range(int(rng.integers(0, 4))):
        where = slice(None) if rng.random() < 0.2 else slice(9, 10)
        value, column = CELLS[rng.integers(len(CELLS))], int(rng.integers(len(names)))
        for row in cells[where]:
            row[column] = value
    path = folder / "x.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"create table t ({', '.join(chr(34) + name + chr(34) for name in names)})")
        connection.executemany(f"insert into t values ({', '.join('?' * len(names))})", cells)
    if rng.random() < 0.6:
        path.write_bytes(damaged(path.read_bytes(), rng))
    query = QUERIES[0] if rng.random() < 0.5 else QUERIES[rng.integers(len(QUERIES))]
    tables.show_source(f"sqlite:///{path}", [f"data.query={query!r}"])
    return "described"


def _number(cell: str) -> object:
    """A cell as SQLite's users store it."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(cell)
    return cell or None


if __name__ == "__main__":
    load_recipe("auto")
    with open(os.devnull, "w") as nowhere:
        tables.console = tables.Console(file=nowhere, width=120)
        fuzz(check, memory_mb=1024)
