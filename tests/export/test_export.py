"""Exported parts give the numbers of the run's own methods, given the run's own noise, for any number of rows."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

import vaekit
from vaekit.data import RowNoise, RowStream
from vaekit.data.tables.dates import DAY
from vaekit.errors import VaekitError
from vaekit.export import Subject, make_part
from vaekit.export.graph import REPLACED, ROWS, OnnxOperations
from vaekit.export.ranks import ELEMENTWISE
from vaekit.export.writing import describe_part
from vaekit.row_noise import noise_inputs

K = 4
SMALL = {
    "training.epochs": 4,
    "training.batch_size": 64,
    "training.validations": 1,
    "latent_dim": 2,
    "encoder.hidden": [16],
    "decoder.hidden": [16],
}
DAYS = np.datetime64("2020-01-01") + np.arange(300)


def people(rows=300, seed=0):
    """Counts, categories with rare values, point masses, dates and structural blanks; some cells are missing."""
    rng = np.random.default_rng(seed)
    age, kind = rng.integers(18, 90, rows), rng.choice(["joint", "single"], rows)
    work = rng.choice(["city", "farm", "sea", "sky"], rows, p=[0.6, 0.36, 0.02, 0.02])
    income = np.where(age > 65, 0.0, np.round(rng.lognormal(10, 0.5, rows), 2))

    def gone(share=0.2):
        return rng.random(rows) < share

    return pa.table(
        {
            "age": pa.array(age, mask=gone()),
            "kind": kind,
            "work": pa.array(work, mask=gone()),
            "income": pa.array(income, mask=gone()),
            "day": pa.array(rng.choice(DAYS, rows), mask=gone()),
            "height": pa.array(rng.normal(170, 10, rows), mask=gone()),
            "partner": pa.array(rng.normal(0, 1, rows), mask=(kind == "single") | gone(0.1)),
        }
    )


def train(data, folder, **settings):
    return vaekit.train(
        data, settings=SMALL | {k.replace("__", "."): v for k, v in settings.items()}, out=folder / "run"
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return train(people(), tmp_path_factory.mktemp("table"))


@pytest.fixture(scope="module")
def autoregressive(tmp_path_factory):
    settings = {"likelihood": "autoregressive_mixed", "prior": "mixture", "prior__components": 5}
    return train(people(), tmp_path_factory.mktemp("autoregressive"), **settings)


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    rng = np.random.default_rng(0)
    rates = np.exp(rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)))
    X = rng.poisson(rates)
    return train(X, tmp_path_factory.mktemp("counts"), likelihood="negative_binomial", data__kind="counts"), X


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    rng = np.random.default_rng(0)
    y = rng.choice([2, 7], 300)
    X = (rng.random((300, 4, 4)) < np.where(y == 7, 0.8, 0.2)[:, None, None]).astype(np.uint8)
    path = tmp_path_factory.mktemp("labelled")
    np.savez(path / "halves.npz", X=X, labels=y)
    return train(str(path / "halves.npz"), path, data__context=["label"]), str(path / "halves.npz"), y


def make(run, name, samples=K):
    return make_part(name, Subject(run.model, run.schema, run.transform, samples, run.recipe.seed))


def rows_of(run, X):
    """Rows and their context as a file takes them: codes, with dates in days."""
    source, inputs = run.open(X), {}
    days = np.array([DAY if c.kind == "datetime" else 1.0 for c in run.schema.modelled] or [1.0])
    values = run.check(source).values
    inputs["x"] = (values / days if run.schema.kind == "mixed" else values).astype(
        np.float32 if run.schema.dtype == "uint8" else np.float64
    )
    if source.context is not None:
        inputs["context"] = np.asarray(source.context, np.float64)
    return inputs


def compute(part, inputs):
    """What the operations of the file give, without the file."""
    with torch.no_grad(), OnnxOperations():
        part.eval()
        return [each.numpy() for each in part(*(torch.from_numpy(inputs[port.name]) for port in part.inputs))]


def session(part, path, folder=None):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(path)


def close(found, expected, spread=None):
    """The largest difference, relative to the spread of each column over the rows."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    spread = np.nanstd(expected, 0) if spread is None else spread
    assert found.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    return np.nanmax(np.abs(found - expected) / np.maximum(spread, 1e-3 * np.nanmax(np.abs(expected))))


