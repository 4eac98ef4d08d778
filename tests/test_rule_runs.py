"""Rows that a run draws and fills obey its rules; given cells stay as they are."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import vaekit
from vaekit.data.tables.rules import RuleSet
from vaekit.data.tables.rules.rule_set import FRESH
from vaekit.errors import DataError
from vaekit.runs import rules
from vaekit.runs.rules import _draw_codes as draw_codes

SETTINGS = {
    "training.epochs": 3,
    "training.batch_size": 64,
    "training.validations": 1,
    "latent_dim": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "objective.samples": 2,
    "evaluation.samples": 20,
}
RULES = [
    "low <= high",
    "total == x + y",
    "grade == sub_grade[0]",
    "city -> country",
    "start < end",
    "fixed(role, sex)",
    "high <= 200",
]
ROWS = 400
COUNTRY = {"Paris": "FR", "Lyon": "FR", "Rome": "IT", "Milan": "IT", "Oslo": "NO"}
PAIRS = [("wife", "female"), ("husband", "male"), ("child", "female"), ("child", "male")]


def made(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    sub = rng.choice([f"{letter}{i}" for letter in "ABC" for i in range(1, 4)], rows)
    city = rng.choice(list(COUNTRY), rows)
    low = rng.gamma(2, 10, rows).round(2)
    x, y = rng.poisson(15, rows), rng.poisson(20, rows)
    start = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D")
    role = np.array(PAIRS)[rng.integers(0, 4, rows)]
    return pd.DataFrame(
        {
            "sub_grade": sub,
            "grade": [text[0] for text in sub],
            "low": low,
            "high": np.minimum(low + rng.gamma(1, 8, rows), 200).round(2),
            "x": x,
            "y": y,
            "total": x + y,
            "city": city,
            "country": [COUNTRY[each] for each in city],
            "start": start,
            "end": start + pd.to_timedelta(rng.integers(1, 60, rows), unit="D"),
            "role": role[:, 0],
            "sex": role[:, 1],
            "score": rng.normal(size=rows),
        }
    )


def breaks(table):
    """How many rows break each rule, worked out by pandas; a missing cell breaks none."""
    t = table
    return {
        "low": int((t.low > t.high).sum()),
        "total": int((t.total - t.x - t.y).fillna(0).ne(0).sum()),
        "grade": int((t.grade != t.sub_grade.str[0]).sum()),
        "city": int((t.country != t.city.map(COUNTRY)).sum()),
        "start": int((t.start >= t.end).sum()),
        "role": int((~pd.Series(list(zip(t.role, t.sex, strict=True))).isin(PAIRS)).sum()),
        "high": int((t.high > 200).sum()),
    }


NONE = dict.fromkeys(breaks(made(2)), 0)
TABLE = made()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return vaekit.train(TABLE, settings=SETTINGS | {"data.rules": RULES}, out=tmp_path_factory.mktemp("runs") / "rules")


@pytest.fixture(scope="module")
def holes():
    """Rows with a third of their cells missing, and which cells."""
    table = made(60, seed=1)
    gone = np.random.default_rng(2).random(table.shape) < 0.35
    return table.mask(gone), table, gone


def test_the_table_obeys_and_the_model_alone_would_not(run):
    assert breaks(TABLE) == NONE
    free = run._own(run.sample_at(None, 300, seed=0), {})
    assert all(count > 0 for rule, count in breaks(free).items() if rule != "high")


def test_every_drawn_row_obeys(run):
    drawn = run.sample(700, seed=3)
    assert breaks(drawn) == NONE
    assert drawn.dtypes.equals(TABLE.dtypes)
    assert not drawn.isna().any().any()


def test_a_row_depends_on_its_number_and_the_seed_alone(run):
    drawn = run.sample(700, seed=3)
    assert run.sample(700, seed=3).equals(drawn)
    assert run.sample(11, seed=3).equals(drawn.head(11))
    assert run.sample(531, seed=3).equals(drawn.head(531))
    assert not run.sample(11, seed=4).equals(drawn.head(11))
    assert not drawn.duplicated().any()


def test_typical_rows_obey(run):
    assert breaks(run.sample(40, mean=True)) == NONE
    assert breaks(run.decode(np.random.default_rng(0).normal(size=(40, 2)))) == NONE
    assert breaks(run.reconstruct(TABLE.head(40))) == NONE


@pytest.mark.parametrize(
    "given",
    [
        {"country": "IT", "grade": "B"},  # the sources must fit the given targets
        {"city": "Oslo", "sub_grade": "C2"},
        {"total": 30},
        {"total": 30, "x": 12},
        {"low": 60.0, "start": "2020-10-01"},
        {"high": 3.0, "sex": "male"},
    ],
    ids=str,
)
def test_rows_drawn_given_some_cells_obey_and_have_them(run, given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three epochs: few effective draws
        drawn = run.sample(25, seed=1, given=given)
        again = run.sample(25, seed=1, given=given)
    assert again.equals(drawn)
    assert breaks(drawn) == NONE
    for name, value in given.items():
        assert (drawn[name] == (pd.Timestamp(value) if name == "start" else value)).all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"country": "IT", "city": "Oslo"}, ("break 'city -> country'",)),
        ({"low": 5.0, "high": 4.0}, ("break 'low <= high'",)),
        ({"role": "wife", "sex": "male"}, ("break 'fixed(role, sex)'",)),
        ({"high": 300.0}, ("break 'high <= 200'",)),
        ({"total": 4, "x": 9}, ("no way to obey 'total == x + y'", "Give other values")),
    ],
    ids=str,
)
def test_given_cells_that_break_a_rule_are_refused(run, given, words):
    with pytest.raises(DataError) as refusal:
        run.sample(5, given=given)
    for word in words:
        assert word in str(refusal.value)


def test_filled_cells_obey_and_given_cells_stay(run, holes):
    rows, _, gone = holes
    tables = [run.impute(rows), *run.impute_draws(rows, 2, seed=5)]
    for filled in tables:
        assert breaks(filled) == NONE
        kept = filled.mask(gone)
        assert ((kept == rows) | kept.isna()).all().all()
        assert not filled.isna().any().any()
    again = run.impute_draws(rows, 2, seed=5)
    assert all(a.equals(b) for a, b in zip(tables[1:], again, strict=True))
    assert not tables[1].equals(tables[2])


def test_what_follows_is_filled_exactly(run, holes):
    rows, table, gone = holes
    lost = pd.DataFrame(gone, columns=rows.columns)
    for filled in (run.impute(rows), *run.impute_draws(rows, 1)):
        for target, sources in {
            "total": ("x", "y"),
            "x": ("total", "y"),
            "grade": ("sub_grade",),
            "country": ("city",),
        }.items():
            follows = lost[target] & ~lost[list(sources)].any(axis=1)
            assert follows.any()
            assert (filled[target][follows] == table[target][follows]).all()


def test_rows_that_break_a_rule_by_their_given_cells_are_counted_and_left(run, holes):
    rows = holes[0].head(12).copy()
    rows.loc[[3, 4], ["low", "high"]] = [50.0, 2.0]
    rows.loc[[4], ["x", "y", "total"]] = [3, 4, 9]
    said = r"In 2 of 12 rows the given cells do not fit the rules, which stay broken: 'low <= high' in 2, 'total == x \+ y' in 1$"
    with pytest.warns(UserWarning, match=said):
        filled = run.impute(rows)
    assert breaks(filled) == NONE | {"low": 2, "total": 1}
    assert filled.loc[[3, 4], ["low", "high"]].equals(rows.loc[[3, 4], ["low", "high"]])
    with pytest.warns(UserWarning, match=said):
        (drawn,) = run.impute_draws(rows, 1)
    assert breaks(drawn) == NONE | {"low": 2, "total": 1}


def test_only_the_columns_that_may_be_filled_are_filled(run, holes):
    rows, _, gone = holes
    filled = run.impute(rows, columns=["total"])
    assert filled.drop(columns="total").equals(rows.drop(columns="total"))
    known = ~gone[:, rows.columns.get_loc("x")] & ~gone[:, rows.columns.get_loc("y")]
    assert (filled.total == filled.x + filled.y)[known].all()


def test_the_score_is_that_of_the_model(run):
    rows = TABLE.head(5).copy()
    rows["total"] = 2 * rows["total"]
    assert np.isfinite(run.score_samples(rows)).all()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Single persons have no joint income, so that their own may be higher than any."""
    rng = np.random.default_rng(0)
    single = rng.random(600) < 0.6
    own = np.where(single, rng.uniform(60, 100, 600), rng.uniform(10, 30, 600)).round()
    joint = np.where(single, np.nan, own + rng.integers(10, 30, 600))
    frame = pd.DataFrame({"kind": np.where(single, "single", "joint"), "own": own, "joint": joint})
    settings = SETTINGS | {"data.rules": ["own <= joint"]}
    return vaekit.train(frame, settings=settings, out=tmp_path_factory.mktemp("people") / "run")


