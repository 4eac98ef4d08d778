"""Conditional models from data to figures: labels of pictures and columns of tables are given, not modelled."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import vaekit
from vaekit.data import Source, encode_rows, open_both
from vaekit.data.options import DataOptions
from vaekit.errors import DataError, RecipeError, RunError, VaekitError
from vaekit.report import write_report
from vaekit.report.subject import Subject

NETWORKS = {"encoder.hidden": [32], "decoder.hidden": [32], "evaluation.samples": 20}
LABELLED = NETWORKS | {"data.context": ["label"], "training.epochs": 40, "training.batch_size": 64, "latent_dim": 2}


def halves(rows, seed=0):
    """Pictures of 4 × 4 zeros and ones: of class 7 the upper half is bright with probability 0.9, of class 2 the lower."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([2, 7], rows)
    upper = (np.arange(4) < 2)[None, :, None] == (labels == 7)[:, None, None]
    bright = np.where(np.broadcast_to(upper, (rows, 4, 4)), 0.9, 0.1)
    return (rng.random((rows, 4, 4)) < bright).astype(np.uint8)[..., None], labels


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    values, labels = halves(1000)
    path = tmp_path_factory.mktemp("data") / "halves.npz"
    np.savez(path, X=values, labels=labels)
    return path


@pytest.fixture(scope="module")
def labelled(pictures, tmp_path_factory):
    return vaekit.train(str(pictures), settings=LABELLED, out=tmp_path_factory.mktemp("runs") / "labelled")


def people(rows=1200, seed=0):
    """Income = 2·age + 30·[sex = m] + N(0, 9), of which a fifth is missing; work by age alone."""
    rng = np.random.default_rng(seed)
    age, sex = rng.integers(18, 90, rows), rng.choice(["f", "m"], rows)
    income = 2.0 * age + 30 * (sex == "m") + 3 * rng.normal(size=rows)
    work = np.where(rng.random(rows) < 1 / (1 + np.exp(-(age - 50) / 5)), "retired", "farm")
    income = pa.array(income, mask=rng.random(rows) < 0.2)
    return pa.table({"age": age, "sex": sex, "income": income, "work": work})


@pytest.fixture(scope="module")
def table_run(tmp_path_factory):
    settings = NETWORKS | {"data.context": ["age", "sex"], "training.epochs": 60, "training.batch_size": 128}
    return vaekit.train(people(), settings=settings, out=tmp_path_factory.mktemp("runs") / "people")


def test_labels_are_given_beside_the_pictures():
    values, labels = halves(50)
    options = DataOptions(context=("label",))
    source, _ = open_both(Source(values, labels, picture=True), None, options)
    assert [(c.name, c.kind, c.context, c.categories) for c in source.table] == [
        ("label", "categorical", True, (2.0, 7.0))
    ]
    np.testing.assert_array_equal(source.context[:, 0], labels == 7)
    assert source.values is values


def test_the_bound_of_pictures_is_that_of_the_label_in_closed_form(labelled):
    """Given its class, the cells of a picture are independent: log p(x|c) is Σ log of 0.9 or 0.1, with no use for z."""
    values, labels = halves(400, seed=1)
    upper = (np.arange(4) < 2)[None, :, None] == (labels == 7)[:, None, None]
    exact = np.log(np.where((values[..., 0] == 1) == upper, 0.9, 0.1)).sum((1, 2))
    score = labelled.score_samples(Source(values, labels, picture=True))
    assert abs((score - exact).mean()) < 0.15
    exchanged = labelled.score_samples(Source(values, 9 - labels, picture=True))
    assert exchanged.mean() < exact.mean() - 20  # log 9 for each of 16 cells, times 0.8
    assert labelled.evaluate().log_likelihood.value > -6.5  # without the label at least log 2 = 0.69 is lost