def far(found, expected):
    """The share of cells that differ: a number halfway between two values may be rounded to either."""
    spread = np.maximum(np.nanstd(expected, 0), 1e-9)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    return np.mean(np.abs(found - expected) > 1e-4 * spread)


def scores_of(run, X):
    return run.score_samples(X, samples=K)


def slow_constants(path):
    """Single constants with fewer dimensions than a tensor that ends with a dimension of 1, which onnxruntime computes slowly."""
    onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    ranks = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in graph.value_info}
    single = {each.name: list(each.dims) for each in graph.initializer if set(each.dims) <= {1}}
    found = []
    for node in graph.node:
        widest = max((ranks[name] for name in node.input if name in ranks), key=len, default=[])
        if node.op_type in ELEMENTWISE and len(widest) > 1 and widest[-1] == 1:
            found += [name for name in node.input if name in single and len(single[name]) < len(widest)]
    return found


def all_noise(part, inputs):
    return inputs | noise_inputs(describe_part(part), inputs["x"])


@pytest.mark.parametrize("own", REPLACED, ids=lambda own: own.__name__)
def test_what_is_replaced_gives_the_same_numbers(own):
    x = torch.tensor([-90.0, -21.7, -3.0, -1e-6, 0.0, 1e-6, 0.5, 8.0, 300.0], dtype=torch.float64)
    arguments = {
        torch.lgamma: (torch.tensor([1e-5, 0.3, 1.0, 2.0, 7.5, 1e4, 1e8], dtype=torch.float64),),
        torch.Tensor.lgamma: (torch.arange(1.0, 200, dtype=torch.float64),),
        torch.log1p: (x[3:],),
        torch.logaddexp: (x, x.flip(0)),
        torch.searchsorted: (torch.tensor([[-3.0, -3.0, 0.0, 8.0]], dtype=torch.float64), x[None]),
        F.embedding_bag: (torch.tensor([[0, 2], [1, 1]]), torch.arange(6.0).reshape(3, 2)),
    }.get(own, (x,))
    more = {"mode": "sum"} if own is F.embedding_bag else {}
    np.testing.assert_allclose(REPLACED[own](*arguments), own(*arguments, **more), rtol=1e-11, atol=2e-11)
    if own is torch.searchsorted:
        np.testing.assert_array_equal(REPLACED[own](*arguments, right=True), own(*arguments, right=True))


def test_the_noise_is_that_of_the_run(table):
    part, inputs = make(table, "impute"), rows_of(table, people())
    made, own = noise_inputs(describe_part(part), inputs["x"]), RowNoise(table.open(people()).values, table.recipe.seed)
    latent = own.normal((K, 2), RowStream.POSTERIOR).numpy()
    np.testing.assert_allclose(made["noise"], latent, rtol=2e-7)
    fill = own.uniform(made["fill"].shape[1:], RowStream.FILL).float().numpy()
    np.testing.assert_array_equal(made["fill"], fill)


def test_numpy_alone_makes_the_noise():
    code = (
        "import sys, numpy as np; from vaekit.row_noise import noise_inputs;"
        "port = {'name': 'noise', 'shape': ['batch', 3], 'dtype': 'float32', 'noise': {'stream': 1, 'distribution': 'normal'}};"
        "made = noise_inputs({'row': {'units': [], 'dtype': 'float64', 'seed': 0}, 'inputs': [port]}, np.zeros((2, 4)));"
        "print(made['noise'].shape, sorted({'torch', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(2, 3) []\n"


def test_a_table_gives_the_numbers_of_the_run(table):
    X = people()
    inputs, columns = rows_of(table, X), table.schema.columns
    assert close(compute(make(table, "encode"), inputs)[0], table.encode(X)) < 1e-5
    score = make(table, "score")
    assert close(compute(score, all_noise(score, inputs))[0], scores_of(table, X)) < 1e-5
    impute = make(table, "impute")
    filled, mean, uncertainty = compute(impute, all_noise(impute, inputs))
    expected = rows_of(table, table.impute(X, samples=K))["x"]
    assert far(filled, expected) < 0.002
    gone, rounded = np.isnan(inputs["x"][:, 0]), np.abs(mean - filled)[:, 0]
    assert 0.01 < rounded[gone].max() <= 0.5  # years
    blank = np.array(X["kind"]) == "single"
    partner = columns.index("partner")
    assert np.isnan(filled[blank, partner]).all()  # a structural blank stays empty
    assert not np.isnan(filled[:, :partner]).any()
    assert (np.isnan(inputs["x"]) | (filled == inputs["x"])).all()
    spread = table.uncertainty(X, samples=K)
    for i, name in enumerate(columns):
        own = np.array(spread[name].to_numpy(zero_copy_only=False), float)
        there = ~np.isnan(own)
        np.testing.assert_allclose(uncertainty[there, i], own[there], rtol=1e-4, atol=1e-9)


def test_a_decoded_table_has_the_typical_rows_of_the_run(table):
    z = np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)
    found = compute(make(table, "decode"), {"z": z})[0]
    assert far(found, rows_of(table, table.decode(z))["x"]) < 0.002