def test_rules_do_not_change_the_shares_of_earlier_columns(people):
    plain = replace(people, schema=people.schema.model_copy(update={"rules": ()})).sample(8000, seed=2)
    assert (plain.own > plain.joint)[plain.kind == "joint"].mean() > 0.3
    drawn, whole = people.sample(8000, seed=1), people.sample(8000, seed=1, complete=True)
    for table in (drawn, whole):
        assert (table.own <= table.joint)[table.joint.notna()].all()
    assert drawn.joint.isna()[drawn.kind == "single"].all()
    shares = [(table.kind == "single").mean() for table in (plain, drawn, whole)]
    assert shares == pytest.approx([shares[0]] * 3, abs=0.03)


def test_filled_cells_do_not_depend_on_structural_blanks(people):
    rows = pd.DataFrame({"kind": ["single"] * 50, "own": [np.nan] * 50, "joint": [np.nan] * 50})
    codes = people._table_model(None).draw(people.rows(rows), 2, 3)
    for table, expected in zip(people.impute_draws(rows, 2, seed=3), codes, strict=True):
        assert table.joint.isna().all()
        np.testing.assert_array_equal(table.own, np.round(expected[:, 1]))
    for table in people.impute_draws(rows, 2, seed=3, blanks=True):
        assert (table.own <= table.joint).all()
    unknown = pd.DataFrame({"kind": [None] * 50, "own": [np.nan] * 50, "joint": [np.nan] * 50})
    (plain,) = people._table_model(None).draw(people.rows(unknown), 1, 3)
    (table,) = people.impute_draws(unknown, 1, seed=3)
    single = plain[:, 0] == people.schema.modelled[0].categories.index("single")
    assert 10 < single.sum() < 40
    np.testing.assert_array_equal(table.own[single], np.round(plain[single, 1]))
    given = pd.DataFrame({"kind": ["single"], "own": [80.0], "joint": [70.0]})  # it has a joint income all the same
    with pytest.warns(UserWarning, match="own <= joint"):
        people.impute(given)


