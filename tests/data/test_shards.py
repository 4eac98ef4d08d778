"""Tables in many files: in a folder, behind a pattern, or in a store; rows and columns do not depend on the cut."""

import itertools
import os
import pickle

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from vaekit.data import open_both, open_source
from vaekit.data.readers import pieces
from vaekit.data.readers.opening import find_source
from vaekit.data.readers.pieces import even_pieces
from vaekit.data.tables.inference import tally
from vaekit.errors import DataError

RNG = np.random.default_rng(0)


def mixed(rows=500):
    z = RNG.normal(size=rows)
    words = [f"w{i}" for i in RNG.integers(0, 40, rows)]
    return pa.table(
        {
            "n": np.arange(rows) * 7 % 31,
            "x": pa.array(z, mask=RNG.random(rows) < 0.1),
            "price": np.round(np.exp(z), 2),
            "word": words,
            "town": pa.array([["Bonn", "Ulm", None][i] for i in RNG.integers(0, 3, rows)]),
            "often": [f"z{i}" for i in RNG.zipf(1.3, rows) % 100],
            "text": [f"{word} and {i}" for i, word in enumerate(words)],
            "group": pa.array(words).dictionary_encode(),
            "day": pa.array(RNG.integers(0, 900, rows).astype(np.int32), pa.date32()),
            "yes": z > 0,
        }
    )


TABLE = mixed()


def write_csv(table, file, header=True):
    lines = [",".join(table.column_names)] if header else []
    lines += [",".join("" if cell is None else str(cell) for cell in row.values()) for row in table.to_pylist()]
    file.write(("\n".join(lines) + "\n").encode())


def write_stream(table, file):
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


WRITERS = {
    "parquet": pq.write_table,
    "arrow": lambda table, file: feather.write_feather(table, file, compression="zstd"),
    "arrows": write_stream,
    "csv": write_csv,
}


def store(folder, table, cuts, ending, names=None):
    """Write the rows between cuts to files whose names are in the order of the rows."""
    files, ends = fsspec.filesystem("memory"), [0, *sorted(cuts), len(table)]
    if files.exists(folder):
        files.rm(folder, recursive=True)
    names = names or [f"part-{i:04d}" for i in range(len(ends) - 1)]
    for name, start, end in zip(names, ends, ends[1:], strict=False):
        with files.open(f"{folder}/{name}.{ending}", "wb") as file:
            WRITERS[ending](table.slice(start, end - start), file)
    return f"memory:/{folder}"


@pytest.fixture
def small(monkeypatch):
    """Pieces, samples and lists of values that are small, so that many limits are met."""
    monkeypatch.setattr(pieces, "BATCH", 16)
    monkeypatch.setattr(pieces, "PIECE", 300)
    monkeypatch.setattr(tally, "DISTINCT", 20)
    monkeypatch.setattr(tally, "SAMPLE_CELLS", 0)


def opened(address):
    source = open_both(address)[0]
    return source.table, source.values


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("ending", ["parquet", "arrow", "arrows", "csv"])
@settings(
    max_examples=8, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_columns_and_codes_do_not_depend_on_the_cut_or_the_names(ending, data):
    cuts = data.draw(st.sets(st.integers(0, 250), min_size=1, max_size=12))
    names = sorted(
        data.draw(
            st.sets(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True), min_size=len(cuts) + 1, max_size=len(cuts) + 1)
        )
    )
    rows = TABLE.slice(0, 250)
    assert_same(opened(store("/cut", rows, cuts, ending, names)), opened(store("/whole", rows, [], ending)))


def assert_same(found, wanted):
    for a, b in zip(found[0], wanted[0], strict=True):
        assert a == b
    np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_1_7_and_64_cuts_of_many_rows_have_the_same_columns(ending):
    rows, rng = 70_000 if ending == "parquet" else 3000, np.random.default_rng(1)
    table = pa.table(
        {
            "x": rng.normal(size=rows),
            "id": rng.integers(0, 10**6, rows),
            "word": [f"w{i}" for i in rng.zipf(1.3, rows) % 50_000],
            "level": rng.integers(0, 5, rows),
        }
    )
    first = opened(store("/a", table, [], ending))
    for cut in (7, 64):
        ends = np.linspace(0, rows, cut + 1).astype(int)[1:-1]
        assert_same(opened(store("/b", table, ends, ending)), first)
    if ending == "parquet":
        assert_same(opened(table), first)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_pieces_are_the_longest_that_limits_allow(seed, packed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, rng.choice([3, 20, 60]), rng.integers(1, 60)).tolist()
    text, cuts = pa.array(["x" * n for n in lengths]), rng.integers(0, 61, rng.integers(0, 7)).tolist()
    table = pa.table({"text": text.dictionary_encode() if packed else text, "row": range(len(lengths))})
    ends = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "BATCH", 7)
        patch.setattr(pieces, "PIECE", 50)
        made = list(even_pieces(table.slice(a, b - a) for a, b in itertools.pairwise(ends)))
    assert [row for piece in made for row in piece["row"].to_pylist()] == list(range(len(lengths)))
    start = 0
    for piece in made:  # by brute force
        end = start + 1
        while end < len(lengths) and end - start < 7 and sum(lengths[start : end + 1]) <= 50:
            end += 1
        assert piece["row"].to_pylist() == list(range(start, end))
        start = end


