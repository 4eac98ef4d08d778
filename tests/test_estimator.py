"""The scikit-learn face: its own checks, and the numbers and types that come out."""

import pickle
import signal
import tempfile
from decimal import Decimal

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from torch.utils.data import TensorDataset

import vaekit
from vaekit import VAE
from vaekit.data import BatchOrder, Source, split_source
from vaekit.data.options import DataOptions
from vaekit.errors import DataError, Interrupted, RecipeError, RunError, VaekitError

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "training.validations": 1, "objective.samples": 2}
PLAIN = {key: value for key, value in SMALL.items() if key != "objective.samples"} | {"model": "autoencoder"}


def small(**parameters):
    return VAE(**{"latent_dim": 2, "epochs": 1, "samples": 3, "settings": SMALL, "random_state": 0} | parameters)


@pytest.mark.parametrize(
    "name",
    [
        "check_param_validation",
        "check_dataframe_column_names_consistency",
        "check_get_feature_names_out_error",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
        "check_set_output_transform",
        "check_set_output_transform_pandas",
        "check_set_output_transform_polars",
        "check_global_output_transform_pandas",
        "check_global_set_output_transform_polars",
    ],
)
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names:UserWarning")  # some mix on purpose
def test_scikit_learn_beyond_what_it_asks_of_others(name):
    getattr(estimator_checks, name)("VAE", small())


@pytest.fixture(scope="module")
def people():
    """A data frame with a column of nearly every type, cells missing, and an index of its own."""
    rng, n = np.random.default_rng(0), 120
    frame = pd.DataFrame(
        {
            "id": [f"r{i}" for i in range(n)],
            "age": rng.integers(0, 90, n),
            "city": rng.choice(["Bonn", "Köln", "Ulm"], n),
            "size": rng.normal(size=n).astype(np.float32),
            "born": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "well": rng.random(n) < 0.5,
            "grade": pd.Categorical(rng.choice(list("abc"), n), ["a", "b", "c", "d"]),
            "visits": pd.array(rng.integers(0, 100, n), dtype="Int32"),
            "land": "D",
        },
        index=2 * np.arange(n) + 1,
    )
    frame.loc[3, "size"], frame.loc[5, "city"], frame.loc[7, "visits"] = np.nan, None, pd.NA
    return frame


@pytest.fixture(scope="module")
def vae(people):
    return small().fit(people)


@pytest.fixture(scope="module")
def line():
    """Three columns of which the first two are nearly the same, and an estimator that has learned it."""
    rng = np.random.default_rng(1)
    z = rng.normal(size=(400, 1))
    X = np.concatenate([z, z, rng.normal(size=(400, 1))], 1) + 0.1 * rng.normal(size=(400, 3))
    settings = SMALL | {"encoder.hidden": [16], "decoder.hidden": [16], "training.validations": 4}
    return X, VAE(2, epochs=120, batch_size=180, learning_rate=0.02, settings=settings, random_state=0).fit(X)


def test_numbers_are_those_of_the_run(people, vae, tmp_path):
    settings = SMALL | {"latent_dim": 2, "training.epochs": 1, "evaluation.samples": 3, "data.test": 0}
    run = vaekit.train(people, settings=settings, seed=0, out=tmp_path / "run")
    assert vae.run_.recipe == run.recipe
    assert vae.run_.provenance["rows"] == {"train": 108, "validation": 12, "test": 0}
    for own in (run, vae.run_):
        assert_allclose(vae.transform(people), own.encode(people), atol=1e-6)
        assert_allclose(vae.score_samples(people), own.score_samples(people), rtol=1e-5)
    assert vae.score(people) == vae.score_samples(people).mean()
    assert vae.sample(5, random_state=3).equals(run.sample(5, seed=3))


def test_attributes(people, vae):
    assert vae.n_features_in_ == 9
    assert vae.feature_names_in_.tolist() == list(people)
    assert [c.name for c in vae.schema_.table if not c.modelled] == ["id", "land"]
    assert vae.n_iter_ == 1
    assert vae.get_feature_names_out().tolist() == ["vae0", "vae1"]
    held_out = vae.run_.score_samples(people.iloc[_validation(len(people))], samples=2)
    assert vae.lower_bound_ == pytest.approx(held_out.mean(), rel=1e-5)
    assert vae.history_[-1]["bound"] == vae.lower_bound_


