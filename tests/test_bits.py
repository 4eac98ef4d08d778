"""A row's result is the same bits whatever rows come with it, and wherever it stands among them."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vaekit
from vaekit.data import open_source

ROWS = 150
TINY = {"training.epochs": 1, "training.validations": 1, "latent_dim": 3, "evaluation.samples": 5}


def make_table(n=ROWS):
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, n)
    work = np.where(age > 65, "retired", rng.choice(["city", "farm"], n))
    return pa.table({
        "age": pa.array(age, mask=rng.random(n) < 0.2),
        "work": pa.array(work, mask=rng.random(n) < 0.2),
        "income": np.where(age > 65, 0.0, rng.lognormal(10, 0.5, n)),
        "children": pa.array(rng.poisson(1.5, n), mask=rng.random(n) < 0.1),
        "home": rng.choice(["own", "rent"], n),
    })  # fmt: skip


RECIPES = {
    "dense": ("digits", {}),
    "convolutional": ("digits", {"recipe": "convolutional"}),
    "autoencoder": ("digits", {"recipe": "autoencoder"}),
    "table": ("table", {}),
    "autoregressive": ("table", {"likelihood": "autoregressive_mixed"}),
    "conditional": ("table", {"data.context": ["home"]}),
    "counts": ("counts", {"likelihood": "negative_binomial"}),
    "nine reals": ("reals", {"data.kind": "real"}),
}
VERBS = ("score_samples", "encode", "reconstruct")
TABLE_VERBS = ("impute", "uncertainty", "explain", "intervals")


def rows_of(name):
    rng = np.random.default_rng(1)
    if name == "digits":
        return open_source("digits").values[:ROWS]
    if name == "table":
        return make_table()
    return rng.poisson(3, (ROWS, 5)) if name == "counts" else rng.normal(size=(ROWS, 9))


QUICK = ("dense", "autoregressive", "counts")
"""The recipes of the ordinary suite; the others take longer."""


@pytest.fixture(
    scope="module", params=[name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def trained(request, tmp_path_factory):
    source, content = RECIPES[request.param]
    content = dict(content)
    recipe = {"recipe": content.pop("recipe")} if "recipe" in content else {}
    run = vaekit.train(rows_of(source), settings=TINY | content, out=tmp_path_factory.mktemp("runs") / "run", **recipe)
    rows = rows_of(source)
    verbs = VERBS + (TABLE_VERBS if run.reads_tables else ())
    return run, rows, {verb: tokens(getattr(run, verb)(rows)) for verb in verbs}


def take(rows, index):
    return rows.take(index) if isinstance(rows, pa.Table) else rows[index]


def tokens(result):
    """Return results row by row, such that they are equal only if all bits are."""
    if isinstance(result, pa.Table):
        columns = [[repr(cell) for cell in column.to_pylist()] for column in result.columns]
        return list(zip(*columns, strict=True))
    return [row.tobytes() for row in np.ascontiguousarray(result)]


@settings(max_examples=8)
@given(st.permutations(range(ROWS)), st.integers(1, ROWS), st.data())
def test_a_rows_result_is_the_same_bits_in_any_company(trained, order, size, data):
    run, rows, whole = trained
    verb = data.draw(st.sampled_from(sorted(whole)))
    start = data.draw(st.integers(0, ROWS - size))
    index = np.array(order[start : start + size])
    assert tokens(getattr(run, verb)(take(rows, index))) == [whole[verb][i] for i in index]


def test_a_row_alone_is_the_same_bits(trained):
    run, rows, whole = trained
    for verb, expected in whole.items():
        assert tokens(getattr(run, verb)(take(rows, np.array([37])))) == [expected[37]]


def test_so_is_a_row_in_any_of_several_tiles(trained):
    """1,100 rows fill more than two of the largest tiles."""
    run, rows, whole = trained
    index = np.random.default_rng(5).integers(0, ROWS, 1100)
    assert tokens(run.encode(take(rows, index))) == [whole["encode"][i] for i in index]
    scores = tokens(run.score_samples(rows, 1))
    assert tokens(run.score_samples(take(rows, index), 1)) == [scores[i] for i in index]


@pytest.mark.parametrize("draws", [1, 300])
def test_so_are_scores_with_other_numbers_of_draws(trained, draws):
    run, rows, _ = trained
    whole = run.score_samples(take(rows, np.arange(12)), draws)
    again = run.score_samples(take(rows, np.arange(12)[::-1].copy()), draws)
    assert whole.tobytes() == again[::-1].tobytes()


def test_row_i_of_a_seed_can_be_drawn_anywhere(trained):
    run, _, _ = trained
    given = {column.name: "own" for column in run.schema.context}
    for extra in ({}, {"mean": True}):
        whole = tokens(run.sample(300, seed=3, given=given, **extra))
        for start, n in ((0, 1), (1, 150), (127, 2), (299, 1)):
            assert tokens(run.sample(n, seed=3, given=given, start=start, **extra)) == whole[start : start + n]
    assert tokens(run.sample(5, seed=4, given=given)) != whole[:5]


def test_rows_with_given_cells_can_be_drawn_anywhere(trained):
    run, _, _ = trained
    if not run.reads_tables:
        pytest.skip("only rows of mixed tables can have given cells")
    given = {column.name: "own" for column in run.schema.context} | {"work": "farm"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that few draws have the given cells
        whole = tokens(run.sample(90, seed=3, given=given, start=4_950))  # the 5,000th row has other proposals
        for start, n in ((4_951, 3), (4_990, 20), (5_039, 1)):
            first = start - 4_950
            assert tokens(run.sample(n, seed=3, given=given, start=start)) == whole[first : first + n]


def test_drawn_cells_belong_to_the_row_and_its_identifier(trained):
    run, rows, _ = trained
    if not run.reads_tables:
        pytest.skip("only mixed tables have missing cells")
    named = rows.append_column("id", pa.array([f"r{i}" for i in range(ROWS)]))
    whole = [tokens(table) for table in run.impute_draws(named, 2, ids="id")]
    index = np.random.default_rng(5).permutation(ROWS)[:60]
    again = [tokens(table) for table in run.impute_draws(named.take(index), 2, ids="id")]
    assert again == [[table[i] for i in index] for table in whole]
    first = [tokens(table) for table in run.impute_draws(rows.slice(0, 20), 2)]
    assert first == [tokens(table)[:20] for table in run.impute_draws(rows, 2)]  # positions identify rows
    with pytest.raises(vaekit.VaekitError, match="`ids` must name a column of the rows"):
        run.impute_draws(named, 1, ids="idd")
    gone = named.set_column(named.column_names.index("id"), "id", pa.array([None, *["x"] * (ROWS - 1)]))
    with pytest.raises(vaekit.VaekitError, match="is empty in row 1"):
        run.impute_draws(gone, 1, ids="id")


@pytest.mark.parametrize("wrong", [{"start": -1}, {"seed": -1}])
def test_numbers_of_rows_that_cannot_be(trained, wrong):
    (name,) = wrong
    with pytest.raises(vaekit.VaekitError, match=f"`{name}` must be at least 0. Got -1"):
        trained[0].sample(2, **wrong)


CODE = """
import sys, numpy as np, torch, vaekit
torch.set_num_threads(2)
run, X = vaekit.load(sys.argv[1]), np.load(sys.argv[2])
order = np.random.default_rng(0).permutation(len(X))
for verb in (run.score_samples, run.encode, run.reconstruct):
    assert (verb(X)[order] == verb(X[order])).all() and (verb(X[:1]) == verb(X)[:1]).all()
"""


def test_two_threads_give_equal_bits_too(digits_run, tmp_path):
    np.save(tmp_path / "x.npy", rows_of("digits"))
    words = [sys.executable, "-c", CODE, str(digits_run.path), str(tmp_path / "x.npy")]
    done = subprocess.run(words, env={**os.environ, "OMP_NUM_THREADS": "2"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