def test_a_folder_of_hive_partitions_has_the_values_of_folders_as_columns(tmp_path):
    for year, town in ((2023, "Bonn"), (2024, "New%20York"), (2024, "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / f"year={year}" / f"town={town}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0, 2.0]}), folder / "a.parquet")
        (folder / "_SUCCESS").touch()
        (folder / ".a.parquet.crc").touch()
    wanted = {
        "x": [1.0, 2.0] * 3,
        "year": [2023] * 2 + [2024] * 4,
        "town": ["Bonn"] * 2 + ["New York"] * 2 + [None] * 2,
    }
    found = open_source(tmp_path).frame.table().to_pydict()
    order = np.argsort([f"{y}{t}" for y, t in zip(found["year"], found["town"], strict=True)], kind="stable")
    wanted_order = np.argsort([f"{y}{t}" for y, t in zip(wanted["year"], wanted["town"], strict=True)], kind="stable")
    for name in wanted:
        assert [found[name][i] for i in order] == [wanted[name][i] for i in wanted_order]
    assert open_source(str(tmp_path / "year=2023")).frame.names == ("x", "town")
    assert open_source(str(tmp_path / "year=*" / "*" / "*.parquet")).frame.names == ("x", "year", "town")


def test_values_of_folders_that_are_codes_stay_text():
    for month in ("01", "02", "12"):
        store(f"/months/month={month}", pa.table({"x": [1.0]}), [], "csv")
    table = open_source("memory://months").frame.table()
    assert table.schema.field("month").type == pa.string()
    assert table.to_pydict() == {"x": [1.0] * 3, "month": ["01", "02", "12"]}


def test_shards_are_sorted_and_say_what_they_are(tmp_path):
    for name in ("b.parquet", "a.parquet", "c.pq"):
        pq.write_table(pa.table({"x": [name]}), tmp_path / name)
    shards = find_source(str(tmp_path))
    assert [shard.address for shard in shards] == [str(tmp_path / n) for n in ("a.parquet", "b.parquet", "c.pq")]
    assert {shard.format for shard in shards} == {"Parquet"}
    again = pickle.loads(pickle.dumps(shards[1]))  # an engine sends them to its workers
    assert [batch.to_pydict() for batch in again.batches()] == [{"x": ["b.parquet"]}]


def test_an_empty_shard_has_no_batches_and_is_counted(tmp_path):
    pq.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    pq.write_table(TABLE, tmp_path / "b.parquet")
    assert list(find_source(str(tmp_path))[0].batches()) == []
    source = open_source(tmp_path)
    assert source.frame.rows == len(TABLE)
    assert source.notes == ("1 of 2 files have no rows, such as 'a.parquet'.",)


UNIONS = [
    (pa.array([1, 2], pa.int32()), pa.array([2**40, 3]), pa.int64()),
    (pa.array([1.5], pa.float32()), pa.array([1e300]), pa.float64()),
    (pa.array([1, 2]), pa.array([1.5, None]), pa.float64()),  # pandas writes integers with missing cells as floats
    (pa.array(["a"]), pa.array(["b"], pa.large_string()), pa.large_string()),
    (pa.nulls(2), pa.array(["b"]), pa.string()),
    (pa.nulls(2), pa.array(["b"]).dictionary_encode(), pa.dictionary(pa.int32(), pa.string())),
    (pa.array(["a", None]).dictionary_encode(), pa.array(["b"]), pa.string()),
    (pa.array(["a"]).cast(pa.dictionary(pa.int8(), pa.string())), pa.array(["b", "a"]).dictionary_encode(), pa.dictionary(pa.int32(), pa.string())),
    (pa.array([0], pa.timestamp("s")), pa.array([1], pa.timestamp("us")), pa.timestamp("us")),
]  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("first", "second", "kind"), UNIONS)
def test_types_that_agree_are_joined(tmp_path, first, second, kind, turned):
    first, second = (second, first) if turned else (first, second)
    pq.write_table(pa.table({"x": first, "y": range(len(first))}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"y": range(len(second)), "x": second}), tmp_path / "b.parquet")
    table = open_source(tmp_path).frame.table()
    assert table.schema.field("x").type == kind
    assert table["x"].to_pylist() == first.to_pylist() + second.to_pylist()