def _validation(n):
    return split_source(Source(np.empty((n, 1))), None, 0, DataOptions(test=0)).validation.index


def test_a_row_has_the_same_numbers_in_any_order_and_company(people, vae):
    codes, scores = vae.transform(people), vae.score_samples(people)
    assert_array_equal(codes, vae.transform(people))
    assert_array_equal(scores, vae.score_samples(people))
    filled, explained = vae.impute(people), vae.explain(people)
    order = np.random.default_rng(0).permutation(len(people))
    assert_allclose(vae.score_samples(people.iloc[order]), scores[order], rtol=1e-12)
    for row in (0, 1, 2, 3, 50):
        assert_allclose(vae.score_samples(people.iloc[[row]]), scores[[row]], rtol=1e-12)
        assert_allclose(vae.transform(people.iloc[[row]]), codes[[row]], rtol=1e-7)
        assert vae.impute(people.iloc[[row]]).equals(filled.iloc[[row]])
        assert_allclose(vae.explain(people.iloc[[row]]), explained.iloc[[row]], rtol=1e-7)


def test_the_autoregressive_table_works_in_double_precision(people):
    """The estimator scores in doubles, whose numbers single precision nearly has."""
    model = small(recipe="autoregressive-table").fit(people)
    assert_allclose(model.score_samples(people), model.run_.score_samples(people), rtol=1e-4)
    assert_allclose(model.score_samples(people), model.score_samples(people[::-1])[::-1])
    assert not model.impute(people).isna().any(axis=None)
    assert not any(drawn.isna().any(axis=None) for drawn in model.impute(people, draws=2))
    assert model.transform(people).shape == (len(people), 2)
    assert model.explain(people)["age"].notna().all()


def test_a_clone_with_the_same_random_state_is_the_same_model(people, vae):
    codes = vae.transform(people)
    assert_array_equal(clone(vae).fit(people).transform(people), codes)
    assert not np.allclose(clone(vae).set_params(random_state=1).fit(people).transform(people), codes)


def test_where_the_seed_comes_from(people):
    assert small(random_state=7).fit(people).run_.recipe.seed == 7
    assert small(random_state=np.int64(7)).fit(people).run_.recipe.seed == 7
    assert small(random_state=None, settings=SMALL | {"seed": 5}).fit(people).run_.recipe.seed == 5
    drawn = {small(random_state=random).fit(people).run_.recipe.seed for random in (None, None)}
    again = {small(random_state=np.random.RandomState(3)).fit(people).run_.recipe.seed for _ in range(2)}
    assert (len(drawn), len(again)) == (2, 1)


def test_pickles_hold_the_model_and_no_data(people, vae, tmp_path):
    joblib.dump(vae, tmp_path / "vae.joblib")
    for copy in (pickle.loads(pickle.dumps(vae)), joblib.load(tmp_path / "vae.joblib")):
        assert_array_equal(copy.transform(people), vae.transform(people))
        assert_array_equal(copy.score_samples(people), vae.score_samples(people))
        assert copy.impute(people).equals(vae.impute(people))
        assert copy.sample(4, random_state=1).equals(vae.sample(4, random_state=1))
    X = np.random.default_rng(0).normal(size=(3000, 3))
    assert (
        abs(len(pickle.dumps(small().fit(X))) - len(pickle.dumps(small().fit(X[:1000])))) < 10_000
    )  # a table's map grows with it up to some length
    assert b"r17" not in pickle.dumps(vae)  # an identifier


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow", "array"])
def test_saved_and_loaded(people, library, tmp_path):
    rows = {
        "pandas": people,
        "polars": pl.from_pandas(people),
        "arrow": pa.Table.from_pandas(people, preserve_index=False),
        "array": people[["age", "size"]].to_numpy(np.float32),
    }[library]
    fitted = small().fit(rows)
    fitted.save(tmp_path / "run")
    assert not list((tmp_path / "run").glob("**/*.p*kl*"))
    read = VAE.load(tmp_path / "run")
    assert_array_equal(read.transform(rows), fitted.transform(rows))
    drawn, expected = read.sample(3, random_state=0), fitted.sample(3, random_state=0)
    assert type(drawn) is type(expected)
    if library == "array":
        assert not hasattr(read, "feature_names_in_")
        assert drawn.dtype == np.float32
        assert_array_equal(drawn, expected)
    else:
        assert read.feature_names_in_.tolist() == list(people)
        assert drawn.equals(expected)
    assert (read.n_features_in_, read.n_iter_) == (fitted.n_features_in_, fitted.n_iter_)
    assert (read.lower_bound_, read.history_) == (fitted.lower_bound_, fitted.history_)
    assert_allclose(vaekit.load(tmp_path / "run").score_samples(rows), fitted.score_samples(rows), rtol=1e-5)
    assert_array_equal(clone(read).fit(rows).transform(rows), fitted.transform(rows))  # the recipe is the whole of it
    with pytest.raises(RunError, match="holds a run already"):
        fitted.save(tmp_path / "run")


