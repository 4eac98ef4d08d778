"""Score rows with a run: in this process, and with Ray Data, Spark or Dask, whose results have the same bits.

python score_with_engines.py [FOLDER] [EPOCHS] [plain|ray|spark|dask]
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import vaekit
from vaekit.runs.mapper import Mapper


def plain(score: Mapper, folder: Path) -> pa.Table:
    """Read record batches, a part at a time, and score each."""
    batches = ds.dataset(folder).to_batches(columns=["id", "age", "work", "income"])
    return pa.concat_tables(add_score(score, batch) for batch in batches)


def ray(score: Mapper, folder: Path) -> pa.Table:
    """Map batches with Ray Data. Workers of half a processor each leave room for the task that reads."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    class Score:
        """Holds the mapper in a worker, so that the run is loaded once."""

        def __init__(self, score: Mapper) -> None:
            self.score = score

        def __call__(self, batch: pa.Table) -> pa.Table:
            return add_score(self.score, batch)

    try:
        rows = ray.data.read_parquet(str(folder))
        made = rows.map_batches(
            Score,
            fn_constructor_args=(score,),
            batch_format="pyarrow",
            batch_size=1024,
            num_cpus=0.5,
            compute=ray.data.ActorPoolStrategy(size=2),
        )
        return pa.concat_tables(made.iter_batches(batch_format="pyarrow", batch_size=None))
    finally:
        ray.shutdown()


def spark(score: Mapper, folder: Path) -> pa.Table:
    """Map record batches of each partition with Spark."""
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()

    def scored(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from add_score(score, batch).to_batches()

    try:
        rows = session.read.parquet(str(folder))
        return rows.mapInArrow(scored, "id long, log_likelihood double").toArrow()
    finally:
        session.stop()


def dask(score: Mapper, folder: Path) -> pa.Table:
    """Map partitions, which are pandas frames, with Dask."""
    import dask.dataframe as dd
    import pandas as pd

    def scored(frame: pd.DataFrame) -> pd.DataFrame:
        return add_score(score, pa.Table.from_pandas(frame, preserve_index=False)).to_pandas()

    meta = pd.DataFrame({"id": pd.Series(dtype="int64"), "log_likelihood": pd.Series(dtype="float64")})
    rows = dd.read_parquet(folder)
    return pa.Table.from_pandas(rows.map_partitions(scored, meta=meta).compute(scheduler="sync"), preserve_index=False)


def add_score(score: Mapper, batch: pa.RecordBatch | pa.Table) -> pa.Table:
    """Return the identifiers of rows with their scores."""
    columns = batch.select(["age", "work", "income"])
    return pa.table({"id": batch["id"], "log_likelihood": score(columns)["log_likelihood"]})


def make_rows(n: int) -> pa.Table:
    """Make a table of three columns and an identifier."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, n)
    work = np.where(age > 65, "retired", rng.choice(["city", "farm"], n))
    income = np.where(age > 65, 0.0, rng.lognormal(10, 0.5, n))
    return pa.table(
        {"id": np.arange(n), "age": pa.array(age, mask=rng.random(n) < 0.2), "work": work, "income": income}
    )


def main(folder: str | Path, epochs: int = 2, engine: str = "plain") -> None:
    """Train a small run, write its rows as Parquet files, and compare the scores of an engine with those of the whole."""
    folder = Path(folder)
    rows = make_rows(1000)
    run = vaekit.train(rows.drop_columns(["id"]), settings={"training.epochs": epochs}, out=folder / "run")
    (folder / "rows").mkdir()
    for part in range(7):
        pq.write_table(rows.slice(part * 150, 150), folder / "rows" / f"{part}.parquet")
    engines = {"plain": plain, "ray": ray, "spark": spark, "dask": dask}
    scores = engines[engine](vaekit.mapper(folder / "run", "score"), folder / "rows").sort_by("id")
    whole = run.score_samples(rows.drop_columns(["id"]))
    differ = int((scores["log_likelihood"].to_numpy() != whole).sum())
    print(f"{engine}: {len(scores)} rows, {differ} of them differ from the whole")


if __name__ == "__main__":
    folder, epochs, engine = [*sys.argv[1:], *[tempfile.mkdtemp(), "2", "plain"][len(sys.argv) - 1 :]]
    main(folder, int(epochs), engine)