@pytest.mark.parametrize(("label", "upper"), [(7, 0.9), (2, 0.1)])
def test_samples_are_of_the_class_that_is_given(labelled, label, upper):
    drawn = labelled.sample(500, seed=1, given={"label": label})
    assert drawn.dtype == np.uint8
    np.testing.assert_allclose(drawn[:, :2].mean(), upper, atol=0.03)
    np.testing.assert_allclose(drawn[:, 2:].mean(), 1 - upper, atol=0.03)
    means = labelled.sample(50, mean=True, given={"label": str(label)})
    np.testing.assert_allclose(means[:, :2].mean(), upper, atol=0.03)


def test_each_row_may_have_a_label_of_its_own(labelled):
    labels = np.array([2, 7] * 250)
    drawn = labelled.sample(500, seed=1, given={"label": labels})
    assert drawn[labels == 7][:, :2].mean() > 0.85 > 0.15 > drawn[labels == 2][:, :2].mean()
    alike = labelled.sample(500, seed=1, given={"label": [7] * 500})
    np.testing.assert_array_equal(alike, labelled.sample(500, seed=1, given={"label": 7}))
    decoded = labelled.decode(np.zeros((2, 2)), given={"label": [7, 2]})
    assert decoded[0, :2].mean() > 0.8 > 0.2 > decoded[1, :2].mean()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "The model is conditional on label, but 'label' is missing"),
        ({"label": 3}, "the value of 'label' must be one of its categories. Got 3 instead. Choose from: 2, 7"),
        ({"lable": 7}, "Did you mean 'label'"),
        ({"label": [7, 7]}, "'label' must have one value for all rows, or a list of 5. Got 2"),
        ({"label": 7, "age": 3}, "a given column must be one that the model is conditional on: label. Got 'age'"),
    ],
)
def test_what_is_given_wrongly_is_refused(labelled, given, words):
    with pytest.raises(DataError) as caught:
        labelled.sample(5, given=given)
    assert words in str(caught.value)


def test_a_model_that_is_given_nothing_says_so(digits_run):
    with pytest.raises(
        DataError, match=r"The model is not conditional, so it cannot be given label.*`recipe='conditional-vae'`"
    ):
        digits_run.sample(5, given={"label": 7})


def test_rows_without_labels_are_refused(labelled):
    values, labels = halves(20)
    for verb in (labelled.score_samples, labelled.encode, labelled.reconstruct, labelled.evaluate):
        with pytest.raises(DataError, match="the 20 rows have no labels"):
            verb(values)
    with pytest.raises(DataError, match="its value in row 0 is not in the training data"):
        labelled.score_samples(Source(values, labels + 1, picture=True))


def test_a_row_is_the_same_in_any_order_and_company(labelled):
    values, labels = halves(300, seed=2)
    back = slice(None, None, -1)
    for verb in (labelled.score_samples, labelled.encode):
        whole, turned = (
            verb(Source(values, labels, picture=True)),
            verb(Source(values[back], labels[back], picture=True)),
        )
        np.testing.assert_allclose(turned[back], whole, atol=1e-5)


def test_the_run_is_read_back_and_trained_again_to_the_same_bytes(labelled, pictures, tmp_path):
    read, again = vaekit.load(labelled.path), vaekit.train(str(pictures), settings=LABELLED, out=tmp_path / "again")
    given = {"label": 7}
    np.testing.assert_array_equal(read.sample(5, given=given), labelled.sample(5, given=given))
    assert read.evaluate() == labelled.evaluate() == again.evaluate()
    weights = [(run.path / "weights.safetensors").read_bytes() for run in (labelled, again)]
    assert weights[0] == weights[1]


def test_other_labels_are_other_data(labelled, pictures, tmp_path):
    values, labels = halves(1000)
    source = Source(values, labels[::-1].copy(), picture=True)
    run = vaekit.load(labelled.path)
    run.source = (encode_rows(source, run.schema.table), None)
    with pytest.raises(DataError, match="no longer holds the rows that the run was trained on"):
        run.split()