def test_loads_what_train_wrote(people, tmp_path):
    vaekit.train(people, settings=SMALL | {"latent_dim": 2, "training.epochs": 1}, out=tmp_path / "run")
    read = VAE.load(tmp_path / "run")
    assert read.feature_names_in_.tolist() == list(people)
    assert list(read.sample(2).dtypes) == list(people.drop(columns="id").dtypes)
    (tmp_path / "run" / "metrics.csv").unlink()
    assert np.isnan(VAE.load(tmp_path / "run").lower_bound_)


def test_a_lost_pattern_is_an_error(vae, tmp_path):
    vae.save(tmp_path / "run")
    (tmp_path / "run" / "row.parquet").write_bytes(b"")
    with pytest.raises(RunError, match=r"row\.parquet' is damaged"):
        VAE.load(tmp_path / "run")


def test_nothing_is_left_on_disk(people, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fitted = small().fit(people)
    assert list(tmp_path.iterdir()) == []
    fitted.score(people)
    small(out=tmp_path / "kept").fit(people)
    assert_allclose(vaekit.load(tmp_path / "kept").encode(people), fitted.transform(people), atol=1e-6)


def test_impute_leaves_what_is_there(people, vae):
    new = people.iloc[:6].copy()
    new.loc[1, "city"] = "Paris"  # never seen
    new.loc[1, "born"] = pd.Timestamp("2021-05-05 13:14:15")  # finer than those of training
    new.loc[9, ["age"]] = 1000
    filled = vae.impute(new)
    assert filled.dtypes.equals(people.dtypes)
    assert filled.index.equals(new.index)
    there = new.notna()
    assert ((filled == new) | ~there).to_numpy().all()
    assert filled.notna().to_numpy().all()
    assert filled.loc[5, "city"] in {"Bonn", "Köln", "Ulm"}
    draws = vae.impute(new, draws=20)
    assert len(draws) == 20
    assert len({draw.loc[3, "size"] for draw in draws}) == 20
    assert all(((draw == new) | ~there).to_numpy().all() for draw in draws)


def test_impute_knows_what_belongs_together(line):
    X, model = line
    missing = X[:100].copy()
    missing[:50, 0] = np.nan
    missing[50:, 1] = np.nan
    filled = model.impute(missing)
    assert np.abs(filled[:50, 0] - X[:50, 1]).mean() < 0.25
    assert np.abs(filled[50:, 1] - X[50:100, 0]).mean() < 0.25
    assert_array_equal(filled[~np.isnan(missing)], missing[~np.isnan(missing)])
    spread = np.std([draw[:50, 0] for draw in model.impute(missing, draws=10)], axis=0).mean()
    assert 0.02 < spread < 0.5


def test_what_is_strange_scores_low_and_is_explained(line):
    X, model = line
    usual = X[np.argsort(np.abs(X).sum(1))[:20]].copy()
    strange = usual.copy()
    strange[:, 1] += 2
    assert (model.score_samples(strange) < model.score_samples(usual) - 2).all()
    found = model.explain(strange)
    assert found.shape == (20, 3)
    assert np.median(found[:, 1]) > 4 > 2 > np.median(found[:, 2])
    assert np.isnan(model.explain(np.array([[0.0, np.nan, 0.0]]))).tolist() == [[False, True, False]]


def test_inverse_transform_and_reconstruct_are_the_model_s_rows(line):
    X, model = line
    back = model.inverse_transform(model.transform(X))
    assert_allclose(back, model.reconstruct(X), rtol=1e-5, atol=1e-6)
    assert np.corrcoef(back[:, 0], X[:, 0])[0, 1] > 0.9
    assert_allclose(model.inverse_transform(pd.DataFrame(model.transform(X[:3]))), back[:3], rtol=1e-6)


@pytest.mark.parametrize("library", ["pandas", "polars", "arrow"])
def test_rows_come_back_as_they_went_in(people, library):
    to, types = {
        "pandas": (lambda frame: frame, lambda frame: dict(frame.dtypes)),
        "polars": (pl.from_pandas, lambda frame: dict(frame.schema)),
        "arrow": (
            lambda f: pa.Table.from_pandas(f, preserve_index=False).replace_schema_metadata(),
            lambda f: f.schema,
        ),
    }[library]
    rows = to(people)
    fitted = small().fit(rows)
    for answer in (fitted.impute(rows), fitted.reconstruct(rows)):
        assert type(answer) is type(rows)
        assert types(answer) == types(rows)
    for made in (fitted.sample(4), fitted.inverse_transform(np.zeros((4, 2)))):
        assert type(made) is type(rows)
        assert made.shape == (4, 8)
        if library != "arrow":
            assert types(made).items() <= types(rows).items()
    explained = fitted.explain(rows)
    assert type(explained) is type(rows)
    assert explained.shape == (120, 7)
    if library == "pandas":
        assert explained.index.equals(rows.index)


@pytest.fixture(scope="module")
def odd():
    """A data frame of pandas with columns of types that neither Arrow nor Parquet has."""
    rng, n = np.random.default_rng(2), 80
    width = rng.normal(size=n)
    months = pd.PeriodIndex(pd.Timestamp("2020-01-15") + pd.to_timedelta(rng.integers(0, 900, n), "D"), freq="M")
    return pd.DataFrame(
        {
            "width": width,
            "band": pd.cut(width, [-9, -0.5, 0.5, 9]),
            "range": pd.arrays.IntervalArray.from_arrays(*np.array([[0, 2], [2, 5]])[rng.integers(0, 2, n)].T, "both"),
            "month": months,
            "quarter": pd.Categorical(months.asfreq("Q")),
            "day": pd.Categorical(months.to_timestamp().date, ordered=True),
            "dose": pd.arrays.SparseArray(rng.poisson(0.6, n), fill_value=0),
            "rate": pd.arrays.SparseArray(np.where(rng.random(n) < 0.2, -1.0, width), fill_value=-1.0),
            "well": pd.Categorical(width > 0),
            "price": pd.array(
                [Decimal(int(v)) / 4 for v in rng.integers(1, 99, n)], pd.ArrowDtype(pa.decimal128(8, 2))
            ),
            "code": pd.array(rng.choice(["007", "7"], n), pd.StringDtype("pyarrow", na_value=np.nan)),
            "since": pd.to_datetime(months.to_timestamp()).tz_localize("Asia/Tokyo"),
        }
    )


def test_drawn_rows_have_the_types_of_training_before_and_after_saving(odd, tmp_path):
    fitted = small().fit(odd)
    fitted.save(tmp_path / "run")
    read = VAE.load(tmp_path / "run")
    for vae in (fitted, read):
        drawn = vae.sample(30, random_state=1)
        assert drawn.dtypes.equals(odd.dtypes)
        assert set(drawn["range"]) == {pd.Interval(0, 2, "both"), pd.Interval(2, 5, "both")}
        assert set(drawn["well"]) == {True, False}
        assert set(drawn["day"]) <= set(odd["day"])
        assert drawn["month"].between(odd["month"].min(), odd["month"].max()).all()
        pd.testing.assert_frame_equal(drawn, fitted.sample(30, random_state=1))
        pd.testing.assert_frame_equal(vae.impute(odd), odd)


@pytest.mark.parametrize(
    "header",
    [pd.MultiIndex.from_tuples([("a", "x"), ("a", "y"), ("b", "x")]), pd.Index([5, 3, 4]), pd.Index(["x", "y", "z"])],
)
def test_names_of_columns_that_are_no_text(header, tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 3)) * [1, 10, 100]
    frame = pd.DataFrame(rows, columns=header, index=pd.date_range("2020-01-01", periods=60))
    fitted = small().fit(frame)
    fitted.save(tmp_path / "run")
    holes = frame.mask(np.random.default_rng(1).random((60, 3)) < 0.2)
    for vae in (fitted, VAE.load(tmp_path / "run")):
        filled = vae.impute(holes)
        for answer in (filled, vae.reconstruct(holes), vae.explain(holes), *vae.impute(holes, draws=2)):
            pd.testing.assert_index_equal(answer.index, frame.index)
            pd.testing.assert_index_equal(answer.columns, header)
        pd.testing.assert_frame_equal(filled.where(holes.notna()), holes)
        pd.testing.assert_index_equal(vae.sample(3).columns, header)
        if header.dtype != object or header.nlevels > 1:  # scikit-learn knows no names, the run does
            assert_allclose(vae.score_samples(frame.iloc[:, ::-1]), vae.score_samples(frame))
            with pytest.raises(DataError, match="data lack columns"):
                vae.score_samples(frame.set_axis([90, 91, 92], axis=1))