def test_a_cell_that_is_drawn_again_depends_on_those_that_stay(tmp_path):
    rng = np.random.default_rng(0)
    low, amount = rng.random(800) < 0.5, rng.integers(0, 9, 800).astype(float)
    amount[:240] = 0  # a point mass, whose choice comes before the column with five values
    value = np.where(low, rng.choice([3.0, 6.0, 9.0], 800), rng.choice([50.0, 70.0], 800))
    value[rng.random(800) < 0.1] = np.nan  # so that it comes last
    frame = pd.DataFrame({"amount": amount, "side": np.where(low, "low", "high"), "value": value})
    frame["mark"] = rng.choice(list("abcde"), 800)
    settings = {
        "training.epochs": 60,
        "training.batch_size": 32,
        "likelihood.width": 32,
        "data.rules": ["amount <= value"],
    }
    run = vaekit.train(frame, recipe="autoregressive-table", settings=settings, out=tmp_path / "run")
    assert [run.schema.columns[place] for place in run.rules.order] == ["side", "mark", "amount", "value"]
    plain = replace(run, schema=run.schema.model_copy(update={"rules": ()})).sample(3000, seed=2)
    drawn, given = run.sample(3000, seed=1), run.sample(3000, seed=1, given={"mark": "a"})
    assert (plain.amount > plain.value).mean() > 0.05
    for table in (plain, drawn, given):
        there = table[table.value.notna()]
        assert ((there.value < 30) == (there.side == "low")).mean() > 0.98
    assert (drawn.side == "low").mean() == pytest.approx((plain.side == "low").mean(), abs=0.04)
    for table in (drawn, given):
        assert not (table.amount > table.value).any()