def test_drawn_rows_have_the_values_of_the_columns(table):
    part, rng = make(table, "sample"), np.random.default_rng(0)
    noise = {p.name: rng.random((2000, *p.shape)).astype(str(p.dtype).removeprefix("torch.")) for p in part.inputs}
    noise["noise"] = rng.normal(size=noise["noise"].shape).astype(np.float32)
    drawn = dict(zip(table.schema.columns, compute(part, noise)[0].T, strict=True))
    own = table.sample(2000, complete=True)
    work = table.schema.modelled[2]
    names = [*work.categories, *(value for value, _ in work.rare)]
    for i, name in enumerate(names):
        share, expected = (drawn["work"] == i).mean(), np.mean(np.array(own["work"]) == name)
        assert abs(share - expected) < 0.05
    assert (np.round(drawn["age"]) == drawn["age"]).all()
    assert (np.round(drawn["day"]) == drawn["day"]).all()
    heights = own["height"].to_numpy()
    assert abs(drawn["height"].mean() - heights.mean()) < 6 * heights.std() / np.sqrt(1000)
    assert abs((drawn["income"] == 0).mean() - np.mean(own["income"].to_numpy() == 0)) < 0.06


def test_counts_and_conditional_models_give_the_numbers_of_the_run(counts, labelled):
    run, X = counts
    inputs, score = rows_of(run, X), make(run, "score")
    assert close(compute(score, all_noise(score, inputs))[0], scores_of(run, X)) < 1e-5
    run, path, labels = labelled
    inputs, score = rows_of(run, path), make(run, "score")
    assert close(compute(score, all_noise(score, inputs))[0], scores_of(run, path)) < 1e-5
    assert close(compute(make(run, "encode"), inputs)[0], run.encode(path)) < 1e-5
    z = np.zeros((300, 2), np.float32)
    expected = run.decode(z, given={"label": labels.tolist()})
    assert close(compute(make(run, "decode"), {"z": z, "context": inputs["context"]})[0], expected, 1.0) < 1e-5


def test_random_transforms_take_the_noise_of_the_run(tmp_path):
    X = vaekit.data.open_source("digits").values[:300]
    run = train(X, tmp_path, data__binarize="dynamic")
    part, inputs = make(run, "score"), rows_of(run, X)
    assert [port.name for port in part.inputs] == ["x", "uniform", "noise"]
    assert close(compute(part, all_noise(part, inputs))[0], scores_of(run, X)) < 1e-5