def test_libraries_and_lazy_frames_agree(people, vae):
    codes = vae.transform(people)
    for rows in (pl.from_pandas(people), pl.from_pandas(people).lazy(), pa.Table.from_pandas(people)):
        if isinstance(rows, pa.Table):
            rows = rows.drop_columns("__index_level_0__")
        assert_allclose(vae.transform(rows), codes)
    batch = pa.RecordBatch.from_pandas(people.head(3), preserve_index=False)
    assert_allclose(vae.transform(batch), codes[:3])
    assert_allclose(small().fit(pl.from_pandas(people).lazy()).transform(people), codes)


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (np.random.default_rng(0).poisson(30, (80, 2)), {"count"}),
        (np.random.default_rng(0).random((80, 2)) < 0.5, {"binary"}),
        (np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32), {"real"}),
        (np.random.default_rng(0).normal(size=(80, 2)).tolist(), {"real"}),
    ],
)
def test_plain_arrays_are_tables_whatever_they_hold(values, kinds):
    fitted = small().fit(values)
    array = np.asarray(values)
    assert {column.kind for column in fitted.schema_.table} == kinds
    assert_array_equal(fitted.impute(values), array)
    assert fitted.impute(values).dtype == fitted.reconstruct(values).dtype == array.dtype
    made = fitted.sample(50, random_state=0)
    assert made.dtype == (np.uint8 if array.dtype == bool else array.dtype)
    if array.dtype.kind in "bi":
        assert set(made.ravel()) <= set(range(100))