def test_convolutional_networks_and_several_layers_are_given_labels_too(pictures, tmp_path):
    shapes = {"encoder.name": "convolutional", "decoder.name": "convolutional", "encoder.channels": [8]}
    layers = {"layers": [2, 1], "latent_dim": "auto", "posterior.name": "bottom_up", "posterior.hidden": [8]}
    plain = {key: value for key, value in LABELLED.items() if not key.endswith(".hidden")}
    for name, more in (("convolutional", plain | shapes | {"decoder.channels": [8]}), ("layers", LABELLED | layers)):
        run = vaekit.train(str(pictures), settings=more | {"training.epochs": 15}, out=tmp_path / name)
        drawn = run.sample(300, given={"label": [7, 2] * 150})
        assert drawn[::2, :2].mean() > 0.75 > 0.25 > drawn[1::2, :2].mean(), name


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("model=autoencoder", "An autoencoder cannot be conditional"),
        ("encoder=linear", "encoder=linear cannot be used with a context"),
        ("decoder=linear", "decoder=linear cannot be used with a context"),
        ("prior=vamp", "prior=vamp cannot be used with a context"),
    ],
)
def test_what_cannot_be_conditional_is_refused(pictures, tmp_path, setting, words):
    with pytest.raises(RecipeError, match=words):
        vaekit.train(str(pictures), settings=["data.context=['label']", setting], out=tmp_path / "run")


@pytest.mark.parametrize(
    ("table", "context", "words"),
    [
        (people(), ["agee"], "data.context must name columns of the data. Got 'agee' instead. Did you mean 'age'"),
        (people().append_column("id", pa.array(np.arange(1200))), ["id"], "'id' \\(identifier"),
        (people(), people().column_names, "All 4 columns are in data.context, so no column is left to model"),
        (pa.table({"a": [0, 1] * 9, "b": [1, 0] * 9}), ["c"], "data.context must name columns of the data. Got 'c'"),
        (people(), ["income"], "every cell of column 'income' must have a value"),
        (
            np.zeros((9, 4, 4), np.uint8),
            ["label"],
            r"The model is conditional on labels \(data\.context\), but the 9 rows have no labels",
        ),
        (np.zeros((9, 4, 4), np.uint8), ["age"], r"data.context must be \['label'\]"),
    ],
)
def test_columns_that_cannot_be_given_are_refused(tmp_path, table, context, words):
    with pytest.raises(DataError, match=words):
        vaekit.train(table, settings={"data.context": context}, out=tmp_path / "run")


def test_the_bound_of_a_table_is_near_the_conditional_entropy(table_run):
    table = people(2000, seed=1).drop_null()
    found = table_run.score_samples(table)
    age, sex, income = (table[name].to_numpy() for name in ("age", "sex", "income"))
    retired = 1 / (1 + np.exp(-(age - 50) / 5))
    work = np.log(np.where(table["work"].to_numpy() == "retired", retired, 1 - retired))
    noise = (income - 2 * age - 30 * (sex == "m")) / 3
    exact = -0.5 * noise**2 - math.log(3 * math.sqrt(2 * math.pi)) + work
    assert exact.mean() - 0.5 < found.mean() < exact.mean()
    assert table_run.schema.columns == ("income", "work")


def test_rows_are_drawn_at_their_covariates(table_run):
    for age, sex in ((30, "f"), (75, "m")):
        drawn = table_run.sample(1000, given={"age": age, "sex": sex}, complete=True)
        assert drawn.column_names == ["age", "sex", "income", "work"]
        assert set(drawn["age"].to_pylist()) == {age}
        assert set(drawn["sex"].to_pylist()) == {sex}
        assert abs(np.mean(drawn["income"].to_numpy()) - 2 * age - 30 * (sex == "m")) < 4
        retired = np.mean(np.array(drawn["work"].to_pylist()) == "retired")
        assert abs(retired - 1 / (1 + math.exp(-(age - 50) / 5))) < 0.1
    both, size = table_run.condition(300, {"age": 50, "sex": "f", "work": "farm"}, complete=True)
    assert set(both["work"].to_pylist()) == {"farm"}
    assert size > 300
    assert abs(np.mean(both["income"].to_numpy()) - 100) < 5


