import json
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import vaekit
from builders import read_numbers
from vaekit.cli import main
from vaekit.cli.app import app
from vaekit.data import open_source
from vaekit.errors import Interrupted
from vaekit.evaluation import disentanglement, inference_gap, rate_distortion


@pytest.fixture
def invoke():
    def run(*arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == 0, (result.output, result.exception)
        return result

    return run


@pytest.fixture
def rows(workplace):
    """Some digits in a file."""
    values = open_source("digits").values[:25]
    np.save(workplace / "rows.npy", values)
    return values


def test_version(invoke):
    assert invoke("--version").stdout == f"vaekit {vaekit.__version__}\n"


@pytest.mark.parametrize(
    "verb", ["train", "evaluate", "remedy", "encode", "reconstruct", "score", "sample", "report", "describe", "recipes"]
)
def test_every_verb_explains_itself(invoke, verb):
    for option in ("--help", "-h"):
        assert f"vaekit {verb}" in invoke(verb, option).stdout or f" {verb} " in invoke(verb, option).stdout


def test_train_says_what_it_chose_and_where_the_run_is(invoke, workplace, table, tiny_set):
    result = invoke("train", table, "--out", "mine", "--seed", 3, *tiny_set, "--set", "data.kind=real")
    assert result.stdout == "Trained: mine\n"
    assert "likelihood=gaussian: the values are real numbers" in result.stderr
    assert "100 %  bound " in result.stderr
    run = vaekit.load("mine")
    assert (run.recipe.seed, run.recipe.latent_dim, run.recipe.training.epochs) == (3, 2, 1)
    assert run.provenance["source"] == str(table)
    assert [p.name for p in workplace.iterdir()] == ["mine"]


def test_train_is_the_python_twin(invoke, workplace, table, tiny_set):
    invoke("train", table, "--out", "one", *tiny_set)
    settings = dict(part.split("=", 1) for part in tiny_set[1::2])
    run = vaekit.train(str(table), settings=[f"{k}={v}" for k, v in settings.items()], out="two")
    one, two = (vaekit.load(n).model.state_dict() for n in ("one", run.path))
    assert all((one[key] == two[key]).all() for key in one)


def test_runs_are_numbered_where_no_name_is_given(invoke, workplace, table, tiny_set):
    for name in ("table", "table-2", "table-3"):
        assert invoke("train", table, *tiny_set).stdout == f"Trained: runs/{name}\n"


def test_train_with_a_recipe_file_and_separate_test_rows(invoke, workplace, rows, tiny_set):
    (workplace / "r.toml").write_text('[likelihood]\nname = "categorical"\n')
    invoke("train", "digits", "--test", "rows.npy", "--recipe", "r.toml", "--out", "run", *tiny_set)
    run = vaekit.load("run")
    assert run.recipe.likelihood.name == "categorical"
    assert run.provenance["rows"]["test"] == 25
    assert run.provenance["rows"]["train"] + run.provenance["rows"]["validation"] == 1797
    np.testing.assert_array_equal(run.split().test.take(0, 99), rows)


def test_evaluate_prints_one_object_with_all_figures(invoke, table_run):
    figures = json.loads(invoke("evaluate", table_run.path, "--json", "--samples", 7).stdout)
    assert set(figures) >= {
        "elbo",
        "distortion",
        "rate",
        "log_likelihood",
        "bits_per_dim",
        "effective_beta",
        "active_units",
        "latent_dim",
        "mutual_information",
        "marginal_kl",
        "baselines",
    }
    assert set(figures["log_likelihood"]) == {"value", "standard_error", "samples", "examples"}
    assert set(figures["baselines"]) == {"ppca", "factor_analysis"}
    assert figures["elbo"] == pytest.approx(-(figures["distortion"] + figures["rate"]), rel=1e-9)
    assert figures["log_likelihood"]["value"] >= figures["elbo"] - 0.05
    assert figures["log_likelihood"]["samples"] == 7
    assert figures["latent_dim"] == 2
    assert figures["effective_beta"] == 1.0
    assert figures["bits_per_dim"] is None  # reals have densities
    assert figures == table_run.evaluate(samples=7).as_json()


def test_evaluate_for_people_has_the_same_figures(invoke, table_run):
    text = invoke("evaluate", table_run.path, "--samples", 7).stdout
    figures = table_run.evaluate(samples=7)
    estimate = figures.log_likelihood
    assert f"≥ {estimate.value:.2f} ± {estimate.standard_error:.2f} nats" in text
    assert f"{figures.elbo:.2f} nats = −(distortion {figures.distortion:.2f} + rate {figures.rate:.2f})" in text
    assert re.search(rf"probabilistic PCA\s+{figures.baselines.ppca:.2f}", text)
    assert "bits/dim" not in text


def test_the_effective_beta_stands_beside_the_figures(invoke, workplace, table, tiny_set):
    invoke("train", table, "--out", "run", *tiny_set, "--set", "objective.kl_weight=0.5")
    assert json.loads(invoke("evaluate", "run", "--json", "--samples", 2).stdout)["effective_beta"] == 0.5
    assert "0.5 in training; all figures have weight 1" in invoke("evaluate", "run", "--samples", 2).stdout


def test_evaluate_on_given_rows(invoke, table_run, table):
    figures = json.loads(invoke("evaluate", table_run.path, table, "--json", "--samples", 2).stdout)
    assert figures["log_likelihood"]["examples"] == figures["examples"] == 12
    assert figures["measured_on"] == "held-out"  # of the run's own data
    figures = json.loads(invoke("evaluate", table_run.path, table, "--json", "--samples", 2, "--rows", "all").stdout)
    assert (figures["examples"], figures["training_rows"], figures["measured_on"]) == (120, 97, "all")


def test_rows_that_trained_the_run_are_not_passed_off_as_held_out(invoke, digits_run):
    text = invoke("evaluate", digits_run.path, "digits", "--samples", 2, "--rows", "all").stdout
    assert "rows, so the figures are not held-out figures" in " ".join(text.split())
    assert "overfit" not in text  # a comparison of training rows with themselves
    for named in ((), ("digits",)):
        held_out = invoke("evaluate", digits_run.path, *named, "--samples", 2).stdout
        assert "180 held-out rows" in held_out
        assert "not held-out figures" not in held_out


def test_what_the_bound_loses_and_the_curve_are_those_of_the_library(invoke, digits_run, monkeypatch):
    """Of as many rows as asked for, which is said, as are standard errors; all by a few steps."""
    from vaekit.data import Rows

    few_gap, few_curve = (partial(each, steps=10) for each in (inference_gap, rate_distortion))
    monkeypatch.setattr("vaekit.runs.measured_run.inference_gap", few_gap)
    monkeypatch.setattr("vaekit.runs.measured_run.measure_curve", few_curve)
    arguments = ("evaluate", digits_run.path, "--gap", "--rate-distortion", "--examples", 5, "--samples", 9)
    result = invoke(*arguments, "--json")
    figures = json.loads(result.stdout)
    rows = Rows(digits_run.split().test.subset(5, 0), digits_run.transform, 0)
    expected = few_gap(digits_run.model, rows).figures()
    gap = figures["inference_gap"]
    assert gap == asdict(expected)
    assert (gap["samples"], gap["examples"]) == (1000, 5)
    curve = few_curve(digits_run.model, rows, [p["beta"] for p in figures["rate_distortion"]["points"]], 9)
    assert figures["rate_distortion"] == {"points": [asdict(p) for p in curve.points], "samples": 9, "examples": 5}
    assert "a posterior to each of up to 5 rows" in result.stderr
    shown = " ".join(invoke(*arguments).stdout.split())
    value, error = expected.amortization.value, expected.amortization.standard_error
    assert f"amortization gap {value:.2f} ± {error:.2f} (K = 1000, 5 examples)" in shown
    first = curve.points[0]
    assert f"rate-distortion, β = 0.1 rate {first.rate:.2f} ± {first.rate_error:.2f}" in shown
    assert "inference_gap" not in digits_run.evaluate(samples=2).as_json()


def test_codes_are_scored_against_known_factors(invoke, digits_run, workplace, write_csv):
    """Given as numbers or as names, in any kind of file."""
    source = open_source("digits")
    factors = np.stack([source.labels, source.values.sum((1, 2, 3)) // 100], 1).astype(int)
    np.save(workplace / "f.npy", factors)
    write_csv(workplace / "f.csv", np.array([[f"n{a}", b] for a, b in factors], object), ("digit", "ink"))
    expected = asdict(disentanglement(digits_run.encode("digits").astype(float), factors))
    for name in ("f.npy", "f.csv"):
        words = ("--factors", name, "--rows", "all", "--json")
        figures = json.loads(invoke("evaluate", digits_run.path, "digits", *words).stdout)
        found = figures["disentanglement"]
        assert {key: found[key] for key in expected} == pytest.approx(expected, abs=1e-6)
        assert (found["factors"], found["examples"]) == (2, 1797)
    shown = dict(digits_run.evaluate("digits", factors="f.npy", rows="all").rows())["disentanglement"]
    assert f"MIG {expected['mig']:.2f}, DCI disentanglement" in shown
    held_out = digits_run.split().test
    some = digits_run.evaluate("digits", factors="f.npy", samples=1).disentanglement
    own = disentanglement(digits_run.encode(held_out.take(0, 180)).astype(float), factors[held_out.index])
    assert (some.mig, some.examples) == (pytest.approx(own.mig), 180)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n0,1\n1,0\n", ["factors must have 25 rows", "2 rows"]),
        ("a,b\n" + "0.5,1\n1.5,0\n" * 12 + "0.5,1\n", ["integers or names", "0.5 in column 'a'", "into bins"]),
        ("a,b\n" + "0,x\n1,\n" * 12 + "0,x\n", ["every cell of the factors", "12 empty cells in column 'b'"]),
        ("a\n" + "0\n1\n" * 12 + "0\n", ["at least two factors"]),
        ("a,b\n" + "0,2\n1,2\n" * 12 + "0,2\n", ["at least two values"]),
    ],
)
def test_unsuitable_factors_are_refused(expect_refusal, digits_run, rows, workplace, content, words):
    (workplace / "f.csv").write_text(content)
    expect_refusal("evaluate", digits_run.path, "rows.npy", "--factors", "f.csv", words=words)


def test_factors_without_their_rows_are_refused(expect_refusal, digits_run, rows):
    expect_refusal(
        "evaluate", digits_run.path, "--factors", "rows.npy", words=["`--factors` needs the rows", "Pass the rows"]
    )
    expect_refusal("evaluate", digits_run.path, "rows.npy", "--factors", "rows.npy", words=["a column for each"])


@pytest.mark.parametrize("option", ["--gap", "--rate-distortion"])
def test_an_autoencoder_has_neither_gap_nor_curve(call, tmp_path, tiny, option):
    vaekit.train("digits", recipe="autoencoder", settings=tiny, out=tmp_path / "plain")
    outcome = call("evaluate", tmp_path / "plain", option)
    assert outcome.code == 2
    assert "An autoencoder has no likelihood, but the " in outcome.err


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "parquet"])
def test_encode_is_its_python_twin(invoke, digits_run, rows, ending):
    out = f"new/z.{ending}"
    assert invoke("encode", digits_run.path, "rows.npy", "--out", out).stdout == f"Wrote 25 rows: {out}\n"
    source = read_numbers(out)
    np.testing.assert_array_equal(source.values.astype(np.float32), digits_run.encode(rows))
    if ending in ("csv", "parquet"):
        assert source.columns == ("z0", "z1", "z2", "z3")