def test_lists_and_tensors_are_arrays():
    rows = [[None, 1.0], [2.0, 3.5], [1.5, 2.0], [1.1, None], [2.2, 3.2]]
    fitted = small().fit(rows)
    assert_array_equal(fitted.impute(rows)[1:3], np.array(rows[1:3]))
    assert np.isfinite(fitted.impute(rows)).all()
    assert_array_equal(fitted.transform(torch.tensor(rows[1:3])), fitted.transform(np.float32(rows[1:3])))


def test_columns_of_an_array_keep_their_places():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(50.0), rng.normal(size=50), np.full(50, 3.0)])
    fitted = small().fit(X)
    assert [column.kind for column in fitted.schema_.table] == ["identifier", "real", "constant"]
    for made in (fitted.sample(3), fitted.inverse_transform(np.zeros((3, 2)))):
        assert np.isnan(made[:, 0]).all()
        assert np.isfinite(made[:, 1]).all()
        assert (made[:, 2] == 3).all()
    assert_array_equal(fitted.reconstruct(X)[:, [0, 2]], X[:, [0, 2]])
    X[3, 2] = np.nan
    assert_array_equal(fitted.impute(X)[3], [3, X[3, 1], 3])
    assert np.isnan(fitted.explain(X)[0]).tolist() == [True, False, True]


def test_columns_can_be_declared(people):
    X = np.random.default_rng(0).poisson(2, (60, 2))
    assert [c.kind for c in small().fit(X).schema_.table] == ["categorical", "categorical"]
    assert [c.kind for c in small(columns={0: "count"}).fit(X).schema_.table] == ["count", "categorical"]
    declared = small(columns={"age": "ignore", "city": "text"}).fit(people)
    assert not {"age", "city"} & set(declared.sample(1))
    with pytest.raises(DataError, match=r"'agee'.*Did you mean 'age'"):
        small(columns={"agee": "count"}).fit(people)


