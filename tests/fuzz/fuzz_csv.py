"""Damaged and hostile text tables: `describe` takes them or refuses them, and does nothing else."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
from common import damaged, fuzz
from rich.console import Console

from vaekit.cli import tables

HOSTILE = (
    *("\x00", '"', "\n", "\r", ",", "\t", ";", "|", "9" * 400, "1e999", "-1e999", "nan", "inf", "0x1F", "1e-320", "+7"),
    *("9999-12-31", "0000-00-00", "0000-01-01", "10000-01-01", "-0001-01-01", "2020-02-30", "0001-01-01 00:00+14:00"),
    *("9999-12-31 23:59:59.999999", "9999-12-31 23:00-12:00", "2020-01-01T00:00:00+99:99", "2020-01-01 25:00"),
    *("2020-01-01 00:00:00.123456789", "292278-01-01", "31.12.2020", "12/31/2020", "20201231", "true", "NA", "007"),
    *("[bold]", "[/bold]", "\x1b[31m", "<script>", "=cmd()", "\U0001f600" * 30, "a" * 5000, "99999999999999999999"),
    *("9223372036854775807", "-9223372036854775808", "18446744073709551616", "\u00a0", "\u2028", "\ufeff", "١٢"),
)
BYTES = (b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xfe\xff", b"\xc3", b"\x00" * 60)


def table(rng: np.random.Generator) -> list[list[str]]:
    """A table of all kinds of cells with names above them."""
    names = ["id", "x", "city", "n", "when", "yes", "hole", "quoted", "zip", "moment"]
    rows = [
        [
            *(str(i), f"{rng.normal():.3f}", ("Bonn", "Ulm", "Köln, am Rhein")[i % 3], str(rng.integers(0, 9))),
            *(
                f"2020-{1 + i % 12:02d}-{1 + i % 28:02d}",
                ("true", "false")[i % 2],
                "" if i % 7 == 0 else f"{i / 8:.2f}",
            ),
            *(f'say "{i % 5}"', f"{i % 90:05d}", f"2021-01-01 {i % 24:02d}:00:00"),
        ]
        for i in range(60)
    ]
    return [names, *rows]


def written(rows: list[list[str]], separator: str) -> bytes:
    """The bytes of a file; what is hostile is quoted only now and then, as people do."""
    lines = [separator.join('"' + c.replace('"', '""') + '"' if '"' in c or ", " in c else c for c in r) for r in rows]
    return ("\n".join(lines) + "\n").encode()


def check(rng: np.random.Generator, folder: Path) -> str:
    """Describe one damaged file."""
    rows = table(rng)
    if rng.random() < 0.5:  # a hostile cell, or a column of them
        word, column = HOSTILE[rng.integers(len(HOSTILE))], int(rng.integers(10))
        where = slice(None) if rng.random() < 0.1 else slice(1, None) if rng.random() < 0.4 else slice(9, 10)
        for row in rows[where]:
            row[column] = word
    content = written(rows, ",;\t|"[rng.integers(4)])
    if rng.random() < 0.1:
        place = int(rng.integers(len(content)))
        content = content[:place] + BYTES[rng.integers(len(BYTES))] + content[place:]
    if rng.random() < 0.4:
        content = damaged(content, rng)
    path = folder / "x.csv"
    if packed := rng.random() < 0.4:
        path, content = folder / "x.csv.gz", gzip.compress(content, mtime=0)
    path.write_bytes(damaged(content, rng) if packed and rng.random() < 0.7 else content)
    return describe(path)


def describe(source: Path | str) -> str:
    """Describe a source as the command line does, into the void."""
    tables.console = Console(file=io.StringIO(), width=120)
    tables.show_source(str(source), [])
    return "described"


if __name__ == "__main__":
    fuzz(check)