def test_score_is_its_python_twin(invoke, digits_run, rows):
    invoke("score", digits_run.path, "rows.npy", "--out", "s.csv", "--samples", 6)
    source = read_numbers("s.csv")
    assert source.columns == ("log_likelihood",)
    np.testing.assert_array_equal(source.values[:, 0], digits_run.score_samples(rows, samples=6))
    invoke("score", digits_run.path, "rows.npy", "--out", "s.npy")
    np.testing.assert_array_equal(np.load("s.npy")[:, 0], digits_run.score_samples(rows))


def test_reconstruct_is_its_python_twin(invoke, digits_run, rows, table_run, table):
    invoke("reconstruct", digits_run.path, "rows.npy", "--out", "y.npy")
    np.testing.assert_array_equal(np.load("y.npy"), digits_run.reconstruct(rows))
    invoke("reconstruct", table_run.path, table, "--out", "y.parquet")
    source = read_numbers("y.parquet")
    assert source.columns == ("length", "mass", "share", "heat")
    np.testing.assert_array_equal(source.values, table_run.reconstruct(str(table)))


def test_sample_is_its_python_twin(invoke, workplace, digits_run):
    invoke("sample", digits_run.path, "--out", "x.npy", "-n", 9, "--seed", 4)
    np.testing.assert_array_equal(np.load("x.npy"), digits_run.sample(9, seed=4))
    invoke("sample", digits_run.path, "--out", "m.npy", "-n", 9, "--seed", 4, "--mean")
    np.testing.assert_array_equal(np.load("m.npy"), digits_run.sample(9, seed=4, mean=True))
    invoke("sample", digits_run.path, "--out", "d.npy")
    np.testing.assert_array_equal(np.load("d.npy"), digits_run.sample(100, seed=0))