class Recorded(TorchFunctionMode):
    """Notes what torch's generators give."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in (torch.normal, torch.rand, torch.randn_like, torch.multinomial):
            self.found.setdefault(func.__name__, []).append(result)
        return result


def draw_with_noise(run, rows):
    """Draw complete rows with the run, and return them with the noise that was used, as a file takes both."""
    with Recorded() as noted:
        drawn = run.sample(rows, seed=3, complete=True)
    found = {name: torch.cat(tiles)[:rows] for name, tiles in noted.found.items()}
    # of N(0, I), z is the noise
    made = {"noise": found.get("randn_like", found.get("normal")).numpy(), "fill": found["rand"].numpy()}
    if "multinomial" in found:
        share = run.model.prior().log_weights.exp().double().detach()
        middle = share.cumsum(0) - share / 2
        made["component"] = middle[found["multinomial"]].float().numpy()
    numbers = np.arange(rows)[:, None]
    made["rare"] = RowNoise(numbers, 3).uniform((len(run.schema.columns),), RowStream.SAMPLE_RARE).numpy()
    return rows_of(run, drawn)["x"], made


@pytest.mark.parametrize("fixture", ["table", "autoregressive"])
def test_a_file_draws_the_rows_of_the_run_from_the_same_noise(fixture, request):
    run = request.getfixturevalue(fixture)
    expected, noise = draw_with_noise(run, 300)
    part = make(run, "sample")
    assert {port.name for port in part.inputs} == set(noise)
    assert far(compute(part, noise)[0], expected) < 0.002


def test_an_autoregressive_table_gives_the_numbers_of_the_run(autoregressive, monkeypatch):
    run, X = autoregressive, people()
    inputs = rows_of(run, X)
    z = np.random.default_rng(1).normal(size=(100, 2)).astype(np.float32)
    assert far(compute(make(run, "decode"), {"z": z})[0], rows_of(run, run.decode(z))["x"]) < 0.002
    score, impute = make(run, "score"), make(run, "impute")
    assert close(compute(score, all_noise(score, inputs))[0], scores_of(run, X)) < 1e-5
    filled = compute(impute, all_noise(impute, inputs))[0]
    assert far(filled, rows_of(run, run.impute(X, samples=K))["x"]) < 0.002
    monkeypatch.setattr("vaekit.export.units.MOST_PASSES", 5)
    for name in ("decode", "sample"):
        with pytest.raises(VaekitError, match=rf"holds at most 5. Use run.{name}, or train with likelihood=mixed"):
            make(run, name)
    make(run, "impute")  # cells are filled at once
    make(run, "score")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fixture", "name"),
    [("table", "sample"), *(("autoregressive", name) for name in ("decode", "score", "impute", "sample"))],
)
def test_onnxruntime_gives_the_numbers_of_tables(fixture, name, request, tmp_path):
    run, X = request.getfixturevalue(fixture), people()
    part = make(run, name)
    if name == "sample":
        expected, given = draw_with_noise(run, 300)
    elif name == "decode":
        given = {"z": np.random.default_rng(1).normal(size=(300, 2)).astype(np.float32)}
        expected = rows_of(run, run.decode(given["z"]))["x"]
    else:
        given = all_noise(part, rows_of(run, X))
        expected = scores_of(run, X) if name == "score" else rows_of(run, run.impute(X, samples=K))["x"]
    runtime = session(part, run.export(tmp_path / f"{name}.onnx", name, samples=K))
    spread = np.maximum(np.nanstd(expected, 0), 1e-9)
    for rows in (1, 7, 300):
        found = runtime.run(None, {port.name: given[port.name][:rows] for port in part.inputs})[0]
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected[:rows]))
        # noise at the border of two values may be read either way
        assert np.mean(np.abs(found - expected[:rows]) > 1e-4 * spread) < 0.002


ONNX = {
    "pictures": ("digits", ("encode", "score")),
    "table": ("table", ("score",)),
    "counts": ("counts", ("score",)),
    "conditional": ("labelled", ("decode",)),
}


def own_numbers(run, X, part, inputs):
    """What the run's own method gives."""
    if part.name == "encode":
        return run.encode(X)
    if part.name == "score":
        return scores_of(run, X)
    given = {"label": X} if "context" in inputs else {}
    return run.decode(inputs["z"], given=given)


def test_onnxruntime_fills_missing_cells_as_the_run_does(table, tmp_path):
    part, X = make(table, "impute"), people()
    given = all_noise(part, rows_of(table, X))
    runtime = session(part, table.export(tmp_path / "impute.onnx", "impute", samples=K))
    expected = rows_of(table, table.impute(X, samples=K))["x"]
    spread = np.nanstd(expected, 0)
    for rows in (1, 7, 300):
        filled, mean, uncertainty = runtime.run(None, {port.name: given[port.name][:rows] for port in part.inputs})
        own = compute(part, {name: each[:rows] for name, each in given.items()})
        np.testing.assert_array_equal(np.isnan(filled), np.isnan(expected[:rows]))
        # noise at the border of two components, or halfway between two values, may be read either way
        apart = [np.abs(mean - own[1]) > 1e-4 * spread, np.abs(filled - expected[:rows]) > 1e-4 * spread]
        assert np.mean(apart) < 0.002
        assert np.mean(np.abs(uncertainty - own[2]) > 1e-4 * np.maximum(spread, 1)) < 0.002


