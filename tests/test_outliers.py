"""The detector: its score, its signs, alarms at a known rate, and the same after saving and loading."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import logsumexp

import vaekit
from vaekit import VAEOutlierDetector
from vaekit.errors import DataError, RecipeError, RunError
from vaekit.evaluation.conformal import alarm_interval, p_values

SMALL = {"encoder.hidden": [8], "decoder.hidden": [8], "objective.samples": 2, "evaluation.samples": 4}
FAST = SMALL | {"training.epochs": 2}


def detector(**parameters):
    return VAEOutlierDetector(**{"settings": FAST, "random_state": 0} | parameters)


def normal_rows(n, seed):
    z = np.random.default_rng(seed).normal(size=(n, 3))
    return z @ [[1.0, 0.8, 0.0], [0.0, 0.5, 0.3], [0.0, 0.0, 2.0]] + [5, 0, -3]


def test_the_model_of_blurred_rows_has_their_density():
    """Rows of a Gaussian, blurred by σ in units of their standard deviation, are Gaussian with known moments."""
    cov = np.array([[4.0, 1.5], [1.5, 1.0]])
    X = np.random.default_rng(0).multivariate_normal([1, 2], cov, 400)
    rates = {"training.epochs": 60, "training.learning_rate": 1e-2, "optimizer": "adamw"}
    settings = rates | {"data.blur": 0.5, "encoder.hidden": [32], "decoder.hidden": [32]}
    found = detector(settings=settings, calibration=0).fit(X)
    truth = stats.multivariate_normal(X.mean(0), np.cov(X.T) + 0.25 * np.diag(X.var(0)))
    new = truth.rvs(300, random_state=1)
    log_p = found.run_.score_samples(new, samples=50)
    assert abs((log_p - truth.logpdf(new)).mean()) < 0.1
    assert np.corrcoef(log_p, truth.logpdf(new))[0, 1] > 0.95


def test_epochs_are_a_parameter_as_in_the_model():
    found = detector(settings=SMALL, epochs=3, calibration=0).fit(normal_rows(40, 0))
    assert found.run_.recipe.training.epochs == 3
    with pytest.raises(ValueError, match="epochs"):
        detector(epochs=0).fit(normal_rows(40, 0))


def test_score_joins_two_densities_in_units_of_training_rows():
    X, new = normal_rows(60, 0), normal_rows(9, 1) * 2
    found = detector(calibration=0).fit(X)
    run = found.run_
    scale, mean, std = run.recipe.data.blur, X.mean(0), X.std(0)

    def views(rows, others):
        square = (((rows[:, None] - others) / std) ** 2).sum(-1)
        kernel = -square / (2 * scale**2) - 1.5 * np.log(2 * np.pi * scale**2)
        if rows is others:
            np.fill_diagonal(kernel, -np.inf)
        density = logsumexp(kernel, axis=1) - np.log(len(others) - (rows is others))
        return np.stack([run.score_samples(rows), density], 1)

    centre, low = np.quantile(views(X, X), [0.5, 0.1], axis=0)
    expected = ((views(new, X) - centre) / (centre - low)).sum(1)
    assert_allclose(found.score_samples(new), expected, rtol=1e-3, atol=1e-3)
    assert_allclose(mean, [(m.knots[0] + m.knots[1]) / 2 for m in run.transform.cells.columns])


def test_signs_and_shares():
    X, far = normal_rows(200, 0), normal_rows(5, 1) + np.array([20, -20, 20])
    found = detector(contamination=0.15).fit(X)
    assert_array_equal(found.predict(far), -1)
    assert_allclose(found.decision_function(X), found.score_samples(X) - found.offset_)
    assert_array_equal(found.predict(X) == -1, found.decision_function(X) < 0)
    assert (found.predict(X) == -1).mean() == 0.15
    assert_array_equal(detector(contamination=0.15).fit_predict(X), found.predict(X))
    assert found.score_samples(far).max() < found.score_samples(X).min()


def test_rows_held_out_neither_train_nor_set_the_units():
    X = normal_rows(300, 0)
    found = detector(calibration=100).fit(X)
    counts = found.run_.provenance["rows"]
    assert (counts["train"], counts["validation"], counts["test"]) == (200, 0, 100)
    train = found.run_.detection.score.rows.numpy()
    kept = {row.tobytes() for row in found.run_.rows(X).tensor().numpy()[:, :3]} - {row.tobytes() for row in train}
    assert (len(train), len(kept)) == (200, 100)
    held_out = np.array([row.tobytes() in kept for row in found.run_.rows(X).tensor().numpy()[:, :3]])
    assert_array_equal(np.sort(found.calibration_), np.sort(found.score_samples(X[held_out])))
    other = X.copy()
    other[held_out] += 3
    again = detector(calibration=100).fit(other)  # the same rows are held out
    assert_array_equal(again.score_samples(X), found.score_samples(X))


def test_false_alarms_have_the_rate_that_the_beta_law_gives():
    found = detector(false_alarm_rate=0.01, calibration=1000).fit(normal_rows(1200, 0))
    new = normal_rows(3000, 1)
    alarms = found.predict(new) == -1
    low, high = alarm_interval(1000, 0.01, 0.999)
    assert low - 0.005 < alarms.mean() < high + 0.005
    ranks = found.p_values(new)
    assert_array_equal(alarms, ranks <= 0.01)
    assert_array_equal(ranks, p_values(found.score_samples(new), found.calibration_))
    for rate in (0.05, 0.2, 0.5):
        low, high = alarm_interval(1000, rate, 0.999)
        assert low - 0.02 < (ranks <= rate).mean() < high + 0.02


def test_rates_that_cannot_be_reached_are_refused_before_training():
    X = normal_rows(300, 0)
    with pytest.raises(DataError, match=r"false_alarm_rate=0.01` cannot be reached with 98 .*needs 99 or more"):
        detector(false_alarm_rate=0.01, calibration=98).fit(X)
    with pytest.raises(DataError, match=r"100 rows are too few to hold out 99 of them.*needs 99 or more"):
        detector(false_alarm_rate=0.01).fit(X[:100])
    with pytest.raises(DataError, match="No rows were held out"):
        detector(calibration=0).fit(X).p_values(X)
    assert len(detector(false_alarm_rate=0.01).fit(X).calibration_) == 99


@pytest.mark.parametrize(("rows", "expected"), [(399, 0), (400, 100), (4000, 1000), (20_000, 2500)])
def test_usual_number_of_rows_held_out(rows, expected):
    assert VAEOutlierDetector()._held_out(rows) == expected


def test_saved_detectors_give_the_same_alarms(tmp_path):
    X, new = normal_rows(300, 0), normal_rows(50, 1)
    found = detector(false_alarm_rate=0.05).fit(X)
    found.save(tmp_path / "run")
    for again in (VAEOutlierDetector.load(tmp_path / "run"), pickle.loads(pickle.dumps(found))):
        assert again.offset_ == found.offset_
        assert_array_equal(again.score_samples(new), found.score_samples(new))
        assert_array_equal(again.p_values(new), found.p_values(new))
        assert_array_equal(again.predict(new), found.predict(new))


def test_a_folder_without_a_detector_or_with_a_damaged_one_is_refused(tmp_path):
    X = normal_rows(60, 0)
    vaekit.VAE(settings=SMALL, epochs=1, random_state=0).fit(X).save(tmp_path / "plain")
    with pytest.raises(RunError, match="does not hold a detector"):
        VAEOutlierDetector.load(tmp_path / "plain")
    detector().fit(X).save(tmp_path / "run")
    path = tmp_path / "run" / "outliers.safetensors"
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(RunError, match=r"outliers.safetensors' is damaged"):
        vaekit.load(tmp_path / "run")


def people(n, seed):
    rng = np.random.default_rng(seed)
    city = rng.choice(["Bonn", "Ulm"], n)
    height = np.where(city == "Bonn", 150, 180) + rng.normal(0, 3, n)
    return pd.DataFrame({"city": city, "height": height, "flag": 0, "count": rng.poisson(2, n)})


def test_data_frames_with_categories_missing_cells_and_constant_columns():
    table = people(300, 0)
    table.loc[::7, "height"] = np.nan
    table.loc[::11, "city"] = None
    settings = {"encoder.hidden": [16], "decoder.hidden": [16], "training.epochs": 30}
    found = detector(settings=settings).fit(table)
    new = people(4, 1)
    usual = found.score_samples(new)
    worse = []
    for column, value in (("height", 240.0), ("flag", 9), ("city", "Rome"), ("count", 40)):
        changed = new.astype({"flag": int})
        changed[column] = value
        worse.append(found.score_samples(changed))
    assert (np.array(worse) < usual - 1).all()
    assert_allclose(found.score_samples(pl.from_pandas(new)), usual)
    assert np.isfinite(found.score_samples(new.assign(height=np.nan, city=None))).all()


def test_likely_values_in_the_named_cells_bring_the_score_back():
    """In each row one of three close columns is exchanged. The column that `explain` names is mended, or another one."""
    rng = np.random.default_rng(0)
    z, place = rng.normal(size=(460, 2)), rng.integers(0, 3, 60)
    X = np.column_stack([z[:, 0], z[:, 0], z[:, 0], z[:, 1]]) + 0.1 * rng.normal(size=(460, 4))
    X, broken = X[:400], X[400:].copy()
    broken[np.arange(60), place] = rng.permutation(broken[np.arange(60), place]) + rng.choice([-1.5, 1.5], 60)
    rates = {"training.epochs": 40, "training.learning_rate": 1e-2, "optimizer": "adamw"}
    settings = rates | {"encoder.hidden": [16], "decoder.hidden": [16], "evaluation.samples": 20}
    found = detector(settings=settings, calibration=0).fit(X)
    named = found.explain(broken).argmax(1)
    gain = np.empty((60, 4))
    for column in range(4):
        mended = broken.copy()
        mended[:, column] = np.nan
        mended = found.run_.impute(mended)
        gain[:, column] = found.score_samples(mended) - found.score_samples(broken)
    own = gain[np.arange(60), named]
    others = (gain.sum(1) - own) / 3
    assert (named == place).mean() > 0.8
    assert (own > others).mean() > 0.8
    assert np.median(own) > 3 * np.median(others)


def test_a_recipe_that_does_not_blur_is_refused():
    for options in ({"recipe": "linear", "settings": None}, {"settings": FAST | {"data.blur": 0.0}}):
        with pytest.raises(RecipeError, match=r"data\.blur above 0"):
            detector(**options).fit(normal_rows(40, 0))
    with pytest.raises(RecipeError, match="unless the data are a mixed table"):
        vaekit.train(normal_rows(40, 0), settings={"data.kind": "real", "data.blur": 0.3})


def test_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="a detector must be given a data frame or an array"):
        detector().fit(tmp_path / "rows.csv")