def test_other_kinds_of_models(people, tmp_path):
    numbers = people[["age"]].assign(size=people["size"].fillna(0))
    gauss = small(settings=SMALL | {"likelihood": "gaussian"}).fit(numbers)
    assert gauss.schema_.kind == "counts" or gauss.schema_.kind == "real"
    assert gauss.feature_names_in_.tolist() == ["age", "size"]
    assert np.isfinite(gauss.score(numbers))
    with pytest.raises(VaekitError, match=r"needs a run on a mixed table, .* real data. Train with data\.kind=mixed"):
        gauss.impute(numbers)
    gauss.save(tmp_path / "gauss")
    assert VAE.load(tmp_path / "gauss").feature_names_in_.tolist() == ["age", "size"]
    plain = small(settings=PLAIN).fit(numbers.to_numpy())
    assert_allclose(plain.score_samples(numbers.to_numpy()), plain.run_.score_samples(numbers.to_numpy()), rtol=1e-5)
    assert plain.inverse_transform(np.zeros((3, 2))).shape == (3, 2)


def test_pictures_and_paths(people, tmp_path):
    digits = small().fit("digits")
    X = np.random.default_rng(0).integers(0, 17, (3, 8, 8))
    assert digits.transform(X).shape == (3, 2)
    assert_allclose(digits.score_samples(X), digits.run_.score_samples(X), rtol=1e-5)
    assert digits.sample(2).shape == (2, 8, 8, 1)
    people.to_csv(tmp_path / "people.csv", index=False)
    table = small().fit(str(tmp_path / "people.csv"))
    assert table.feature_names_in_.tolist() == list(people)
    assert table.n_features_in_ == 9
    assert isinstance(table.explain(tmp_path / "people.csv"), pa.Table)
    assert_allclose(table.transform(tmp_path / "people.csv"), table.transform(people), atol=1e-6)


def test_names_that_are_no_names():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)))
    by_number = small().fit(frame)
    assert not hasattr(by_number, "feature_names_in_")
    assert list(by_number.sample(1)) == list(by_number.impute(frame)) == [0, 1, 2]
    assert_allclose(by_number.transform(frame.to_numpy()), by_number.transform(frame))
    by_place = small().fit(frame.to_numpy())
    assert_allclose(by_place.transform(frame), by_place.transform(frame.to_numpy()))
    assert_allclose(by_place.impute(frame), frame)


def test_sample_is_drawn_anew_unless_told(vae, people):
    assert vae.sample(3).equals(vae.sample(3))  # random_state=0
    assert not vae.sample(3, random_state=1).equals(vae.sample(3))
    free = small(random_state=None).fit(people)
    assert not free.sample(3).equals(free.sample(3))
    assert vae.sample().shape == (1, 8)
    given = vae.sample(20, given={"city": "Ulm", "age": 33})
    assert set(given["city"]) == {"Ulm"}
    assert set(given["age"]) == {33}
    with pytest.raises(DataError, match="Did you mean 'Köln'"):
        vae.sample(2, given={"city": "Koln"})


def test_conditions_of_an_array_are_by_number(line):
    _, model = line
    assert (model.sample(5, given={1: 1.5})[:, 1] == 1.5).all()
    assert abs(model.sample(200, random_state=0, given={1: 1.5})[:, 0].mean() - 1.5) < 0.3


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_set_output(people, library):
    codes = small().set_output(transform=library).fit_transform(people)
    assert list(codes.columns) == ["vae0", "vae1"]
    assert_array_equal(codes.to_numpy(), small().fit(people).transform(people))
    if library == "pandas":
        assert codes.index.equals(people.index)


def test_in_pipelines_and_among_other_columns(people):
    y = people["well"]
    X = people.drop(columns="well")
    pipeline = make_pipeline(small(), StandardScaler(), LogisticRegression()).fit(X, y)
    assert pipeline.predict(X).shape == (120,)
    columns = ColumnTransformer([("codes", small(), ["age", "city"]), ("number", StandardScaler(), ["size"])])
    found = columns.fit_transform(people)
    assert columns.get_feature_names_out().tolist() == ["codes__vae0", "codes__vae1", "number__size"]
    assert_array_equal(found[:, :2], small().fit(people[["age", "city"]]).transform(people[["age", "city"]]))


def test_a_search_picks_by_the_likelihood(line):
    X, _ = line
    grid = {"epochs": np.array([1, 30])}
    search = GridSearchCV(small(batch_size=50, learning_rate=0.02), grid, cv=2).fit(X[:200])
    assert search.best_params_ == {"epochs": 30}
    assert search.cv_results_["mean_test_score"][1] > search.cv_results_["mean_test_score"][0] + 0.1