def test_sample_as_pictures(invoke, workplace, digits_run):
    invoke("sample", digits_run.path, "--out", "pictures", "-n", 4)
    done = invoke("sample", digits_run.path, "--out", "means.png", "-n", 4)
    assert "means of p(x|z); use --no-mean" in done.stderr
    invoke("sample", digits_run.path, "--out", "sheet.png", "-n", 4, "--no-mean")
    drawn, means = digits_run.sample(4)[..., 0], digits_run.sample(4, mean=True)[..., 0]
    with Image.open("means.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture)[2:34:4, 2:34:4], (means[0] / 16 * 255).round())
    for i in range(4):
        with Image.open(workplace / "pictures" / f"{i}.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), (drawn[i] / 16 * 255).round())
    with Image.open("sheet.png") as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (2 * 34 + 2, 2 * 34 + 2)  # each pixel four times
    np.testing.assert_array_equal(sheet[2:34:4, 2:34:4], (drawn[0] / 16 * 255).round())


def test_describe_a_source(invoke, workplace, table, write_csv):
    text = invoke("describe", table, "--set", "data.kind=real").stdout
    for words in (
        "97 to train, 11 to choose the model, 12 held out",
        "row of 4",
        "real (float64)",
        "length, mass, share, heat",
        "likelihood=gaussian",
    ):
        assert words in text
    text = invoke("describe", "digits", "--set", "likelihood=categorical").stdout
    assert "picture of 8 × 8 × 1" in text
    assert "levels, 17 levels (uint8)" in text
    assert "likelihood=" not in text  # nothing to choose
    rows = np.column_stack([np.arange(30.0), np.full(30, 2.5)])
    path = write_csv(workplace / "c.csv", rows, ("a", "[b]"))
    text = invoke("describe", path, "--set", "data.kind=real").stdout
    assert "column '[b]'" in " ".join(text.split())


def test_describe_a_run(invoke, table_run):
    text = invoke("describe", table_run.path).stdout
    best = max(table_run.folder.read_metrics(), key=lambda row: row["elbo"])
    for words in ("latent_dim 2", "encoder mlp, decoder mlp", "gaussian", f"{best['elbo']:.2f} on validation rows"):
        assert words in text


def test_recipes_and_their_keys(invoke):
    text = invoke("recipes").stdout
    for name in ("auto", "autoencoder", "convolutional", "digits", "linear", "mnist"):
        assert re.search(rf"^{name}\s", text, re.MULTILINE)
    text = invoke("recipes", "--keys").stdout
    for line in (
        "latent_dim = auto",
        "training.batch_size = auto",
        "objective.kl_weight = 1.0",
        "encoder.hidden = [512, 512]",
    ):
        assert line in text


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (Interrupted("training was asked to stop", "Go on", 15), 143, "vaekit: training was asked to stop. Go on.\n"),
        (Interrupted("training was asked to stop", "Go on", 2), 130, "vaekit: training was asked to stop. Go on.\n"),
        (vaekit.VaekitError("x must be small", "9"), 2, "vaekit: x must be small. Got 9 instead.\n"),
    ],
)
def test_exit_codes(monkeypatch, call, error, code, message):
    def fail(*_):
        raise error

    monkeypatch.setattr("vaekit.runs.load.load", fail)
    outcome = call("report", "run")
    assert (outcome.code, outcome.err) == (code, message)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_outside_training_ends_a_verb_and_leaves_handlers_as_they_were(monkeypatch, call, number, code):
    former = signal.getsignal(number)
    closed = []

    def load(*_):
        try:
            signal.raise_signal(number)
        finally:
            closed.append(1)

    monkeypatch.setattr("vaekit.runs.load.load", load)
    outcome = call("report", "run")
    assert (outcome.code, outcome.err) == (code, "vaekit: interrupted before there was anything to save.\n")
    assert closed == [1]
    assert signal.getsignal(number) is former


def test_faults_of_the_program_itself_are_not_hidden(monkeypatch):
    def fail():
        raise ZeroDivisionError

    monkeypatch.setattr("vaekit.cli.app.app", fail)
    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_describe_tells_the_kind_that_training_would_use(call, tmp_path, seed):
    """Whoever is held out: here a single 2 among zeros and ones."""
    values = np.random.default_rng(0).integers(0, 2, (40, 3))
    values[7, 1] = 2
    np.save(tmp_path / "x.npy", values)
    assert "counts" in call("describe", tmp_path / "x.npy", "--set", f"seed={seed}").out


@pytest.mark.parametrize("verb", [command.callback.__name__ for command in app.registered_commands])
def test_help_shows_arguments_in_one_pair_of_brackets(call, verb):
    text = call(verb, "--help").out
    assert verb in text.splitlines()[0]
    assert "[[" not in text
    assert "{[" not in text


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "vaekit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"vaekit {vaekit.__version__}"
