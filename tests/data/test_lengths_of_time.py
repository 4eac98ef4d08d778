"""Lengths of time and times of day are seconds to a model, and come back in their types."""

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

import vaekit
from vaekit.data.tables.columns import Column
from vaekit.data.tables.dates import length_of, seconds_of

ROWS = 60


@pytest.fixture(scope="module")
def visits():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(size=ROWS),
            "stay": pd.to_timedelta(rng.integers(0, 9999, ROWS), unit="min"),
            "flight": pd.to_timedelta(rng.integers(10**17, 2 * 10**17, ROWS)),
            "at": pd.Series([dt.time(int(hour), 30) for hour in rng.integers(6, 22, ROWS)], dtype=object),
        }
    )
    for place, name in enumerate(("stay", "flight", "at")):
        frame.loc[place::5, name] = None
    return frame


@pytest.fixture(scope="module")
def run(visits, tmp_path_factory):
    settings = {"training.epochs": 1, "encoder.hidden": [8], "decoder.hidden": [8], "objective.samples": 1}
    return vaekit.train(visits, settings=settings, out=tmp_path_factory.mktemp("runs") / "visits")


def test_they_are_modelled_as_seconds(run):
    stay, flight, at = run.schema.table[1:]
    assert stay.type == flight.type == "duration[ns]"
    assert at.type == "time64[us]"
    assert not {stay.kind, flight.kind, at.kind} & {"text", "identifier"}
    assert stay.reason.startswith("in seconds")
    assert run.sample(3, given={"stay": dt.timedelta(hours=1)})["stay"].tolist() == [pd.Timedelta("1h")] * 3
    drawn = run.sample(40)
    assert [kind.kind for kind in drawn.dtypes[1:]] == ["m", "m", "O"]
    drawn = run.sample(40, complete=True)
    assert [kind.kind for kind in drawn.dtypes[1:]] == ["m", "m", "O"]
    assert all(length.total_seconds() % 20 == 0 for length in drawn["stay"])  # the grid of whole minutes


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "parquet"])
def test_they_are_filled_in_their_types(visits, run, library, tmp_path):
    table = pa.Table.from_pandas(visits, preserve_index=False)
    pa.parquet.write_table(table, tmp_path / "visits.parquet")
    rows = {
        "pandas": visits,
        "polars": pl.from_pandas(visits),
        "arrow": table,
        "parquet": tmp_path / "visits.parquet",
    }[library]
    filled = run.impute(rows)
    if library == "pandas":
        pd.testing.assert_series_equal(filled.dtypes, visits.dtypes)
    elif library == "polars":
        assert filled.schema == rows.schema
        filled = filled.to_arrow()
    if library in ("arrow", "parquet"):
        assert filled.schema.types == table.schema.types
    for name in ("stay", "flight"):
        cells = pd.Series(
            filled[name].cast(pa.int64()).to_numpy() if library != "pandas" else filled[name].astype("int64")
        )
        there = visits[name].notna()
        assert (cells[there] == visits[name][there].astype("int64")).all()
        assert cells.between(visits[name].min().value - 10**18, visits[name].max().value + 10**18).all()
    times = filled["at"].tolist() if library == "pandas" else filled["at"].to_pylist()
    assert all(time == given for time, given in zip(times, visits["at"], strict=True) if given is not None)
    assert all(isinstance(time, dt.time) for time in times)
    np.testing.assert_array_equal(run.score_samples(rows), run.score_samples(visits))


@pytest.mark.parametrize(
    "kind", [pa.duration("s"), pa.duration("ms"), pa.duration("ns"), pa.time32("s"), pa.time64("ns")]
)
def test_seconds_there_and_back(kind):
    cells = length_of(np.array([0.0, 61.0, np.nan, 86_399.0]), kind)
    assert cells.type == kind
    assert seconds_of(cells).to_pylist() == [0.0, 61.0, None, 86_399.0]


def test_times_of_day_stay_within_the_day():
    column = Column(name="at", kind="real", type="time32[s]")
    assert column.decode(np.array([-5.0, 90_000.0])).to_pylist() == [dt.time(0), dt.time(23, 59, 59)]
