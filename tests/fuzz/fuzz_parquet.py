"""Damaged Parquet files, and whole ones of hostile cells and types: `describe` takes them or refuses them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from common import damaged, fuzz
from fuzz_csv import describe

ROWS = 60
DATES = (pa.date32(), pa.date64(), *(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")))
ZONES = ("UTC", "Europe/Berlin", "+05:30", "Nowhere/Land", "+99:99", "../../etc/passwd", "x" * 300)
EXTREMES = (0, 1, -1, 2**31 - 1, -(2**31), 2_932_897, -719_163, 253_402_300_800, -62_135_596_801, 2**62, -(2**62), 2**63 - 1, -(2**63))  # fmt: skip


@cache
def usual(version: int) -> pa.Table:
    """A table of all plain types, or one of nested and rare ones."""
    rng = np.random.default_rng(version)
    if version:
        return pa.table(
            {
                "x": rng.normal(size=ROWS),
                "list": pa.array([[i, i + 1] for i in range(ROWS)]),
                "deep": pa.array([[[str(i)], []] for i in range(ROWS)]),
                "struct": pa.array([{"a": i, "b": {"c": str(i)}} for i in range(ROWS)]),
                "map": pa.array([[("k", i)] for i in range(ROWS)], pa.map_(pa.string(), pa.int32())),
                "bytes": pa.array([bytes([i]) for i in range(ROWS)]),
                "fixed": pa.array([bytes([i, i]) for i in range(ROWS)], pa.binary(2)),
                "time": pa.array([i * 1000 for i in range(ROWS)], pa.time32("ms")),
                "length": pa.array(list(range(ROWS)), pa.duration("us")),
                "null": pa.nulls(ROWS),
                "half": pa.array(rng.normal(size=ROWS).astype(np.float16)),
            }
        )
    return pa.table(
        {
            "x": pa.array(rng.normal(size=ROWS), mask=rng.random(ROWS) < 0.1),
            "single": rng.normal(size=ROWS).astype(np.float32),
            "n": rng.integers(0, 9, ROWS).astype(np.uint8),
            "big": rng.integers(-(2**62), 2**62, ROWS),
            "unsigned": rng.integers(0, 2**63, ROWS).astype(np.uint64),
            "city": pa.array(rng.choice(["Bonn", "Ulm", "Köln"], ROWS)),
            "label": pa.array(rng.choice(["a", "b"], ROWS)).dictionary_encode(),
            "yes": rng.random(ROWS) < 0.5,
            "day": pa.array(rng.integers(0, 20_000, ROWS).astype(np.int32), pa.date32()),
            "moment": pa.array(rng.integers(0, 2**50, ROWS), pa.timestamp("us", "Europe/Berlin")),
            "fine": pa.array(rng.integers(0, 2**60, ROWS), pa.timestamp("ns")),
            "price": pa.array([Decimal(int(n)) / 100 for n in rng.integers(0, 10_000, ROWS)], pa.decimal128(12, 2)),
        }
    )


def hostile(rng: np.random.Generator) -> pa.Array:
    """A column that an honest file hardly has."""
    some = rng.integers(0, 1000, ROWS)
    some[rng.integers(0, ROWS, 3 if rng.random() < 0.7 else 300)] = EXTREMES[rng.integers(len(EXTREMES))]
    kind = DATES[rng.integers(len(DATES))]
    if kind == pa.date32():
        some = some.clip(-(2**31), 2**31 - 1).astype(np.int32)
    text = [b"x", b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"[bold]", b"y" * 3000]
    makers: tuple[Callable[[], pa.Array], ...] = (
        lambda: pa.array(some, kind),
        lambda: pa.array(some.astype(np.int64), pa.timestamp("us", ZONES[rng.integers(len(ZONES))])),
        lambda: pa.array(some, kind).dictionary_encode(),
        lambda: _as_text([text[i] for i in rng.integers(0, len(text), ROWS)]),
        lambda: _as_text([text[i] for i in rng.integers(0, len(text), ROWS)]).dictionary_encode(),
        lambda: pa.array(rng.choice([np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, 0.0], ROWS)),
        lambda: pa.array([Decimal(10) ** int(d) for d in rng.integers(0, 70, ROWS)], pa.decimal256(76, 2)),
        lambda: pa.array([[None] * int(n) for n in rng.integers(0, 9, ROWS)], pa.list_(pa.null())),
        lambda: pa.array(rng.integers(0, 2**40, ROWS), pa.time64("us")),
    )
    return makers[rng.integers(len(makers))]()


def _as_text(cells: list[bytes]) -> pa.Array:
    """Bytes under the name of text, be they text or not."""
    raw = pa.array(cells)
    return pa.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2])


def check(rng: np.random.Generator, folder: Path) -> str:
    """Describe one file."""
    path, table = folder / "x.parquet", usual(int(rng.random() < 0.3))
    if whole := rng.random() < 0.25:
        table = table.append_column("hostile", pa.chunked_array([hostile(rng)]))
    try:
        pyarrow.parquet.write_table(
            table,
            path,
            row_group_size=int(rng.choice([7, ROWS])),
            compression=str(rng.choice(["none", "snappy", "zstd"])),
            use_dictionary=bool(rng.random() < 0.7),
            data_page_version=str(rng.choice(["1.0", "2.0"])),
            store_schema=bool(rng.random() < 0.7),
        )
    except (pa.ArrowException, OverflowError):
        return "not written"
    if not whole:
        content = path.read_bytes()
        if rng.random() < 0.5:  # the end says what the rest is
            tail = int(rng.integers(8, min(len(content), 8000)))
            path.write_bytes(content[:-tail] + damaged(content[-tail:], rng))
        else:
            path.write_bytes(damaged(content, rng))
    return describe(path)


if __name__ == "__main__":
    fuzz(check)