@pytest.mark.parametrize("name", ONNX)
def test_onnxruntime_gives_the_numbers_of_the_run(name, request, tmp_path, digits_run):
    fixture, parts = ONNX[name]
    if fixture == "digits":
        run, X = digits_run, vaekit.data.open_source("digits").values[:300]
        inputs = rows_of(run, X)
    elif fixture == "table":
        run, X = request.getfixturevalue("table"), people()
        inputs = rows_of(run, X)
    elif fixture == "counts":
        run, X = request.getfixturevalue("counts")
        inputs = rows_of(run, X)
    else:
        run, path, labels = request.getfixturevalue("labelled")
        inputs, X = rows_of(run, path), labels.tolist()
    inputs["z"] = np.random.default_rng(0).normal(size=(300, run.recipe.latent_dim)).astype(np.float32)
    for part_name in parts:
        part = make(run, part_name)
        path = run.export(tmp_path / f"{part_name}.onnx", part_name, samples=K)
        runtime = session(part, path)
        described = json.loads(runtime.get_modelmeta().custom_metadata_map["vaekit"])
        assert described == json.loads(json.dumps(describe_part(part)))
        names = [port.name for port in part.inputs]
        assert [each.name for each in runtime.get_inputs()] == names
        given = all_noise(part, inputs) if part.draws else inputs
        expected = own_numbers(run, X, part, given)
        for rows in (1, 7, 300):
            (found, *_) = runtime.run(None, {name: given[name][:rows] for name in names})
            assert close(found, expected[:rows], np.nanstd(expected, 0)) < 1e-4
        assert slow_constants(path) == []
        content = path.read_bytes()
        assert str(tmp_path).encode() not in content
        assert b"site-packages" not in content


def test_a_program_of_torch_gives_the_numbers_of_the_run(table, tmp_path):
    X, path = people(), table.export(tmp_path / "encode.pt2", "encode", to="torch")
    extra = {"vaekit.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    inputs = rows_of(table, X)
    for rows in (1, 7, 300):
        assert rows != ROWS
        (found,) = program(torch.from_numpy(inputs["x"][:rows]))
        assert close(found.detach(), table.encode(X)[:rows], 1.0) < 1e-5
    columns = {each["name"]: each for each in json.loads(extra["vaekit.json"])["columns"]}
    assert sorted(columns["kind"]["categories"]) == ["joint", "single"]
    assert columns["day"]["unit"] == "days since 1970-01-01"
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if tmp_path.name in name or "vaekit-" in name]
        assert not [name for name in archive.namelist() if b".py" in archive.read(name)]  # no place in a source file


def test_what_cannot_be_exported_is_refused(table, digits_run, tmp_path, monkeypatch, labelled):
    with pytest.raises(VaekitError, match=r"from 1 to 20 .* Got 500 instead. Use run.score_samples"):
        digits_run.export(tmp_path / "a.onnx", "score", samples=500)
    with pytest.raises(VaekitError, match="needs a run on a mixed table"):
        digits_run.export(tmp_path / "a.onnx", "impute")
    with pytest.raises(VaekitError, match="Did you mean 'decode'"):
        digits_run.export(tmp_path / "a.onnx", "decod")
    with pytest.raises(VaekitError, match=r"Choose from: onnx, torch|Did you mean 'onnx'"):
        digits_run.export(tmp_path / "a.onnx", "encode", to="onnxx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(VaekitError, match=r"The package onnx, .* pip install 'vaekit\[onnx\]'"):
        digits_run.export(tmp_path / "a.onnx", "encode")
    assert not list(tmp_path.iterdir())


def test_an_autoencoder_has_codes_and_no_score(tmp_path):
    X = vaekit.data.open_source("digits").values[:200]
    run = vaekit.train(X, recipe="autoencoder", settings=SMALL, out=tmp_path / "run")
    assert close(compute(make(run, "encode"), rows_of(run, X))[0], run.encode(X)) < 1e-5
    with pytest.raises(VaekitError, match="has no likelihood"):
        make(run, "score")