def test_missing_cells_are_filled_from_the_covariates(table_run):
    table = people(500, seed=3)
    filled = table_run.impute(table)
    assert filled.column_names == table.column_names
    hole = np.asarray(table["income"].is_null())
    age, male = table["age"].to_numpy()[hole], np.array(table["sex"].to_pylist())[hole] == "m"
    error = filled["income"].to_numpy()[hole] - 2 * age - 30 * male
    assert np.sqrt(np.square(error).mean()) < 5
    for name in ("age", "sex", "work"):
        assert filled[name].equals(table[name])
    assert all(set(made.column_names) == set(table.column_names) for made in table_run.impute_draws(table, 2))
    assert table_run.explain(table).column_names == ["income", "work"]
    assert table_run.reconstruct(table)["age"].equals(table["age"])


def test_a_strange_cell_is_strange_for_its_covariates(table_run):
    odd = pa.table({"age": [25, 25], "sex": ["f", "f"], "income": [50.0, 150.0], "work": ["farm", "farm"]})
    usual, strange = table_run.explain(odd)["income"].to_pylist()
    assert strange > 5 > usual
    assert np.diff(table_run.score_samples(odd))[0] < -5


def test_covariates_must_be_there(table_run):
    table = people(20, seed=4)
    for verb in (table_run.score_samples, table_run.encode, table_run.impute, table_run.explain):
        with pytest.raises(DataError, match=r"data lack columns .*: 'sex'"):
            verb(table.drop(["sex"]))
    with pytest.raises(DataError, match=r"every cell of column 'age' must have a value.*an empty cell in row 3"):
        table_run.score_samples(table.set_column(0, "age", pa.array([1, 2, 3, None] + [4] * 16)))
    with pytest.raises(DataError, match="The model is conditional on column 'sex', but its value in row 0"):
        table_run.score_samples(table.set_column(1, "sex", pa.array(["x"] * 20)))
    with pytest.raises(DataError, match=r"The model is conditional on age, sex, but 'sex' is missing"):
        table_run.sample(5, given={"age": 40})
    with pytest.raises(VaekitError, match="`mean=True` cannot be used"):
        table_run.sample(5, mean=True, given={"age": 40, "sex": "f", "work": "farm"})


def test_a_table_of_one_kind_is_given_columns_too(tmp_path):
    table = people().select(["age", "income"]).drop_null()
    settings = NETWORKS | {"data.context": ["age"], "data.kind": "real", "training.epochs": 60}
    run = vaekit.train(table, settings=settings, out=tmp_path / "run")
    assert run.schema.columns == ("income",)
    drawn = run.sample(2000, given={"age": np.repeat([30, 80], 1000)})[:, 0]
    assert abs(drawn[:1000].mean() - 75) < 8
    assert abs(drawn[1000:].mean() - 175) < 8


def test_the_estimator_is_given_columns(tmp_path):
    table = people(300)
    settings = NETWORKS | {"data.context": ["sex"], "training.epochs": 2}
    vae = vaekit.VAE(settings=settings, random_state=0).fit(table)
    drawn = vae.sample(3, given={"sex": "m"})
    assert drawn.column_names == table.column_names
    assert drawn["sex"].to_pylist() == ["m"] * 3
    assert vae.inverse_transform(vae.transform(table)[:2], given={"sex": "f"})["sex"].to_pylist() == ["f", "f"]
    X = np.column_stack([table["age"].to_numpy(), np.random.default_rng(0).normal(size=(300, 2))])
    array = vaekit.VAE(settings=settings | {"data.context": ["column0"]}, random_state=0).fit(X)
    assert array.sample(3, given={0: 40})[:, 0].tolist() == [40.0] * 3
    vae.save(tmp_path / "kept")
    np.testing.assert_array_equal(vaekit.VAE.load(tmp_path / "kept").transform(table), vae.transform(table))


