"""Parquet files that are damaged, hostile, huge once unpacked, or merely unusual."""

import datetime
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vaekit.data import open_both, open_source
from vaekit.data.readers import pieces as pieces_module
from vaekit.data.tables.checks import check_cells, check_columns
from vaekit.data.tables.frame import frame_of_table
from vaekit.data.tables.inference import infer_columns
from vaekit.errors import DataError

RNG = np.random.default_rng(0)


def as_text(cells):
    """Bytes under the name of text, be they text or not."""
    raw = pa.array(cells)
    return pa.StringArray.from_buffers(len(raw), raw.buffers()[1], raw.buffers()[2])


def written(path, table, **options):
    pq.write_table(table, path / "x.parquet", **options)
    return path / "x.parquet"


def describe(path):
    return open_both(path)[0]


def refusal(path):
    with pytest.raises(DataError) as caught:
        describe(path)
    return str(caught.value)


def days(*numbers):
    return pa.array(numbers, pa.date32())


@pytest.mark.parametrize(
    ("cells", "row"),
    [
        (days(*[0] * 69, 2_932_897), 69),  # the first day of the year 10000
        (days(*[0] * 69, -719_163), 69),  # the last day before the year 1
        (pa.array([0] * 66_000 + [2**62], pa.timestamp("us")), 66_000),  # in the second batch
        (pa.array([0, -(2**63), 0], pa.timestamp("ms")), 1),
        (pa.array([0, 253_402_300_800], pa.timestamp("s")), 1),
        (pa.array([253_402_300_799, 0], pa.timestamp("s", "Europe/Berlin")), 0),  # a year 10000 in Berlin
        (pa.array([None, -62_135_596_801], pa.timestamp("s")).dictionary_encode(), 1),
        (pa.array([0, 253_402_300_800_000], pa.date64()), 1),
    ],
)
def test_dates_outside_the_calendar_are_refused_with_their_row(tmp_path, cells, row):
    table = pa.table({"x": RNG.normal(size=len(cells)), "when": cells})
    sentence = rf"Column 'when' holds a date outside the years 1 to 9999 in row {row}. Correct"
    with pytest.raises(DataError, match=sentence):
        frame_of_table(table)
    assert f"1 to 9999 in row {row}." in refusal(written(tmp_path, table))


def test_the_first_and_last_days_of_the_calendar_and_nanoseconds_are_taken(tmp_path):
    fine = pa.array(RNG.integers(0, 2**60, 60), pa.timestamp("ns"))
    ends = days(*([-719_162, 2_932_896] * 30))
    table = pa.table({"ends": ends, "fine": fine, "zoned": fine.cast(pa.timestamp("ns", "+05:30"))})
    source = describe(written(tmp_path, table))
    assert [column.kind for column in source.table] == ["datetime"] * 3
    np.testing.assert_array_equal(source.values[:2, 0], [-62_135_596_800e6, 253_402_214_400e6])
    np.testing.assert_allclose(source.values[:, 1], fine.cast(pa.int64()).to_numpy() / 1000, rtol=1e-12)
    assert source.frame.table()["ends"][:2].to_pylist() == [datetime.date.min, datetime.date.max]


@pytest.mark.parametrize("zone", ["Nowhere/Land", "+99:99", "../../etc/passwd", "x" * 1000])
def test_unknown_time_zones_are_refused_by_name(tmp_path, zone):
    message = refusal(
        written(tmp_path, pa.table({"x": [1.0, 2.0], "when": pa.array([1, 2], pa.timestamp("us", zone))}))
    )
    assert message.startswith(f"the dates of column 'when' must have a known time zone. Got '{zone[:90]}")
    assert len(message) < 300


@pytest.mark.parametrize("encode", [False, True])
@pytest.mark.parametrize("bad", [b"\xff\xfe", b"\xed\xa0\x80", b"K\xf6ln"])
def test_text_that_is_no_utf8_is_refused_with_column_and_row(tmp_path, encode, bad):
    cells = as_text([b"Ulm"] * 40 + [bad] + [b"Bonn"] * 40)
    table = pa.table({"x": RNG.normal(size=81), "city": cells.dictionary_encode() if encode else cells})
    for store in (True, False):
        message = refusal(written(tmp_path, table, store_schema=store))
        assert message.startswith("every cell of column 'city' must be valid for its type, ")
        assert "Invalid UTF8" in message
        assert "in row " in message
        assert encode or "in row 40 (" in message


