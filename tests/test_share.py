"""A shared run holds nothing that was not meant to leave, and says what it still holds."""

import getpass
import hashlib
import json
import math
import re
import socket
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
from scipy.special import ndtr

import vaekit
from vaekit.data import Column
from vaekit.data.tables.cells import Categories
from vaekit.data.tables.marginals import fit_marginal, standardize
from vaekit.data.tables.rules.fitting import fit_rules
from vaekit.errors import DataError, RunError
from vaekit.evaluation import measure
from vaekit.folder import CARD, INTERVALS, MANIFEST, SHARED, WEIGHTS
from vaekit.runs.sharing.categories import count_values, find_rare, prune
from vaekit.runs.sharing.numbers import blunt_marginal
from vaekit.runs.sharing.rules import prune_rules

FAST = {
    "training.epochs": 2,
    "training.validations": 1,
    "encoder.hidden": [8],
    "decoder.hidden": [8],
    "latent_dim": 2,
    "evaluation.samples": 5,
}
ROWS = 400
SECRETS = ("Quorn", "Unikate", "98765432", "1931-05-17", "St. Mary", "one in a hundred", "john_doe", "patients")


def visits():
    """A table with a name that one person has, an extreme amount, an early date, and a column that is always the same."""
    rng = np.random.default_rng(0)
    names = rng.choice(["Meier", "Huber", "Bauer"], ROWS, p=[0.6, 0.3, 0.1]).astype(object)
    names[[7, 9]] = "Zyxwvut Quorn", "Abel Unikate"
    days = np.datetime64("2020-01-01") + rng.integers(0, 900, ROWS)
    days[3] = np.datetime64("1931-05-17")
    amount = np.round(rng.lognormal(10, 0.5, ROWS), 2)
    amount[5] = 98765432.12
    children = rng.integers(0, 4, ROWS)
    children[11] = 13
    return pa.table(
        {
            "name": pa.array(names),
            "day": pa.array(days),
            "amount": amount,
            "children": children,
            "age": pa.array(rng.integers(18, 90, ROWS), mask=rng.random(ROWS) < 0.1),
            "site": ["St. Mary"] * ROWS,
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder whose path tells something."""
    made = tmp_path_factory.mktemp("home") / "patients" / "john_doe"
    made.mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def run(place):
    """A run on a file in that folder."""
    pa.csv.write_csv(visits(), place / "visits.csv")
    settings = FAST | {"description": "one in a hundred", "data.rules": ["amount >= 0"]}
    return vaekit.train(str(place / "visits.csv"), settings=settings, out=place / "run")


@pytest.fixture(scope="module")
def shared(run, tmp_path_factory):
    """The run after sharing, and its record."""
    folder = tmp_path_factory.mktemp("shared") / "visits"
    record = run.share(folder)
    return vaekit.load(folder), record


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_leaves_that_was_not_meant_to(run, shared, place):
    found = contents(shared[0].path)
    assert set(found) == set(shared[1].files)
    assert set(found) == {*SHARED, MANIFEST, CARD} - {INTERVALS}  # too few rows for recalibrated levels
    hashes, _ = run.known.content()
    secret = [
        *SECRETS,
        str(place),
        str(shared[0].path),
        socket.gethostname(),
        sys.argv[0],
        run.provenance["command"][0],
    ]
    secret += [run.provenance[key] for key in ("fingerprint", "validation_fingerprint", "test_fingerprint")]
    secret += [str(row) for row in hashes.tolist()]
    digits = [moment.astype("datetime64[us]").astype(int) for moment in visits()["day"].to_numpy()[[3]]]
    for name, content in found.items():
        for text in [*secret, *map(str, digits)]:
            assert text.encode() not in content, f"{text} in {name}"
        for row in hashes.tolist():
            assert row.to_bytes(8, "little", signed=True) not in content, name
        if not name.endswith(".safetensors"):
            assert not re.search(rf"\b{getpass.getuser()}\b".encode(), content), name
        assert not re.search(rb"/(home|root|tmp|Users|mnt|work|usr)\b", content), name
    whole = contents(run.path)  # the same search finds them in the run itself
    assert all(
        any(text.encode() in content for content in whole.values()) for text in ("Quorn", "St. Mary", str(place))
    )


def test_the_record_says_what_was_left_out(run, shared):
    record = shared[1]
    assert {item.what for item in record.left_out} >= {"rows.safetensors", "state", "provenance.json", "recipe.toml"}
    changed = {item.what: item.said for item in record.changed}
    assert changed["column 'name'"] == "2 of 5 values, of fewer than 5 rows each, were left out"
    assert changed["column 'children'"] == "1 of 5 values, of fewer than 5 rows each, were left out"
    assert "extremes moved inwards" in changed["column 'amount'"]
    assert changed["column 'site'"] == "its constant value was left out"
    assert ("column 'name'", "3 of its values") in [(item.what, item.said) for item in record.remaining]
    text = str(record)
    for item in (*record.left_out, *record.changed, *record.remaining):
        assert item.what in text
        assert item.said in text
    found = json.loads(json.dumps(record.as_json()))
    assert found["least_count"] == 5
    assert found["figures"]["measured_on"] == "held-out"
    assert not any(secret in text + json.dumps(found) for secret in SECRETS[:6])


def test_other_rows_keep_their_scores(run, shared):
    """Only rows with a value that was left out have another score."""
    table = visits()
    before, after = run.score_samples(table), shared[0].score_samples(table)
    special = np.zeros(ROWS, bool)
    special[[3, 5, 7, 9, 11]] = True
    middle = shared[0].transform.cells.columns
    names = list(run.schema.columns)
    for name in ("day", "amount", "age"):
        knots = middle[names.index(name)].knots
        cells = run.open(table).values[:, names.index(name)]
        special |= (cells <= knots[1]) | (cells >= knots[-2])
    np.testing.assert_allclose(after[~special], before[~special], atol=0.01)  # the tails beyond 0 have another mass
    assert special.sum() < ROWS / 2
    assert abs(after[[7, 9]] - before[[7, 9]]).min() < 10


def test_names_that_were_left_out_are_one_event(run, shared):
    """P(any of them) = Σ P(each): unknown names have the probability of the rare names together, up to that of new ones."""
    table = visits()
    unknown = table.set_column(0, "name", pa.array(["Somebody Else"] * ROWS))
    rare = [table.set_column(0, "name", pa.array([name] * ROWS)) for name in ("Zyxwvut Quorn", "Abel Unikate")]
    one = run.schema.table[0]
    assert {value for value, _ in one.rare} == {"Zyxwvut Quorn", "Abel Unikate"}
    codes = [run.open(each).values[0, 0] for each in rare]
    assert shared[0].open(unknown).values[0, 0] == shared[0].open(rare[0]).values[0, 0]
    share = np.exp(run.transform.cells.columns[0].log_share)
    own = np.exp(shared[0].transform.cells.columns[0].log_share)
    code = int(shared[0].open(unknown).values[0, 0])
    assert own[code] == pytest.approx(sum(share[int(c)] for c in codes), abs=1e-12)
    assert own[[*range(3)]] == pytest.approx(1)


def test_the_change_is_the_mean_over_held_out_rows(run, tmp_path):
    """The record against scores by hand, on rows that are all affected."""
    rows = visits().take([7, 9, 5, 3, 11, 20, 21])
    change = run.share(tmp_path / "out", rows).change
    shared = vaekit.load(tmp_path / "out")
    before, after = run.score_samples(rows), shared.score_samples(rows)
    assert change.rows == 7
    assert change.rows_from == "given rows"
    assert change.difference == pytest.approx((after - before).mean(), abs=1e-6)
    assert change.error == pytest.approx((after - before).std(ddof=1) / math.sqrt(7), abs=1e-6)
    assert change.affected >= 4
    assert "of 7 given rows changed by more than 0.01" in str(change)


def test_the_shared_run_does_what_a_run_does(shared):
    run, table = shared[0], visits()
    drawn = run.sample(200, seed=1)
    assert set(drawn["name"].to_pylist()) <= {"Meier", "Huber", "Bauer", None}
    assert set(drawn["site"].to_pylist()) == {None}
    assert max(drawn["amount"].to_pylist()) < 1e7
    assert min(drawn["day"].to_pylist()).year >= 2020
    filled = run.impute(table)
    assert filled["age"].null_count == 0
    assert filled["name"].to_pylist() == table["name"].to_pylist()
    assert run.explain(table).num_rows == ROWS
    assert run.intervals(table).num_rows == ROWS
    assert run.evaluate(table, tables=True).tables is not None
    with pytest.raises(DataError, match="one of its categories"):
        run.sample(1, given={"name": "Zyxwvut Quorn"})
    with pytest.raises(DataError, match="shared without its data"):
        run.evaluate()


def test_a_shared_run_cannot_be_trained_further_but_shared_and_saved_again(shared, tmp_path):
    run = shared[0]
    with pytest.raises((RunError, DataError)):
        vaekit.train(resume=run.path)
    run.save(tmp_path / "saved")
    with pytest.raises(DataError, match="cannot be moved further inwards"):
        run.share(tmp_path / "again", visits(), least_count=6)
    second = run.share(tmp_path / "again", visits())
    assert vaekit.load(tmp_path / "saved").score(visits()) == vaekit.load(tmp_path / "again").score(visits())
    assert {item.what for item in second.left_out} == {"schema.json"}


def test_weights_keep_their_bytes(run, shared):
    assert (shared[0].path / WEIGHTS).read_bytes() == (run.path / WEIGHTS).read_bytes()


def test_the_manifest_has_the_digest_of_every_file(shared):
    folder = shared[0].path
    files = json.loads((folder / MANIFEST).read_text())["files"]
    assert files == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in {*SHARED} - {INTERVALS}}


def test_a_file_that_was_exchanged_is_named(run, tmp_path):
    run.share(tmp_path / "out")
    (tmp_path / "out" / "metrics.csv").write_bytes((run.path / "metrics.csv").read_bytes()[:-1])
    with pytest.raises(RunError, match=r"metrics\.csv' is not the file that was shared"):
        vaekit.load(tmp_path / "out")


def test_without_blunting_the_extremes_stay_and_are_listed(run, tmp_path):
    record = run.share(tmp_path / "out", blunt=False)
    remaining = {item.what: item.said for item in record.remaining}
    assert remaining["column 'amount'"].startswith("its least and greatest value")
    assert remaining["column 'children'"] == "5 of its values"
    knots = vaekit.load(tmp_path / "out").transform.cells.columns[list(run.schema.columns).index("amount")].knots
    assert knots[-1] == 98765432.12


def test_a_greater_least_count_needs_the_data(run, tmp_path):
    """Huber has about 120 rows, Bauer about 40."""
    run.share(tmp_path / "out", least_count=60)
    listed = vaekit.load(tmp_path / "out").schema.table[0].listed
    assert {value for value in listed if value is not None} == {"Meier", "Huber"}
    run.share(tmp_path / "sharp", blunt=False)
    with pytest.raises(DataError, match="its data are not at hand"):
        vaekit.load(tmp_path / "sharp").share(tmp_path / "more", least_count=60)


def test_only_a_new_or_empty_folder_is_written(run, tmp_path, expect_refusal):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    expect_refusal("share", run.path, "--out", tmp_path / "out", words=["holds other files already", "`--out`"])
    with pytest.raises(RunError, match="holds a run already"):
        run.share(run.path)


def test_the_command_line_shares(run, tmp_path, call):
    outcome = call("share", run.path, "--out", tmp_path / "out", "--least-count", 6)
    assert outcome.code == 0, outcome
    assert "fewer than 6 rows" in outcome.out
    assert f"Shared: {tmp_path / 'out'}" in outcome.out


def test_the_card_shows_the_schema_without_values(shared):
    card = (shared[0].path / CARD).read_text()
    assert card.startswith("---\nlibrary_name: vaekit\ntags:\n")
    assert "license:" not in card
    assert "No licence has been chosen yet" in card
    assert "| name | categorical, 3 values | modelled |" in card
    for word in ("Meier", "Huber", *SECRETS):
        assert word not in card
    figures = shared[1].figures
    assert f"≥ {figures.log_likelihood} nats" in card


def test_column_names_cannot_write_markdown(tmp_path):
    rng = np.random.default_rng(0)
    table = pa.table({"a|b<script>\n# x": rng.normal(size=100), "[y](z)": rng.normal(size=100)})
    vaekit.train(table, settings=FAST, out=tmp_path / "run").share(tmp_path / "out")
    card = (tmp_path / "out" / CARD).read_text()
    assert "<script>" not in card
    assert "| a\\|b&lt;script&gt; # x | real | modelled |" in card
    assert "\\[y\\](z)" in card


def test_a_detector_leaves_its_training_rows(tmp_path):
    rng = np.random.default_rng(0)
    made = vaekit.VAEOutlierDetector(settings={"training.epochs": 1}, random_state=0).fit(rng.normal(size=(120, 3)))
    made.save(tmp_path / "run")
    run = vaekit.load(tmp_path / "run")
    record = run.share(tmp_path / "out")
    assert "outliers.safetensors" in {item.what for item in record.left_out}
    assert not (tmp_path / "out" / "outliers.safetensors").exists()
    assert vaekit.load(tmp_path / "out").detection is None
    rows = run.detection.score.rows
    assert rows[0, :3].numpy().tobytes() not in b"".join(contents(tmp_path / "out").values())


@pytest.mark.parametrize("blunt", [True, False])
def test_pseudo_inputs_become_gaussians_of_the_same_prior(tmp_path, blunt):
    X = np.random.default_rng(0).normal(size=(120, 3)).astype(np.float32)
    run = vaekit.train(
        X, settings=FAST | {"data.kind": "real", "prior": "vamp", "prior.components": 7}, out=tmp_path / "run"
    )
    record = run.share(tmp_path / "out", X, blunt=blunt)
    shared = vaekit.load(tmp_path / "out")
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            shared.model.prior().log_prob(z), run.model.prior().log_prob(z), atol=1e-5, rtol=1e-5
        )
    np.testing.assert_allclose(shared.score_samples(X), run.score_samples(X), atol=1e-4)
    assert shared.recipe.prior.name == ("mixture" if blunt else "vamp")
    assert ("pseudo-inputs" in {item.what for item in record.remaining}) == (not blunt)
    inputs = run.model.prior.inputs.detach().numpy()
    there = b"".join(contents(tmp_path / "out").values())
    assert (inputs[0].tobytes() in there) == (not blunt)


def test_pictures_are_the_same_model(digits_run, tmp_path):
    record = digits_run.share(tmp_path / "out")
    assert record.describe_change() == "none: the shared run is the same model"
    assert record.figures.measured_on == "held-out"
    assert record.figures.log_likelihood.value == pytest.approx(digits_run.evaluate().log_likelihood.value)


def test_the_classes_of_pictures_are_counted_as_well(tmp_path):
    """A class that one picture has is left out of the context, and the pixels stay."""
    rng = np.random.default_rng(0)
    labels = np.array(["cat", "dog"] * 60, "<U8")
    labels[5] = "Quorn"
    source = vaekit.data.Source(
        rng.integers(0, 2, (120, 3, 3, 1)).astype(np.uint8), labels=labels, picture=True, levels=2
    )
    run = vaekit.train(source, recipe="conditional-vae", settings=FAST, out=tmp_path / "run")
    record = run.share(tmp_path / "out")
    assert b"Quorn" in b"".join(contents(tmp_path / "run").values())
    assert b"Quorn" not in b"".join(contents(tmp_path / "out").values())
    assert {item.what for item in record.changed} == {"column 'label'"}
    shared = vaekit.load(tmp_path / "out")
    assert (shared.sample(4, given={"label": "dog"}) == run.sample(4, given={"label": "dog"})).all()


def test_rows_in_memory_are_counted_only_when_they_are_passed(tmp_path):
    table = visits()
    vaekit.train(table, settings=FAST, out=tmp_path / "run")
    run = vaekit.load(tmp_path / "run")
    record = run.share(tmp_path / "without")
    assert record.figures is None
    assert record.describe_change() == "not measured: no rows were at hand. Pass rows to measure it"
    assert "was not measured" in (tmp_path / "without" / CARD).read_text()
    assert b"Quorn" not in b"".join(contents(tmp_path / "without").values())
    with_rows = run.share(tmp_path / "with", table)
    assert with_rows.figures.measured_on == "held-out"


# ------------------------------------------------------------------------------------------------- the parts, by hand


def test_values_are_counted_and_rare_ones_found():
    column = Column(name="x", kind="categorical", type="string", categories=("a", "b"), rare=(("c", 2), ("d", 1)))
    codes = np.array([0, 0, 0, 1, 2, 2, 3, np.nan, 4])  # 4 is unseen
    counts = count_values(column, codes)
    assert counts.tolist() == [3, 1, 2, 1]
    assert find_rare(column, counts, 2, True) == (1, 3)
    numbers = Column(name="n", kind="ordinal", type="int64", categories=(0.0, 1.0, 2.0, 3.0))
    assert find_rare(numbers, np.array([9, 1, 9, 1]), 2, True) == (3,)  # the rare one in the middle is no end
    assert find_rare(numbers, np.array([9, 1, 9, 1]), 2, False) == ()
    truth = Column(name="t", kind="binary", type="bool", categories=(False, True))
    assert find_rare(truth, np.array([9, 1]), 5, True) == ()
    withheld = column.model_copy(update={"withheld": (1,)})
    assert find_rare(withheld, None, 2, True) == (1, 3)


def test_codes_stay_where_values_are_left_out():
    column = Column(name="x", kind="categorical", type="string", categories=("a", "b"), rare=(("c", 3), ("d", 1)))
    how = Categories(n_categories=3, known=3, log_share=tuple(column.log_share()), withheld=(3,))
    pruned = prune(column, how, (1, 3))
    assert pruned.column.categories == ("a", None)
    assert pruned.column.rare == (("c", 3), (None, 1))
    assert pruned.codes.tolist() == [0, 3, 2, 3, 3]
    assert pruned.recode(np.array([0, 1, np.nan, 4.0])).tolist() == pytest.approx([0, 3, np.nan, 3], nan_ok=True)
    assert np.exp(pruned.categories.log_share).tolist() == pytest.approx([1, 1, 3 / 5, 1 / 5, 1 / 5])
    assert pruned.categories.withheld == (1, 3)
    assert pruned.column.code(pa.array(["a", "b", "c", "d", "new", None])).tolist() == pytest.approx(
        [0, 3, 2, 3, 3, np.nan], nan_ok=True
    )
    assert pruned.column.decode(np.array([0.0, 1, 2, 3])).to_pylist() == ["a", None, "c", None]


@pytest.mark.parametrize("kind", ["reals", "few integers", "many integers"])
@pytest.mark.parametrize("least", [5, 20])
def test_at_least_that_many_rows_lie_at_or_beyond_each_end(kind, least):
    rng = np.random.default_rng(1)
    x = {
        "reals": np.append(rng.normal(size=1000), [1e6, -1e6]),
        "few integers": np.append(rng.integers(0, 20, 1000), [40, 41, -7]).astype(float),
        "many integers": np.append(rng.integers(0, 5000, 1000), [90000, -70000]).astype(float),
    }[kind]
    column = Column(name="x", kind="real", type="double", spacing=0.0 if kind == "reals" else 1.0)
    whole = fit_marginal(column, x)
    found = blunt_marginal(whole, least)
    half = whole.spacing / 2
    assert (x <= found.knots[0] + 2 * half).sum() >= least
    assert (x >= found.knots[-1] - 2 * half).sum() >= least
    assert set(found.knots) < set(whole.knots)
    inner = np.array(found.knots[1:-1])
    np.testing.assert_allclose(found.forward(inner), whole.forward(inner))
    assert ndtr(found.scores[-1]) < 1


def test_a_shift_and_a_scale_have_no_extremes():
    linear = standardize(np.append(np.zeros(50), 1e6))
    assert blunt_marginal(linear, 5) == linear


def test_combinations_of_few_rows_leave_the_rules():
    city = Column(name="city", kind="categorical", type="string", categories=("Bern", "Graz", "Ulm"))
    land = Column(name="land", kind="categorical", type="string", categories=("AT", "CH", "DE"))
    codes = np.array([[0, 1]] * 9 + [[1, 0]] * 9 + [[2, 2]] * 2, float)
    rules = fit_rules(["city -> land", "fixed(city, land)"], (city, land), codes)
    how = prune(city, Categories(n_categories=4, known=3, log_share=tuple(city.log_share())), (2,))
    after = (how.column, land)
    lookup, fixed = prune_rules(rules, (city, land), after, {"city": how}, 5, True)
    assert [len(rule.combinations) for rule in (*rules, lookup, fixed)] == [3, 3, 2, 2]
    scales = {"city": np.array([0.0, 1.0])}  # AT, Bern, CH, DE, Graz without Ulm: the places of the texts are 1 and 4
    assert lookup.solve({"city": np.array([1.0, 4.0]), "land": scales["city"]}, "land").tolist() == [2.0, 0.0]
    assert fixed.holds({"city": np.array([1.0, 4.0, 4.0]), "land": np.array([2.0, 0.0, 2.0])}).tolist() == [
        True,
        True,
        False,
    ]


def test_differences_begin_where_enough_rows_lie():
    low = Column(name="a", kind="real", type="double")
    high = Column(name="b", kind="real", type="double")
    codes = np.array([[0.0, d] for d in [*np.linspace(1, 2, 320), 1e6]])
    rules = fit_rules(["a <= b"], (low, high), codes)
    assert max(rules[0].differences) == 1e6
    (found,) = prune_rules(rules, (low, high), (low, high), {}, 5, True)
    assert max(found.differences) < 2
    assert min(found.differences) > 1
    assert len(found.differences) == len(rules[0].differences)


def test_scores_of_the_measured_rows_are_those_of_the_run(run):
    """`measure` on recoded rows is what `score_samples` of the shared run returns."""
    rows = run.to_measure(None, "held-out")[0]
    assert measure(run.model, rows, 5).score == pytest.approx(
        run.score_samples(visits().take(rows.part.index), 5), abs=1e-5
    )


def test_cells_that_depend_on_each_other_keep_their_order(tmp_path):
    wind = np.random.default_rng(0).integers(0, 4, ROWS)
    table = {"gust": ["yes" if w == 3 else None for w in wind], "wind": [f"force {w}" for w in wind]}
    table["gust"][:20] = ["no"] * 20
    run = vaekit.train(table, recipe="autoregressive-table", settings=FAST, out=tmp_path / "run")
    assert run.transform.cells.layout.order == (1, 0)
    run.share(tmp_path / "shared")
    shared = vaekit.load(tmp_path / "shared")
    assert shared.transform.cells.layout == run.transform.cells.layout
    np.testing.assert_array_equal(shared.score_samples(table), run.score_samples(table))
