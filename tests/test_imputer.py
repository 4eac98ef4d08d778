"""The imputer fills cells as its model does, in pipelines, and keeps all other cells."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import vaekit
from vaekit import VAE, VAEImputer, VAEOutlierDetector
from vaekit.errors import DataError

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "training.validations": 1, "objective.samples": 2}


def small():
    return VAE(1, epochs=1, samples=2, settings=SMALL, random_state=0)


FAST = SMALL | {"training.epochs": 1, "evaluation.samples": 2}
ESTIMATORS = [small(), VAEImputer(small()), VAEOutlierDetector(settings=FAST, random_state=0)]


def reasons(estimator):
    if not isinstance(estimator, VAE):
        return {}
    told = "batches are drawn in proportion to the weights: the same as rows given several times in expectation, not to the last digit"
    return {f"check_sample_weight_equivalence_on_{kind}_data": told for kind in ("dense", "sparse")}


def test_every_estimator_is_checked():
    public = [getattr(vaekit, name) for name in vaekit.__all__]
    estimators = {each for each in public if isinstance(each, type) and issubclass(each, BaseEstimator)}
    assert estimators == {type(each) for each in ESTIMATORS}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=reasons)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": pd.array(rng.integers(18, 90, 80), dtype="Int64"),
            "work": pd.Categorical(rng.choice(["city", "farm"], 80)),
            "income": rng.normal(size=80),
        },
        index=[f"r{i}" for i in range(80)],
    )
    for every, name in ((5, "age"), (7, "work"), (9, "income")):
        table.loc[table.index[::every], name] = pd.NA if name == "age" else None
    return table


def test_the_imputer_fills_what_its_model_fills(people):
    imputer = VAEImputer(small()).fit(people)
    pd.testing.assert_frame_equal(imputer.transform(people), imputer.estimator_.impute(people))
    pd.testing.assert_frame_equal(imputer.transform(people), small().fit(people).impute(people))
    drawn = VAEImputer(small(), draws=True).fit(people).transform(people)
    pd.testing.assert_frame_equal(drawn, imputer.estimator_.impute(people, draws=1)[0])


def test_only_some_columns_are_filled(people):
    filled = VAEImputer(small(), columns=["age"]).fit_transform(people)
    assert filled["age"].notna().all()
    assert (filled.dtypes == people.dtypes).all()
    pd.testing.assert_frame_equal(filled[["work", "income"]], people[["work", "income"]])
    with pytest.raises(DataError, match=r"'agee' instead. Did you mean 'age'\?"):
        VAEImputer(small(), columns=["agee"]).fit_transform(people)
    X = np.random.default_rng(0).normal(size=(40, 3))
    X[::3, 0] = X[::4, 2] = np.nan
    filled = VAEImputer(small(), columns=[2]).fit_transform(X)
    np.testing.assert_array_equal(filled[:, :2], X[:, :2])
    assert np.isfinite(filled[:, 2]).all()


def test_cells_may_stay_empty_on_purpose(people):
    vae = small().fit(people)
    whole = vae.impute(people)
    for where in (
        np.arange(80) < 40,
        np.broadcast_to((np.arange(80) < 40)[:, None], (80, 3)),
        pd.DataFrame({name: np.arange(80) < 40 for name in people}),
        pl.DataFrame({name: np.arange(80) < 40 for name in people}),
    ):
        filled = vae.impute(people, where=where)
        pd.testing.assert_frame_equal(filled.iloc[:40], whole.iloc[:40])
        pd.testing.assert_frame_equal(filled.iloc[40:], people.iloc[40:])
    for wrong in (
        np.zeros(79, bool),
        np.zeros((80, 2), bool),
        np.zeros(80),
        pd.DataFrame({"agee": np.zeros(80, bool)}),
    ):
        with pytest.raises(DataError, match="`where` must"):
            vae.impute(people, where=wrong)
    with pytest.raises(DataError, match=r"Pass \['age'\]"):
        vae.impute(people, columns="age")


@pytest.mark.parametrize("library", ["pandas", "polars", "array"])
def test_indicators_are_those_of_scikit_learn(people, library):
    numbers = people[["age", "income"]].astype(float)
    rows = {"pandas": numbers, "polars": pl.from_pandas(numbers), "array": numbers.to_numpy()}[library]
    imputer = VAEImputer(small(), add_indicator=True)
    found = imputer.fit_transform(rows)
    expected = MissingIndicator(features="missing-only").fit_transform(numbers.to_numpy())
    np.testing.assert_array_equal(np.asarray(found)[:, 2:].astype(bool), expected)
    assert isinstance(found, type(rows))
    names = ["x0", "x1"] if library == "array" else ["age", "income"]
    assert imputer.get_feature_names_out().tolist() == [*names, *(f"missingindicator_{name}" for name in names)]
    if library != "array":
        assert list(found.columns) == imputer.get_feature_names_out().tolist()


def test_the_imputer_is_a_step_of_pipelines(people):
    y = np.arange(80.0)
    columns = ColumnTransformer([("fill", VAEImputer(small(), add_indicator=True), ["age", "income"])])
    model = make_pipeline(columns.set_output(transform="pandas"), LinearRegression()).fit(people, y)
    assert model[0].get_feature_names_out().tolist() == [
        "fill__age", "fill__income", "fill__missingindicator_age", "fill__missingindicator_income",
    ]  # fmt: skip
    assert np.isfinite(model.predict(people)).all()


@pytest.mark.parametrize(
    ("columns", "problem"), [(["agee"], "Got 'agee' instead. Did you mean 'age'"), (["age", 99], "Got '99'")]
)
def test_unknown_columns_are_refused_before_training(people, columns, problem):
    with pytest.raises(DataError, match=f"a column to fill must be a column of the table. {problem}"):
        VAEImputer(VAE(epochs=10**6), columns=columns).fit(people)
    with pytest.raises(DataError, match=r"must be a list of names. Got 'age' instead. Pass \['age'\]"):
        VAEImputer(VAE(epochs=10**6), columns="age").fit(people)
