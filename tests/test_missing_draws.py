"""Missing cells of drawn rows: rates, joint patterns, structural blanks, and the ways in and out of a run."""

import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

import vaekit
from vaekit import VAE, VAEImputer
from vaekit.data import Part, Rows, Split, make_schema, open_both
from vaekit.data.tables.cells import fit_cells
from vaekit.data.tables.rules.rule_set import FRESH
from vaekit.data.transforms import Transform
from vaekit.errors import RunError
from vaekit.runs import rules
from vaekit.runs.missing import blank_rows, fit_pattern

pytestmark = pytest.mark.usefixtures("whole_patterns")
ROWS, DRAWN = 1500, 20_000
SETTINGS = {
    "training.epochs": 15,
    "training.batch_size": 128,
    "training.validations": 2,
    "latent_dim": 3,
    "encoder.hidden": [32],
    "decoder.hidden": [32],
    "objective.samples": 2,
    "evaluation.samples": 10,
}
BLOCK = ["first", "second", "third"]
INCOMPLETE = ["often", "seldom", "fast", "partner", *BLOCK]


def complete(n=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return pd.DataFrame(
        {
            "speed": z + 0.3 * rng.normal(size=n),
            "kind": rng.choice(["joint", "other", "single"], n, p=[0.3, 0.2, 0.5]),
            "often": pd.array(np.round(20 + 5 * z), "Int64"),
            "seldom": pd.array(rng.random(n) < 0.4, "boolean"),
            "fast": rng.choice(["red", "green", "blue"], n),
            "partner": np.round(np.exp(3 + 0.5 * rng.normal(size=n)), 2),
            "first": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
            "second": rng.integers(1, 6, n).astype(float),
            "third": rng.normal(size=n),
        }
    )


def blanked(frame, seed=1):
    """Cells go missing at rates from .05 to .6: by chance, by the speed, in a block, and because a person is single."""
    rng = np.random.default_rng(seed)
    n, frame = len(frame), frame.copy()
    gone = {
        "often": rng.random(n) < 0.6,
        "seldom": rng.random(n) < 0.05,
        "fast": rng.random(n) < 1 / (1 + np.exp(1 - 3 * frame.speed)),
        "partner": (frame.kind == "single") | (rng.random(n) < 0.1),
        **dict.fromkeys(BLOCK, rng.random(n) < 0.3),
    }
    for name, missing in gone.items():
        frame.loc[missing, name] = pd.NA if name in ("often", "seldom") else None
    return frame


FRAME = blanked(complete())


@pytest.fixture(scope="module")
def run(whole_patterns, tmp_path_factory):
    return vaekit.train(FRAME, settings=SETTINGS, out=tmp_path_factory.mktemp("runs") / "mixed")


@pytest.fixture(scope="module")
def drawn(run):
    return run.sample(DRAWN, seed=1)


def distance(a, b):
    """Total variation distance between the patterns of missing cells of two samples."""
    found, wanted = (frame[INCOMPLETE].isna().value_counts(normalize=True) for frame in (a, b))
    return found.sub(wanted, fill_value=0).abs().sum() / 2


# --- the pattern -----------------------------------------------------------------------------------------------------


def test_rates_and_joint_patterns_are_those_of_the_training_rows(drawn):
    rates, wanted = drawn.isna().mean(), FRAME.isna().mean()
    error = np.sqrt(wanted * (1 - wanted) * (1 / ROWS + 1 / DRAWN))
    assert (abs(rates - wanted) <= 0.01 + 2.5 * error).all()
    assert rates[["speed", "kind"]].sum() == 0
    truth = blanked(complete(DRAWN, seed=5), seed=6)
    independent = pd.DataFrame({c: np.random.default_rng(i).permutation(drawn[c]) for i, c in enumerate(drawn)})
    assert distance(drawn, truth) < distance(FRAME, truth) + 0.02
    assert distance(independent, truth) > 0.4
    block = drawn[BLOCK].isna()
    assert (block.all(axis=1) | ~block.any(axis=1)).mean() > 0.99


def test_the_rate_depends_on_the_cell_that_it_depended_on(drawn):
    truth = blanked(complete(DRAWN, seed=5), seed=6)
    for low, high in ((-9, -1), (-1, 0), (0, 1), (1, 9)):
        rates = [d.fast[d.speed.between(low, high)].isna().mean() for d in (drawn, truth)]
        assert abs(rates[0] - rates[1]) < 0.06


def test_structural_blanks_hold_in_every_drawn_row(run, drawn):
    assert {c.name: c.blank_where for c in run.schema.table if c.blank_where} == {"partner": ("kind", ("single",))}
    assert drawn.partner[drawn.kind == "single"].isna().all()
    assert abs(drawn.partner[drawn.kind != "single"].isna().mean() - 0.1) < 0.03


def fitted(weights=None, validation=200):
    """A pattern fitted to rows whose complete cells are known, and the codes of these."""
    source, _ = open_both(FRAME)
    whole, _ = open_both(complete(), None, columns=source.table)
    values, index = np.asarray(source.values), np.arange(ROWS)
    train, chosen = (Part(values, some, weights=weights) for some in (index[validation:], index[:validation]))
    schema = make_schema(source, train)
    transform = Transform(steps=(fit_cells(schema.modelled, values[validation:]),))
    return fit_pattern(Split(train, chosen, chosen), schema, transform, 0), transform, np.asarray(whole.values)


def test_patterns_drawn_for_the_true_rows_have_their_rates():
    pattern, transform, codes = fitted()
    uniform = np.random.default_rng(0).random((ROWS, len(INCOMPLETE)))
    again = fitted()[0].state_dict()
    assert all(torch.equal(value, again[name]) for name, value in pattern.state_dict().items())
    found = np.isnan(blank_rows(pattern, transform, codes, None, uniform))
    truth = np.isnan(open_both(FRAME)[0].values)
    np.testing.assert_allclose(found.mean(0), truth.mean(0), atol=0.01 + 2.5 * 0.5 * np.sqrt(2 / ROWS))
    again = np.concatenate([
        blank_rows(pattern, transform, codes[some], None, uniform[some])
        for some in (slice(0, 700), slice(700, ROWS))
    ])  # fmt: skip
    np.testing.assert_array_equal(np.isnan(again), found)  # rows do not depend on each other


def test_rows_are_drawn_in_proportion_to_their_weights_also_without_validation_rows():
    weights = np.where(FRAME.often.isna(), 3.0, 1.0)
    pattern, *_ = fitted(weights, validation=0)
    rates = dict(zip(pattern.order, pattern.rates.tolist(), strict=True))
    names = [column for column in FRAME if column in INCOMPLETE or column in ("speed", "kind")]
    assert rates[names.index("often")] == pytest.approx(np.average(FRAME.often.isna(), weights=weights), abs=0.02)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_types_are_kept(drawn):
    assert drawn.dtypes.to_dict() == FRAME.dtypes.to_dict()
    assert drawn.often.isna().any()
    assert drawn.seldom.dtype == "boolean"


def test_complete_rows_are_the_same_draws_without_missing_cells(run):
    some, whole = run.sample(300, seed=4), run.sample(300, seed=4, complete=True)
    assert not whole.isna().any(axis=None)
    for name in FRAME:
        there = some[name].notna()
        assert some[name][there].tolist() == whole[name][there].tolist()
    pd.testing.assert_frame_equal(some, run.sample(300, seed=4))
    assert not run.sample(300, seed=5).isna().equals(some.isna())
    assert not run.sample(30, mean=True).isna().any(axis=None)


def test_a_row_that_is_drawn_again_keeps_its_pattern(run):
    codes = run.rows(complete(50, seed=7)).part.take(0, 50)
    blank = run._blank(np.arange(50), {}, 3, False)
    first, last, fresh = (np.isnan(blank(codes, np.arange(50), attempt)) for attempt in (0, FRESH - 1, FRESH))
    np.testing.assert_array_equal(first, last)
    assert (first != fresh).any()
    np.testing.assert_array_equal(np.isnan(blank(codes[5:9], np.arange(5, 9), 0)), first[5:9])


def test_rows_given_some_cells_depend_on_their_number_alone(run, monkeypatch):
    monkeypatch.setattr(rules, "SHARED", 50)
    first, _ = run.condition(100, {"kind": "joint"}, seed=3)
    last, _ = run.condition(50, {"kind": "joint"}, seed=3, start=50)
    assert first.tail(50).reset_index(drop=True).equals(last)
    assert last.isna().to_numpy().any()


def test_given_cells_are_never_missing(run):
    given = {"often": 21, "kind": "joint"}
    rows, size = run.condition(400, given, seed=2)
    assert (rows.often == 21).all()
    assert (rows.kind == "joint").all()
    assert 0.2 < rows["first"].isna().mean() < 0.4
    assert size > 1
    pd.testing.assert_frame_equal(rows, run.sample(400, seed=2, given=given))
    whole, _ = run.condition(400, given, seed=2, complete=True)
    assert not whole.isna().any(axis=None)


def test_a_covariate_decides_about_structural_blanks(tmp_path):
    settings = SETTINGS | {"training.epochs": 1, "data.context": ["kind", "speed"], "data.rules": ["third <= second"]}
    run = vaekit.train(FRAME[:600], settings=settings, out=tmp_path / "run")
    assert vaekit.load(run.path).sample(300, given={"kind": "single", "speed": 0.0}).partner.isna().all()
    rows = run.sample(600, given={"kind": ["joint", "single"] * 300, "speed": 1.5})
    assert rows.partner[1::2].isna().all()
    assert rows.partner[::2].isna().mean() < 0.25
    slow = run.sample(600, given={"kind": "joint", "speed": -1.5})
    assert slow.fast.isna().mean() < 0.3 < 0.6 < rows.fast.isna().mean()


def test_a_table_without_missing_cells_has_no_pattern(tmp_path):
    frame = complete(200)
    run = vaekit.train(frame, settings=SETTINGS | {"training.epochs": 1}, out=tmp_path / "run")
    assert run.missing is None
    assert not (tmp_path / "run" / "missing.safetensors").exists()
    assert not vaekit.load(tmp_path / "run").sample(50).isna().any(axis=None)
    assert run.evaluate(frame, tables=True).tables.pattern is None


# --- filling ---------------------------------------------------------------------------------------------------------


def test_structural_blanks_are_filled_only_on_request(run):
    rows = FRAME[:120]
    single = rows.kind == "single"
    filled, draws, spread = run.impute(rows, 5), run.impute_draws(rows, 1, 5)[0], run.uncertainty(rows, 5)
    for made in (filled, draws):
        assert made.partner.isna().equals(single)
        assert not made.drop(columns="partner").isna().any(axis=None)
    missing = rows.partner.isna()
    assert spread.partner.notna().equals(missing & ~single)
    assert not run.impute(rows, 5, blanks=True).isna().any(axis=None)
    assert not run.impute_draws(rows, 1, 5, blanks=True)[0].isna().any(axis=None)
    assert run.uncertainty(rows, 5, blanks=True).partner.notna().equals(missing)
    only = run.impute(rows, 5, columns=["partner"])
    assert only.partner.isna().equals(single)
    assert only.often.isna().equals(rows.often.isna())


def test_a_blank_follows_the_filled_cell_that_explains_it(run):
    rows = FRAME[:60].assign(kind=None)
    rows["partner"] = np.nan
    filled = run.impute(rows, 5)
    assert filled.partner.isna().equals(filled.kind == "single")


def test_estimators(tmp_path):
    vae = VAE(settings=SETTINGS | {"training.epochs": 1}, random_state=0).fit(FRAME[:400])
    rows = vae.sample(200)
    assert rows.dtypes.to_dict() == FRAME.dtypes.to_dict()
    assert rows.isna().any(axis=None)
    assert not vae.sample(200, complete=True).isna().any(axis=None)
    pd.testing.assert_frame_equal(pickle.loads(pickle.dumps(vae)).sample(200), rows)
    vae.save(tmp_path / "run")
    pd.testing.assert_frame_equal(vaekit.load(tmp_path / "run").sample(50, 3), vae.run_.sample(50, 3))
    assert vae.impute(FRAME[:50]).partner.isna().any()
    assert not vae.impute(FRAME[:50], blanks=True).isna().any(axis=None)
    for draws in (False, True):
        imputer = VAEImputer(VAE(settings=SETTINGS | {"training.epochs": 1}), draws=draws, random_state=0)
        assert not imputer.fit_transform(FRAME[:200]).isna().any(axis=None)


def test_arrays_have_nan(tmp_path):
    X = np.random.default_rng(0).normal(size=(300, 3))
    X[np.random.default_rng(1).random(300) < 0.4, 1] = np.nan
    drawn = vaekit.train(X, settings=SETTINGS | {"training.epochs": 1}, out=tmp_path / "run").sample(1000)
    assert drawn.dtype == X.dtype
    assert abs(np.isnan(drawn).mean(0) - [0, 0.4, 0]).max() < 0.06


# --- the run folder, the figures and the command line -------------------------------------------------------------------


def test_the_pattern_is_saved_with_the_run(run, drawn, tmp_path):
    loaded = vaekit.load(run.path)
    pd.testing.assert_frame_equal(loaded.sample(DRAWN, seed=1), drawn)
    assert not loaded.sample(50, complete=True).isna().any(axis=None)
    resumed = vaekit.train(FRAME, resume=run.path)
    pd.testing.assert_frame_equal(resumed.sample(DRAWN, seed=1), drawn)
    loaded.save(tmp_path / "copy")
    pd.testing.assert_frame_equal(vaekit.load(tmp_path / "copy").sample(DRAWN, seed=1), drawn)
    os.remove(tmp_path / "copy" / "missing.safetensors")
    with pytest.raises(RunError, match=r"has no missing\.safetensors"):
        vaekit.load(tmp_path / "copy")


def test_training_on_from_another_run_fits_the_pattern_of_the_new_rows(run, tmp_path):
    rows = FRAME[:400].copy()
    rows["speed"] = rows.speed.where(np.arange(400) % 2 == 0)
    rows["third"] = complete().third[:400]
    again = vaekit.train(rows, settings=SETTINGS | {"training.epochs": 1}, start=run, out=tmp_path / "run")
    rates = again.sample(2000).isna().mean()
    assert abs(rates["speed"] - 0.5) < 0.06
    assert rates["third"] == 0


def test_the_figures_say_how_well_the_pattern_is_predicted(run):
    test = run.split().test
    rows = Rows(test, run.transform, 0)
    found = run.table_figures(rows, None, 2)
    own = run.missing.log_prob(rows.tensor()).detach().double().numpy()
    assert found.pattern.log_p.value == pytest.approx(own.mean())
    assert found.pattern.log_p.standard_error == pytest.approx(own.std(ddof=1) / np.sqrt(len(own)))
    trained = FRAME.isna().iloc[run.split().train.index].mean()[INCOMPLETE]
    held_out = FRAME.isna().iloc[test.index][INCOMPLETE]
    independent = np.where(held_out, np.log(trained), np.log(1 - trained)).sum(1).mean()
    assert found.pattern.independent.value == pytest.approx(independent, abs=0.01)
    assert found.pattern.log_p.value > independent + 1
    assert found.pattern.columns == 7
    assert found.as_json()["pattern"]["log_p"]["value"] == found.pattern.log_p.value
    assert dict(found.rows())["missing cells"].startswith("log p(pattern|row) -")
    assert "of held-out rows it has log p(pattern|row) -" in run.report(FRAME[:60]).read_text(encoding="utf-8")


def test_the_verbs(run, call, tmp_path):
    for name, more in (("some.csv", []), ("whole.csv", ["--complete"]), ("given.csv", ["--given", "often=21"])):
        call("sample", run.path, "--out", tmp_path / name, "-n", 200, *more)
    some, whole, given = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("some", "whole", "given"))
    assert some.partner[some.kind == "single"].isna().all()
    assert not whole.isna().any(axis=None)
    assert (given.often == 21).all()
    assert given["first"].isna().any()
    FRAME[:60].to_csv(tmp_path / "rows.csv", index=False)
    for name, more in (("kept.csv", []), ("full.csv", ["--blanks"]), ("draw.csv", ["--draws", 1, "--blanks"])):
        call("impute", run.path, tmp_path / "rows.csv", "--out", tmp_path / name, "--samples", 5, *more)
    kept, full, draw = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("kept", "full", "draw"))
    assert kept.partner.isna().equals(kept.kind == "single")
    assert not full.isna().any(axis=None)
    assert not draw.isna().any(axis=None)
    assert json.loads(call("evaluate", run.path, tmp_path / "rows.csv", "--tables", "--json").out)["tables"]["pattern"]