def test_a_row_that_is_drawn_again_keeps_its_code_and_its_first_cells(people, monkeypatch):
    rounds, drawn = [], []
    monkeypatch.setattr(rules, "_draw_codes", lambda *given: rounds.append(given[-1]) or draw_codes(*given))

    def draw(_, draw, free, *__):
        first = draw(np.arange(5), 0, free)
        start = np.where([True, True, False], first, np.nan)
        drawn.extend([first, *(draw(np.arange(5), attempt, start) for attempt in (FRESH - 1, FRESH))])
        return first, np.zeros((1, 5), bool)

    monkeypatch.setattr(RuleSet, "draw", draw)
    people.sample(5)
    assert rounds == [0, 0, 1]
    for again in drawn[1:]:
        np.testing.assert_array_equal(again[:, :2], drawn[0][:, :2])
        assert (again[:, 2] != drawn[0][:, 2]).all()


def test_rules_are_told_and_kept(run):
    notes = run.provenance["choices"]
    assert "The rule 'low <= high' holds in all 324 training rows that have its cells." in notes
    assert [value for name, value in run.facts() if name == "rule"] == RULES
    loaded = vaekit.load(run.path)
    assert loaded.schema == run.schema
    assert loaded.sample(20, seed=3).equals(run.sample(20, seed=3))


def test_an_array_obeys(tmp_path):
    rng = np.random.default_rng(0)
    X = np.minimum(rng.normal(size=(200, 3)), 2)
    X[:, 2] = X[:, 0] + X[:, 1]
    settings = SETTINGS | {"data.rules": ["column2 == column0 + column1", "column0 <= 2"]}
    run = vaekit.train(X, settings=settings, out=tmp_path / "run")
    drawn = run.sample(50)
    assert np.allclose(drawn[:, 2], drawn[:, 0] + drawn[:, 1], rtol=1e-8)
    assert drawn[:, 0].max() <= 2
    X[:10, 2] = np.nan
    assert np.allclose(run.impute(X)[:10, 2], X[:10, 0] + X[:10, 1])


def test_a_run_that_starts_from_another_has_its_own_rules(run, tmp_path):
    settings = SETTINGS | {"data.rules": ["low <= high"]}
    other = vaekit.train(TABLE, start=run, settings=settings, out=tmp_path / "run")
    assert [rule.text for rule in other.schema.rules] == ["low <= high"]


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        (["low <= hihg"], "Did you mean 'high'"),
        (["low >= high"], r"of 324 training rows break the rule 'low >= high'\. Leave it out of data\.rules"),
        (["low =< high"], "cannot be read from character 5 on"),
    ],
)
def test_rules_that_do_not_fit_are_refused_before_training(rules, error, tmp_path):
    with pytest.raises(DataError, match=error):
        vaekit.train(TABLE, settings=SETTINGS | {"data.rules": rules}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_mixed_tables_have_rules(tmp_path):
    with pytest.raises(DataError, match=r"Rules \(data.rules\) need a mixed table, but the data are levels"):
        vaekit.train("digits", settings={"data.rules": ["a <= b"]}, out=tmp_path / "run")


def test_describe_proposes_and_says_how_to_accept():
    found = vaekit.describe(TABLE)
    assert {"grade == sub_grade[0]", "city -> country", "total == x + y", "fixed(role, sex)"} <= {
        p.text for p in found.proposals
    }
    assert ("total == x + y", "324 of 324 rows") in found.rules()
    assert 'settings={"data.rules": [...]}' in repr(found)
    assert "total == x + y" in found._repr_html_()
    accepted = vaekit.describe(TABLE, {"data.rules": ["total == x + y"]})
    assert ("rule", "total == x + y") in accepted.facts
    assert "total == x + y" not in {proposal.text for proposal in accepted.proposals}


def test_the_command_line(call, tmp_path):
    path = tmp_path / "rows.csv"
    TABLE.to_csv(path, index=False)
    out = call("describe", path).out
    assert "rule " in out
    accepting = next(line for line in out.splitlines() if line.startswith("--set 'data.rules="))
    setting = accepting.removeprefix("--set '").removesuffix("'")
    options = [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]
    trained = call("train", path, *options, "--set", setting, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    assert "rule " in call("describe", tmp_path / "run").out
    assert call("sample", tmp_path / "run", "-n", 60, "--out", tmp_path / "new.csv").code == 0
    drawn = pd.read_csv(tmp_path / "new.csv", parse_dates=["start", "end"])
    assert breaks(drawn) | {"high": 0} == NONE