def test_labels_of_an_array_are_a_column_of_its_table(tmp_path):
    rng = np.random.default_rng(0)
    values, labels = rng.normal(size=(60, 2)), np.repeat(["a", "b"], 30)
    source, _ = open_both(Source(values, labels), None, DataOptions(context=("label",)), mixed=True)
    assert source.columns == ("column0", "column1")
    np.testing.assert_array_equal(source.context[:, 0], labels == "b")
    settings = NETWORKS | {"data.context": ["label"], "training.epochs": 2}
    run = vaekit.train(Source(values, labels), settings=settings, out=tmp_path / "run")
    assert run.sample(3, given={"label": "a"}).shape == (3, 2)
    assert run.reconstruct(Source(values, labels)).shape == (60, 2)
    holes = np.where(rng.random((60, 2)) < 0.3, np.nan, values)
    filled = run.impute(Source(holes, labels))
    np.testing.assert_array_equal(filled[~np.isnan(holes)], holes[~np.isnan(holes)])
    assert np.isfinite(filled).all()


def test_reports_give_what_was_given_with_the_held_out_rows(labelled, table_run, tmp_path):
    page = write_report(labelled).read_text(encoding="utf-8")
    assert "The model is given the context of the examples above, in the same order." in page
    assert "Log-likelihood given label" in page
    assert "which does not see label" in page
    subject = Subject.of(labelled)
    rows = subject.subset(20)
    labels = np.where(rows.take_context()[:, 0] == 1, 7, 2)
    drawn = labelled.sample_at(subject.rows(rows).context(), 20)
    np.testing.assert_array_equal(drawn, labelled.sample(20, given={"label": labels}))
    codes = labelled.encode(Source(rows.take(0, 20), labels, picture=True))
    np.testing.assert_array_equal(labelled.encode(subject.source(rows)), codes)
    decoded = labelled.decode(codes[:3], given={"label": int(labels[0])})
    row = rows.crop(0, 1)
    context = subject.rows(replace(row, index=row.index.repeat(3))).context()
    np.testing.assert_array_equal(labelled.decode_at(codes[:3], context), decoded)
    table_run.source = open_both(people(), None, table_run.recipe.data)
    shown = write_report(table_run).read_text(encoding="utf-8")
    assert "count, given" in shown
    hidden = {each.column: each for each in Subject.of(table_run).table.hidden}
    assert hidden["income"].error < 0.1  # in standard deviations: 3 of about 45, given age and sex
    bare = vaekit.train("digits", settings=NETWORKS | {"training.epochs": 1}, out=tmp_path / "bare")
    given = vaekit.train("digits", settings=LABELLED | {"training.epochs": 1}, out=tmp_path / "given")
    with pytest.raises(RunError, match="are conditional on different columns"):
        write_report(bare, given)


def test_annealing_is_of_the_label_that_is_given(labelled):
    figures = labelled.evaluate(samples=50, temperatures=20)
    assert abs(figures.annealed.value + 5.2) < 0.8  # 16 cells of 0.325 nats
    assert 0 <= figures.annealed.gap < 0.2


def test_the_command_line(call, labelled, tmp_path, expect_refusal):
    call("sample", labelled.path, "-n", 200, "--given", "label=7", "--out", tmp_path / "sevens.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "sevens.npy"), labelled.sample(200, given={"label": 7}))
    call("sample", labelled.path, "-n", 5, "--given", "label=2", "--mean", "--out", tmp_path / "twos.npy")
    expect_refusal("sample", labelled.path, "--out", tmp_path / "x.npy", words=("--given label=VALUE",))
    expect_refusal("sample", labelled.path, "--given", "label=3", "--out", tmp_path / "x.npy", words=("2, 7",))
    expect_refusal(
        "sample", labelled.path, "--given", "lable=7", "--out", tmp_path / "x.npy", words=("Did you mean 'label'?",)
    )
    told = call("evaluate", labelled.path, "--samples", 2).out
    assert "log p(x|label) ≥" in told
    assert "which does not see label" in " ".join(told.split())
    assert "categorical, given" in call("describe", labelled.path).out
