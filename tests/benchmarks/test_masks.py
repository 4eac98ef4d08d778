"""Masks of hidden cells have the stated rate, and depend on what they are said to depend on."""

import numpy as np
import pandas as pd
import pytest
from masks import RATE, by_itself, by_others, hidden_cells, probabilities
from table_data import Table

N = 20_000


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Independent columns, so that a mask which depends on one of them depends on no other."""
    monkeypatch.setenv("VAEKIT_DATA", str(tmp_path))
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=N),
            "b": np.exp(3 * rng.normal(size=N)),
            "c": pd.Categorical(rng.choice(list("uvw"), N, p=[0.7, 0.2, 0.1])),
            "d": np.where(rng.random(N) < 0.5, 0.0, rng.normal(size=N)),
            "e": pd.Timestamp(0) + pd.to_timedelta(rng.integers(0, 9000, N), unit="D"),
            "f": rng.integers(0, 3, N),
        }
    )
    frame.loc[rng.random(N) < 0.3, "a"] = np.nan
    kinds = dict.fromkeys("abdf", "number") | {"c": "categorical", "e": "date"}
    return Table("made", frame, {c: kinds[c] for c in frame})


@pytest.mark.parametrize("mechanism", ["MCAR", "MNAR"])
def test_a_fifth_of_the_known_cells_of_each_column_is_hidden(table, mechanism):
    hidden, known = hidden_cells(table, mechanism, 3), table.frame.notna().to_numpy()
    assert not hidden[~known].any()
    rates = hidden.sum(0) / known.sum(0)
    assert rates == pytest.approx(np.full(6, RATE), abs=0.015)


def test_a_third_of_the_columns_is_never_hidden_at_random_given_the_others(table):
    hidden = hidden_cells(table, "MAR", 3)
    rates = hidden.sum(0) / table.frame.notna().sum().to_numpy()
    assert (rates == 0).sum() == 2
    assert rates[rates > 0] == pytest.approx(np.full(4, RATE), abs=0.015)


def test_cells_hidden_by_other_columns_do_not_depend_on_themselves():
    rng = np.random.default_rng(1)
    cells = rng.normal(size=(N, 6))
    share = by_others(cells, np.random.default_rng(2))
    correlation = np.corrcoef(cells.T, share.T[share.max(0) > 0])[:6, 6:]
    kept = share.max(0) == 0
    assert np.abs(correlation[~kept]).max() < 0.03
    assert np.abs(correlation[kept]).max(0).min() > 0.8


def test_cells_hidden_by_themselves_depend_on_their_value_alone():
    cells = np.random.default_rng(1).normal(size=(N, 4))
    share = by_itself(cells, np.random.default_rng(2))
    correlation = np.abs(np.corrcoef(cells.T, share.T)[:4, 4:])
    assert np.diag(correlation).min() > 0.8
    assert (correlation - np.diag(np.diag(correlation))).max() < 0.03
    assert share.mean(0) == pytest.approx(np.full(4, RATE))


def test_the_mean_probability_is_exact_for_ties_constants_and_missing_values():
    rng = np.random.default_rng(4)
    ties = rng.integers(0, 3, 500).astype(float)
    ties[:100] = np.nan
    for driver in (ties, np.ones(500), rng.normal(size=500)):
        known = ~np.isnan(driver)
        assert probabilities(driver)[known].mean() == pytest.approx(RATE)


def test_the_published_cells_are_hidden_with_seed_0(table, tmp_path):
    (tmp_path / "made").mkdir()
    pd.DataFrame([[1, 2], [3, 6]]).to_csv(tmp_path / "made" / "missing20_1.csv.gz", header=False, index=False)
    expected = np.zeros(table.frame.shape, bool)
    expected[0, 1] = expected[2, 5] = True
    assert (hidden_cells(table, "MCAR", 0) == expected).all()
    assert hidden_cells(table, "MCAR", 1).sum() > 1000