def test_types_that_differ_are_named_with_their_file(tmp_path):
    for i in range(5):
        cells = ["one", "two"] if i == 3 else [1, 2]
        pq.write_table(pa.table({"x": [1.5, 2], "n": cells}), tmp_path / f"{i}.parquet")
    with pytest.raises(
        DataError, match=r"column 'n' must have types that agree.*int64 in '.*0.parquet' and string in '.*3.p"
    ):
        open_source(tmp_path)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_missing_column_is_named_with_its_file(ending):
    table = pa.table({"x": [1.5, 2], "n": [1, 2]})
    address = store("/lack", table, [], ending, ["a"])
    with fsspec.filesystem("memory").open(f"/lack/b.{ending}", "wb") as file:
        WRITERS[ending](table.select(["x"]), file)
    with pytest.raises(
        DataError, match=rf"Column 'n' is missing in 'memory:///lack/b.{ending}', but '.*/a.{ending}' has it"
    ):
        open_source(address)


def test_csv_files_may_have_their_columns_in_another_order_and_their_own_comments():
    files = fsspec.filesystem("memory")
    files.pipe("/order/a.csv", b"# from a\na,b\n1,x\n")
    files.pipe("/order/b.csv", b"# from b\nb,a\ny,2\n")
    files.pipe("/order/c.csv", b"a,b\n")
    assert open_source("memory://order").frame.table().to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    files.pipe("/bare/a.csv", b"1,2\n3,4\n")
    files.pipe("/bare/b.csv", b"5,6\n")
    assert open_source("memory://bare").frame.table().to_pydict() == {"column0": [1, 3, 5], "column1": [2, 4, 6]}
    files.pipe("/bare/c.csv", b"5,6,7\n")
    with pytest.raises(DataError, match=r"as many columns as 'a.csv', 2. Got 3 in 'memory:///bare/c.csv'"):
        open_source("memory://bare")


@pytest.mark.parametrize("ending", ["parquet", "arrow", "csv.gz"])
def test_a_shard_cut_short_is_named(tmp_path, ending):
    import gzip

    for name in "ab":
        path = tmp_path / f"{name}.{ending}"
        if ending == "csv.gz":
            with gzip.open(path, "wb") as file:
                write_csv(TABLE, file)
        else:
            WRITERS[ending](TABLE, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"must be undamaged. Got '.*b.{ending}'"):
        open_source(tmp_path).frame.table()
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"b.{ending}"):
        open_source(tmp_path)


@pytest.mark.usefixtures("small")
def test_a_shard_that_vanishes_or_changes_during_the_pass_is_named(tmp_path):
    for name in "ab":
        pq.write_table(TABLE, tmp_path / f"{name}.parquet")
    frame = open_source(tmp_path).frame
    pq.write_table(TABLE.slice(7), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"must not change while it is read. Got '.*b.parquet' \(493 rows, where"):
        frame.table()
    rows = frame.read()
    next(rows)
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(DataError, match=r"The file '.*b.parquet' has vanished"):
        list(rows)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    (tmp_path / "a.parquet").chmod(0)
    with pytest.raises(DataError, match=r"no permission to read '.*a.parquet'"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{}/no*.parquet", "Nothing matches '.*/no*.parquet'. Pass a file, a folder or a pattern"),
        ("{}", r"must have one format. Got Arrow and Parquet files"),
        ("memory://nowhere", "Nothing matches 'memory://nowhere'"),
        ("ftp://host/x.parquet", r"must begin with one of memory://, .*Got 'ftp://host/x.parquet'"),
    ],
)
def test_an_address_without_a_table_is_refused(tmp_path, address, message):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    feather.write_feather(TABLE, tmp_path / "b.arrow")
    with pytest.raises(DataError, match=message.replace("no*", r"no\*")):
        open_source(address.format(tmp_path))


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    def lack(protocol):
        raise ImportError(f"install it for {protocol}")

    monkeypatch.setattr(fsspec.core, "get_filesystem_class", lack)
    with pytest.raises(DataError, match=r"Reading s3:// needs the package s3fs. Run: pip install 'vaekit\[cloud\]'"):
        find_source("s3://bucket/x.parquet")
    with pytest.raises(DataError, match=r"gs:// needs the package gcsfs. Run: pip install gcsfs"):
        find_source("gs://bucket/x.parquet")


def test_a_folder_with_parts_has_its_own_test_rows(tmp_path):
    for part, start in (("train", 0), ("test", 400)):
        (tmp_path / part).mkdir()
        pq.write_table(TABLE.slice(start, 400 - start or 100), tmp_path / part / "a.parquet")
    source = open_both(tmp_path)[0]
    assert (len(source.values), len(source.test.values)) == (400, 100)
    np.testing.assert_array_equal(source.test.values, open_both(TABLE.slice(0, 400), TABLE.slice(400))[1].values)


def test_a_pattern_may_match_parts(tmp_path):
    for i, part in enumerate(("train", "val", "test")):
        (tmp_path / part).mkdir()
        pq.write_table(TABLE.slice(10 * i, 10), tmp_path / part / "0.parquet")
    source = open_source(f"{tmp_path}/*/*.parquet")
    found = [part.frame.table() for part in (source, source.validation, source.test)]
    assert found == [TABLE.slice(10 * i, 10).replace_schema_metadata() for i in range(3)]