def test_a_warm_start_goes_on(people):
    first = small(warm_start=True).fit(people)
    codes, weights = first.transform(people), first.run_.model.state_dict()
    first.set_params(learning_rate=1e-12).fit(people.iloc[::-1])
    assert first.run_.model.state_dict() is not weights
    assert_allclose(first.transform(people), codes, atol=1e-6)
    first.set_params(learning_rate=0.05, epochs=5).fit(people)
    assert not np.allclose(first.transform(people), codes, atol=1e-3)
    assert first.score(people) > small().fit(people).score(people)
    assert list(first.sample(1)) == list(small().fit(people).sample(1))
    with pytest.raises(ValueError, match="feature names should match"):
        first.fit(people.drop(columns="age"))
    with pytest.raises(RecipeError, match="has different networks"):
        first.set_params(latent_dim=3).fit(people)


def test_a_warm_start_of_numbers_checks_them():
    X = np.random.default_rng(0).integers(0, 2, (40, 3))
    binary = small(warm_start=True, settings=SMALL | {"data.kind": "binary"}).fit(X)
    binary.fit(X)
    with pytest.raises(DataError, match=r"0 or 1|zeros and ones|0 to 1|binary"):
        binary.fit(X + 1)


def test_weights_change_what_is_learned():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.arange(200) % 2, rng.normal(size=200)])
    weighted = small(epochs=40, batch_size=45, learning_rate=0.05)
    weighted.fit(X, sample_weight=np.where(X[:, 0] == 0, 9.0, 1.0))
    assert abs(weighted.sample(2000, random_state=0)[:, 0].mean() - 0.1) < 0.04
    even = small(batch_size=45).fit(X, sample_weight=np.full(200, 0.3))
    assert_array_equal(even.transform(X), small(batch_size=45).fit(X).transform(X))


def test_rows_of_weight_zero_are_not_there(people):
    weights = np.ones(len(people))
    weights[40:] = 0
    without, less = small().fit(people, sample_weight=weights), small().fit(people.iloc[:40])
    assert without.run_.provenance["rows"] == less.run_.provenance["rows"]
    assert without.run_.provenance["fingerprint"] != less.run_.provenance["fingerprint"]  # categories are told from all


def test_the_bound_is_weighted(people):
    weights = np.random.default_rng(0).uniform(0.1, 10, len(people))
    fitted = small().fit(people, sample_weight=weights)
    rows = _validation(len(people))
    each = fitted.run_.score_samples(people.iloc[rows], samples=2)
    assert fitted.lower_bound_ == pytest.approx(np.average(each, weights=weights[rows]), rel=1e-5)
    plain = small(settings=PLAIN).fit(people[["age"]], sample_weight=weights)
    each = plain.run_.score_samples(people[["age"]].iloc[rows])
    assert plain.lower_bound_ == pytest.approx(np.average(each, weights=weights[rows]), rel=1e-5)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(120), "at least one weight must be above 0"),
        (np.ones(7), "one number for each of the 120 rows"),
        (np.full(120, -1.0), "finite and not negative"),
        (np.full(120, np.nan), "finite and not negative"),
    ],
)
def test_impossible_weights(people, weights, message):
    with pytest.raises(DataError, match=message):
        small().fit(people, sample_weight=weights)


def test_weighted_batches():
    weights = np.array([4.0, 1.0, 0.5, 2.5])
    order = BatchOrder(4, 2, seed=0, weights=weights)
    epochs = np.array([np.bincount(np.concatenate([order.index(2 * e), order.index(2 * e + 1)]), minlength=4) for e in range(500)])  # fmt: skip
    share = 4 * weights / weights.sum()
    assert (np.abs(epochs - share) < 1).all()
    assert_allclose(epochs.mean(0), share, atol=0.07)
    even = BatchOrder(5, 5, seed=0, weights=np.full(5, 0.1))
    assert all(sorted(even.index(e)) == [0, 1, 2, 3, 4] for e in range(20))


