"""`vaekit.mapper`: one function from Arrow rows to Arrow rows, in this process and in those of engines."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import vaekit
from test_bits import TINY, make_table, tokens

EXAMPLE = Path(__file__).parent.parent / "examples" / "score_with_engines.py"
VERBS = ("score", "encode", "reconstruct", "impute", "explain")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = TINY | {"data.context": ["home"]}
    return vaekit.train(make_table(), settings=settings, out=tmp_path_factory.mktemp("runs") / "run")


def expected(run, verb, rows):
    """Return what the run's own method returns, as a table."""
    if verb == "score":
        return pa.table({"log_likelihood": run.score_samples(rows)})
    if verb == "encode":
        return pa.table({f"z{i}": column for i, column in enumerate(run.encode(rows).T)})
    return getattr(run, verb)(rows)


@pytest.mark.parametrize("verb", VERBS)
def test_results_are_those_of_the_run_whatever_the_batch(run, verb):
    rows = make_table()
    whole = expected(run, verb, rows)
    for mapped in (vaekit.mapper(run, verb), vaekit.mapper(run.path, verb), vaekit.mapper(str(run.path), verb)):
        found = [mapped(batch) for batch in rows.to_batches(max_chunksize=61)]
        assert found[0].schema == whole.schema
        assert tokens(pa.concat_tables(found)) == tokens(whole)


@pytest.mark.parametrize("verb", VERBS)
def test_a_batch_without_rows_has_the_columns_of_others(run, verb):
    mapped = vaekit.mapper(run, verb)
    nothing = mapped(make_table().schema.empty_table())
    assert len(nothing) == 0
    assert nothing.schema == mapped(make_table().slice(0, 5)).schema


def test_rows_of_numbers_without_missing_cells(table_run):
    rows = pa.table(dict(zip(table_run.column_names, np.random.default_rng(0).normal(size=(4, 9)), strict=True)))
    mapped = vaekit.mapper(table_run, "reconstruct")
    assert mapped(rows).column_names == table_run.column_names
    assert mapped(rows.slice(0, 0)).schema == mapped(rows).schema


CODE = """
import pickle, sys
import pyarrow.parquet as pq
with open(sys.argv[1], "rb") as file:
    mapped = pickle.load(file)
pq.write_table(mapped(pq.read_table(sys.argv[2])), sys.argv[3])
"""


def test_a_pickle_works_in_another_process_without_the_folder(run, tmp_path):
    """A run carries its files along, without training states; a path is loaded when the first rows come."""
    copy = tmp_path / "copy"
    run.save(copy)
    mapped, by_path = vaekit.mapper(vaekit.load(copy), "score"), vaekit.mapper(copy, "score")
    shutil.rmtree(copy)
    assert set(mapped.files) >= {"recipe.toml", "weights.safetensors"}
    assert len(pickle.dumps(by_path)) < 1000
    with pytest.raises(vaekit.VaekitError, match="There is no run folder"):
        by_path(make_table())
    (tmp_path / "mapper").write_bytes(pickle.dumps(mapped))
    pq.write_table(make_table(), tmp_path / "rows.parquet")
    words = [
        sys.executable,
        "-c",
        CODE,
        *(str(tmp_path / name) for name in ("mapper", "rows.parquet", "scores.parquet")),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (
        pq.read_table(tmp_path / "scores.parquet")["log_likelihood"].to_pylist()
        == run.score_samples(make_table()).tolist()
    )


def test_what_a_run_cannot_do_is_refused_at_once(run, digits_run, tmp_path):
    with pytest.raises(vaekit.VaekitError, match=r"the verb must be one of .* Did you mean 'score'\?"):
        vaekit.mapper(run, "scores")
    with pytest.raises(vaekit.VaekitError, match="needs a run on a mixed table"):
        vaekit.mapper(digits_run.path, "impute")
    with pytest.raises(vaekit.VaekitError, match="There is no run folder"):
        vaekit.mapper(tmp_path / "nowhere", "score")


def test_a_data_set_of_many_files_in_any_order(run, tmp_path):
    rows = make_table()
    for part in range(5):
        pq.write_table(rows.slice(part * 30, 30), tmp_path / f"{part}.parquet", row_group_size=7)
    mapped = vaekit.mapper(run, "impute")
    found = pa.concat_tables(map(mapped, ds.dataset(tmp_path).to_batches(batch_size=11)))
    assert tokens(found) == tokens(run.impute(rows))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["ray", "spark", "dask"])
def test_the_example_gives_the_bits_of_the_whole_with_every_engine(engine, tmp_path):
    pytest.importorskip({"spark": "pyspark", "dask": "dask.dataframe"}.get(engine, engine))
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    done = subprocess.run([sys.executable, EXAMPLE, tmp_path, "1", engine], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{engine}: 1000 rows, 0 of them differ from the whole" in done.stdout
