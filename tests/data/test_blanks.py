"""Structural blanks: which columns are empty because of the cell of another column."""

import numpy as np
import pandas as pd
import pytest

from vaekit.data import Part, make_schema, open_both, split_source
from vaekit.data.blanks import blank_cells, find_blanks
from vaekit.data.options import DataOptions
from vaekit.data.tables.columns import Column
from vaekit.runs.describe import describe

N = 600
KINDS = ("joint", "other", "single")


def people(n=N, seed=0, single=(), share=0.0):
    """Rows whose partner's income is empty where the kind is single, and at random elsewhere."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(KINDS, n, p=[0.4, 0.2, 0.4])
    kind[list(single)] = "single"
    frame = pd.DataFrame({"kind": kind, "age": rng.normal(40, 9, n), "partner": rng.normal(30, 5, n)})
    frame.loc[(kind == "single") | (rng.random(n) < share), "partner"] = np.nan
    return frame


def rules(frame, **options):
    source, _ = open_both(frame, None, DataOptions(**options))
    schema = make_schema(source, split_source(source, None, 0).train)
    found = ((c.name, c.blank_where) for c in schema.table if c.blank_where)
    return {name: (other, tuple(sorted(values))) for name, (other, values) in found}


def test_a_column_that_is_empty_where_another_has_a_value():
    assert rules(people()) == {"partner": ("kind", ("single",))}
    assert rules(people(share=0.1)) == {"partner": ("kind", ("single",))}


def test_one_filled_cell_in_a_training_row_is_enough_against_a_rule():
    frame = people()
    train = split_source(open_both(frame)[0], None, 0).train
    row = next(i for i in train.index if frame.kind[i] == "single")
    frame.loc[row, "partner"] = 30.0
    assert rules(frame) == {}


def test_a_held_out_row_does_not_count():
    frame = people()
    test = split_source(open_both(frame)[0], None, 0).test
    frame.loc[next(i for i in test.index if frame.kind[i] == "single"), "partner"] = 30.0
    assert rules(frame) == {"partner": ("kind", ("single",))}


def test_a_column_that_is_mostly_empty_elsewhere_has_no_rule():
    assert rules(people(share=0.5)) == {}


def test_a_value_needs_thirty_rows():
    frame = people()
    few = frame.kind == "single"
    train = split_source(open_both(frame)[0], None, 0).train.index
    wanted = [i for i in train if few[i]]
    for count, found in ((29, {}), (30, {"partner": ("kind", ("single",))})):
        changed = frame.copy()
        changed.loc[[i for i in frame.index[few] if i not in wanted[:count]], ["kind", "partner"]] = ["joint", 30.5]
        assert rules(changed) == found


def test_several_values_and_the_simplest_of_several_explanations():
    frame = people()
    frame.loc[frame.kind == "other", "partner"] = np.nan
    assert rules(frame) == {"partner": ("kind", ("other", "single"))}
    frame["code"] = frame.kind.map({"joint": "yes", "other": "no", "single": "no"})  # explains as much with one value
    assert rules(frame) == {"partner": ("code", ("no",))}
    frame["code"] = np.where(frame.kind == "single", "no", "yes")  # explains less
    assert rules(frame) == {"partner": ("kind", ("other", "single"))}


def test_columns_that_are_empty_together_do_not_explain_each_other():
    frame = people()
    frame["employer"] = np.where(frame.partner.isna(), None, np.where(frame.age > 40, "north", "south"))
    found = rules(frame)
    assert found == dict.fromkeys(("partner", "employer"), ("kind", ("single",)))
    assert rules(frame.drop(columns="kind")) == {}


def test_a_rule_with_a_covariate_and_with_a_column_that_has_missing_cells():
    assert rules(people(), context=("kind",)) == {"partner": ("kind", ("single",))}
    frame = people()
    frame.loc[::9, "kind"] = None
    assert rules(frame) == {"partner": ("kind", ("single",))}


def test_in_large_tables_a_rule_is_checked_in_all_rows(monkeypatch):
    monkeypatch.setattr("vaekit.data.blanks.SEARCHED", 200)
    frame = people(3000)
    assert rules(frame) == {"partner": ("kind", ("single",))}
    train = split_source(open_both(frame)[0], None, 0).train.subset(10**6, 0)
    some = train.subset(200, 0).index
    frame.loc[next(i for i in train.index if frame.kind[i] == "single" and i not in some), "partner"] = 30.0
    assert rules(frame) == {}


def test_counts_agree_with_pandas():
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, 3, 500), rng.integers(0, 2, 500), rng.normal(size=(500, 2))]).astype(float)
    codes[codes[:, 0] == 2, 3] = np.nan
    codes[(codes[:, 1] == 1) & (rng.random(500) < 0.3), 2] = np.nan
    table = [
        *(Column(name=name, kind="categorical", type="string", categories=tuple(KINDS[:size])) for name, size in (("a", 3), ("b", 2))),
        *(Column(name=name, kind="real", type="double") for name in ("c", "d")),
    ]  # fmt: skip
    found = find_blanks(Part(codes, np.arange(500)), table)
    frame = pd.DataFrame(codes, columns=list("abcd"))
    always = frame.d.isna().groupby(frame.a).mean()
    assert [c.blank_where for c in found] == [
        None,
        None,
        None,
        ("a", tuple(KINDS[int(v)] for v in always.index[always == 1])),
    ]
    np.testing.assert_array_equal(blank_cells(found, codes)[:, 3], frame.d.isna())
    assert not blank_cells(found, codes)[:, :3].any()


def test_describe_says_where_a_column_is_empty():
    (said,) = (row[2] for row in describe(people()).rows() if row[0] == "partner")
    assert said.endswith("; empty in all rows where kind = single")
    both = Column(name="x", kind="real", type="double", blank_where=("k", tuple(map(float, range(7)))))
    assert both.full_reason == "empty in all rows where k = 0 or 1 or 2 or 3 or 3 more"


@pytest.mark.parametrize("blank", [("nothing", ("single",)), ("kind", ("unheard",))])
def test_a_schema_with_a_rule_about_nothing_is_refused(blank):
    from vaekit.data.description import table_schema

    source, _ = open_both(people())
    columns = tuple(c.model_copy(update={"blank_where": blank}) if c.name == "partner" else c for c in source.table)
    with pytest.raises(ValueError, match="structural blanks of 'partner'"):
        table_schema(columns, array=False)
