"""The ranking of anomalies: each set is judged by the choice made on the others, and false alarms beside their law."""

import anomalies
import numpy as np
import pytest
from numpy.testing import assert_allclose


class Made:
    """Trials with given records."""

    def __init__(self, records):
        self.records = records

    def of(self, table, method):
        return [r for r in self.records if (r["table"], r["method"]) == (table, method)]


def record(table, both, model, rows, seed=0):
    found = {"auroc of both": both, "auroc of the model": model, "auroc of the rows": rows}
    return {"table": table, "method": "detector", "seed": seed, **found}


def test_each_set_is_judged_by_the_choice_made_on_the_others():
    """On b and c, and on a and c, the rows are best; on a and b it is the model."""
    trials = Made([record("a", 0.5, 0.9, 0.6), record("b", 0.6, 0.9, 0.8), record("c", 0.95, 0.1, 0.9)])
    judged = {"a": 0.6, "b": 0.8, "c": 0.1}
    assert_allclose(anomalies.left_out(trials, ["a", "b", "c"], "detector"), np.mean(list(judged.values())))
    assert anomalies.left_out(trials, ["a"], "detector") is None


def test_infinite_scores_rank_highest_and_nan_fails():
    assert anomalies.auroc(np.array([False, True, False]), np.array([0.0, np.inf, 1.0])) == 1
    with pytest.raises(ValueError, match="NaN"):
        anomalies.auroc(np.array([False, True]), np.array([0.0, np.nan]))


def test_false_alarms_are_reported_with_their_law():
    row = record("a", 1, 1, 1) | {"held_out": 99, "normal": 500, "alarms at 0.01": 0.012}
    text = anomalies.false_alarms(Made([row]), ["a", "b"])
    assert "| a | 0 | 99 | 500 | 0.01 | 0.0120 | 0.0003 to 0.0366 |" in text
    assert text.count("| a |") == 1


def test_tables_of_classes_have_their_anomalies():
    X, anomalous = anomalies.load("iris")
    assert (X.shape, anomalous.sum()) == ((100, 4), 50)
    train, test, labels = anomalies.split("wine", 0, None)
    assert (len(train), len(test), labels.sum()) == (59, 119, 59)