def test_a_damaged_file_is_one_refusal_wherever_the_damage_is(tmp_path):
    table = pa.table(
        {"x": RNG.normal(size=300), "city": RNG.choice(["Bonn", "Ulm"], 300), "list": [[i] for i in range(300)]}
    )
    path = written(tmp_path, table, compression="zstd")
    content = path.read_bytes()
    messages = []
    for place in range(0, len(content), len(content) // 150):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            open_source(path).frame.table()
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 30
    assert max(map(len, messages)) < 700


def test_nested_columns_are_left_out_also_where_they_come_first(tmp_path):
    cells = {
        "list": pa.array([[i] for i in range(60)]),
        "bytes": [b"%d" % i for i in range(60)],
        "x": RNG.normal(size=60),
    }
    source = describe(written(tmp_path, pa.table(cells)))
    assert [column.kind for column in source.table] == ["text", "text", "real"]
    assert source.frame.table()["list"].to_pylist() == [[i] for i in range(60)]


def test_rows_without_end_in_a_small_file_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = written(tmp_path, pa.table({"a": np.zeros(2_000_000, np.int64), "b": np.zeros(2_000_000, np.int64)}))
    monkeypatch.setenv("VAEKIT_LARGEST", "2e7")
    assert path.stat().st_size < 100_000
    message = refusal(path)
    assert message.startswith("data must take at most 19.1 MiB after unpacking. Got 30.5 MiB in 'x.parquet' instead.")
    assert "VAEKIT_LARGEST=33554432" in message
    monkeypatch.setenv("VAEKIT_LARGEST", "33554432")
    assert open_source(path).frame.rows == 2_000_000


@pytest.mark.parametrize("store", [True, False])
def test_a_text_that_is_stored_once_and_used_often_is_unpacked_in_pieces(tmp_path, monkeypatch, store):
    monkeypatch.setattr(pieces_module, "PIECE", 10_000)
    words = pa.array(["x" * 3000, "y" * 5000, "short", None])
    table = pa.table({"text": words.take(pa.array([0, 1, 2, 3] * 50)).dictionary_encode(), "row": np.arange(200)})
    source = open_source(written(tmp_path, table, store_schema=store))
    frame = source.frame
    pieces = list(frame.read())
    assert max(len(piece) for piece in pieces) <= 8
    assert pa.concat_tables(pieces)["row"].to_pylist() == list(range(200))
    assert frame.table()["text"].cast(pa.string()).to_pylist() == words.to_pylist() * 50
    monkeypatch.setenv("VAEKIT_LARGEST", "3e5")
    with pytest.raises(DataError, match=r"Got (29|3\d)\d.\d KiB in the text of 'x.parquet' instead.*VAEKIT_LARGEST"):
        list(open_source(source.origin).frame.read())


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = written(tmp_path, pa.table({"a": np.arange(30)}))
    frame = open_source(path).frame
    written(tmp_path, pa.table({"a": np.arange(20)}))
    with pytest.raises(
        DataError, match=r"must not change while it is read. Got '.*x.parquet' \(20 rows, where there were 30\)"
    ):
        frame.table()


def test_columns_are_compared_in_linear_time():
    names = [f"column {i}" for i in range(100_000)]
    schema = pa.schema([(name, pa.int8()) for name in names])
    thread = threading.Thread(target=check_columns, args=(schema, 1), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    with pytest.raises(DataError, match="'column 7' twice"):
        check_columns(schema.append(pa.field("column 7", pa.int8())), 1)


def test_of_many_columns_only_some_are_features_of_the_others(monkeypatch):
    from vaekit.data.tables.inference import infer

    calls = []
    monkeypatch.setattr(infer, "normal_scores", lambda x: calls.append(0) or np.zeros(len(x)))
    table = pa.table({f"c{i}": RNG.integers(0, 5, 40) if i % 2 else RNG.normal(size=40) for i in range(600)})
    assert {column.kind for column in infer_columns(frame_of_table(table))} >= {"real"}
    assert len(calls) == infer.PROFILE + infer.FEW


def test_missing_columns_are_listed_shortly():
    frame = frame_of_table(pa.table({"a": [1, 2]}))
    with pytest.raises(DataError) as caught:
        frame.in_order(["x" * 1000, *(f"c{i}" for i in range(60_000))])
    assert len(str(caught.value)) < 1000
    assert "(60,001 in total)" in str(caught.value)


def test_whole_cells_pass():
    table = pa.table(
        {"a": ["ä", None], "d": days(0, None), "n": pa.nulls(2), "l": [[1], None], "x": [float("inf"), 1.0]}
    )
    check_cells(table)
    check_cells(table.slice(0, 0))