def test_an_interrupted_weighted_run_goes_on(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    weights = np.linspace(0, 2, 60)
    settings = SMALL | {"latent_dim": 2, "training.epochs": 4, "training.validations": 4}

    class Stopping(vaekit.reporters.Reporter):
        def validated(self, row):
            if row["step"] == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        vaekit.train(X, settings=settings, out=tmp_path / "a", weights=weights, reporter=Stopping())
    with pytest.raises(DataError, match="The rows are not those that the run was trained on"):
        vaekit.train(X, resume=tmp_path / "a")
    resumed = vaekit.train(X, resume=tmp_path / "a", weights=weights)
    straight = vaekit.train(X, settings=settings, out=tmp_path / "b", weights=weights)
    assert_array_equal(resumed.encode(X), straight.encode(X))


def test_no_rows_are_held_out_unless_asked(people, vae):
    with pytest.raises(DataError, match="trained on an array or a data frame, which is not kept"):
        vae.run_.evaluate()
    assert vae.run_.evaluate(people).examples == 120
    kept = small(settings=SMALL | {"data.test": 0.2}).fit(people)
    assert kept.run_.provenance["rows"] == {"train": 86, "validation": 10, "test": 24}


def test_a_run_without_held_out_rows_says_so(people, tmp_path):
    people.to_csv(tmp_path / "people.csv", index=False)
    settings = SMALL | {"latent_dim": 2, "training.epochs": 1, "data.test": 0}
    run = vaekit.train(tmp_path / "people.csv", settings=settings, out=tmp_path / "run")
    for given in (run, vaekit.load(tmp_path / "run")):
        with pytest.raises(DataError, match=r"The run held out no rows \(data\.test=0\). Pass other rows"):
            given.evaluate()
    assert run.evaluate(people).train_elbo is not None


@pytest.mark.parametrize("rows", [3, 5, 12])
def test_few_rows_are_enough(people, rows):
    fitted = small().fit(people.iloc[10 : 10 + rows])
    assert np.isfinite(fitted.score_samples(people)).all()
    assert fitted.impute(people).notna().to_numpy()[:, 1:].all()


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.coo_matrix, sparse.dok_array])
def test_sparse_rows_are_dense_ones(form):
    X = np.random.default_rng(0).poisson(0.4, (40, 5)).astype(float)
    dense, thin = small().fit(X), small().fit(form(X))
    assert_array_equal(thin.score_samples(form(X)), dense.score_samples(X))
    assert_array_equal(dense.transform(form(X)), dense.transform(X))


@pytest.mark.parametrize("whole", [False, True])
def test_masked_cells_are_missing_whatever_stands_beneath_them(whole):
    rng = np.random.default_rng(0)
    X = rng.integers(3, 30, (60, 3)) if whole else rng.normal(15, 3, (60, 3))
    hidden = rng.random(X.shape) < 0.2
    masked = np.ma.masked_array(np.where(hidden, -9999, X), hidden)
    missing = np.where(hidden, np.nan, X)
    vae = small().fit(masked)
    assert_array_equal(vae.impute(masked), small().fit(missing).impute(missing))
    filled = vae.impute(masked)
    assert not isinstance(filled, np.ma.MaskedArray)
    assert_array_equal(filled[~hidden], X[~hidden])
    assert filled[hidden].min() > 0
    assert_array_equal(vae.score_samples(list(masked)), vae.score_samples(missing))


def test_too_few_rows(people):
    with pytest.raises(ValueError, match=r"1 sample\(s\).*minimum of 2"):
        small().fit([[1.0, 2.0]])
    with pytest.raises(DataError, match="Too few rows are left for training"):
        small().fit(people.head(2))
    assert small(settings=SMALL | {"data.validation": 0}).fit(people.head(2)).n_iter_ == 1


def test_errors_are_in_the_form_of_the_package_or_of_scikit_learn(people, vae):
    with pytest.raises(ValueError, match=r"a TensorDataset of 1 tensor.*dataset\.tensors\[0\]"):
        small().fit(TensorDataset(torch.eye(4)))
    with pytest.raises(RecipeError, match=r"'training\.epoch'.*Did you mean 'training\.epochs'"):
        small(settings={"training.epoch": 3}).fit(people)
    with pytest.raises(ValueError, match="'latent_dim' parameter of VAE must be"):
        small(latent_dim=0).fit(people)
    with pytest.raises(VaekitError, match=r"z must have shape \(n, 2\)"):
        vae.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="infinity"):
        small().fit([[1.0, np.inf], [2.0, 1.0], [3.0, 2.0]])
    with pytest.raises(DataError, match="every cell of column 'age' must be a number"):
        vae.transform(people.assign(age="old"))
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        vae.score(people.drop(columns="city"))
    for method in ("transform", "score_samples", "impute", "reconstruct", "explain", "inverse_transform", "save"):
        with pytest.raises(NotFittedError):
            getattr(small(), method)(people)
    with pytest.raises(NotFittedError):
        small().sample()
