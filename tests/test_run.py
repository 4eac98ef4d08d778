import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

import vaekit
from builders import read_numbers
from vaekit.data import SeedStream, open_source, split_source
from vaekit.errors import DataError, RunError, VaekitError
from vaekit.evaluation import LinearBaselines, Remedy, diagnose
from vaekit.models import ProbabilisticPCA
from vaekit.reporters import Reporter

SMALL = {"encoder.hidden": [16], "decoder.hidden": [16], "training.validations": 2}


@pytest.fixture(scope="module")
def digits():
    return open_source("digits").values[:60]


@pytest.fixture(scope="module")
def binary_run(tmp_path_factory):
    """Three dependent zeros and ones: all of p(x) can be summed."""
    rng = np.random.default_rng(1)
    first = rng.random(400) < 0.7
    X = np.stack([first, first ^ (rng.random(400) < 0.1), rng.random(400) < 0.2], 1).astype(np.uint8)
    settings = {
        **SMALL,
        "training.epochs": 150,
        "training.learning_rate": 0.01,
        "training.average": 0.9,
        "latent_dim": 1,
    }
    return vaekit.train(X, settings=settings, out=tmp_path_factory.mktemp("runs") / "binary"), X


def same(a, b):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "score_samples"])
def test_the_same_rows_give_the_same_numbers_on_every_call(digits_run, digits, verb):
    method = getattr(digits_run, verb)
    torch.manual_seed(1)
    first = method(digits)
    torch.manual_seed(2)
    same(first, method(digits))


@pytest.mark.parametrize("verb", ["encode", "reconstruct", "score_samples"])
def test_a_rows_numbers_do_not_depend_on_order_or_company(digits_run, digits, verb):
    method = getattr(digits_run, verb)
    whole = method(digits)
    order = np.random.default_rng(0).permutation(len(digits))
    np.testing.assert_allclose(method(digits[order]), whole[order], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(method(digits[17:18]), whole[17:18], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        method(np.concatenate([digits[30:], digits[:30]]))[30:], whole[:30], rtol=1e-5, atol=1e-5
    )


def test_twins_have_the_same_score(digits_run, digits):
    scores = digits_run.score_samples(np.concatenate([digits[:1]] * 5))
    np.testing.assert_allclose(scores, scores[0], rtol=1e-6)


def test_a_public_call_leaves_the_global_generator_alone(digits_run, digits):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    digits_run.encode(digits)
    digits_run.score_samples(digits)
    digits_run.sample(3)
    digits_run.reconstruct(digits)
    assert torch.equal(torch.rand(3), wanted)


def test_codes_are_the_posterior_means(digits_run, digits):
    with torch.no_grad():
        mean = digits_run.model.eval().encoder(torch.from_numpy(digits.astype(np.float32))).mean.numpy()
    codes = digits_run.encode(digits)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, mean, rtol=1e-5, atol=1e-6)
    assert codes.std(0).min() > 0  # the encoder tells rows apart


def test_reconstructions_are_means_in_units_of_the_data(table_run, table):
    X = read_numbers(table).values
    y = table_run.reconstruct(X)
    (affine,) = table_run.transform.steps
    z = torch.from_numpy(table_run.encode(X))
    with torch.no_grad():
        mean = table_run.model.decode(z).double().numpy()
    np.testing.assert_allclose(y, mean * affine.scale + affine.shift, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.median(y, 0), np.median(X, 0), atol=2 * X.std(0).max())
    assert (np.abs(y.mean(0) - X.mean(0)) < X.std(0)).all()


def test_probabilities_of_all_that_can_happen_sum_to_one(binary_run):
    run, X = binary_run
    everything = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], np.uint8)
    p = np.exp(run.score_samples(everything, samples=5000))
    assert p.sum() == pytest.approx(1.0, abs=0.02)
    observed = np.array([(row == X).all(1).mean() for row in everything])
    assert np.abs(p - observed).max() < 0.1  # and it has learned them


def test_a_density_is_one_of_the_data_as_given(tmp_path):
    """The integral over the data's own axis is 1, whatever its unit."""
    X = np.random.default_rng(0).gamma(3.0, 1000.0, (200, 1)) - 500
    settings = {**SMALL, "training.epochs": 10, "latent_dim": 1, "data.kind": "real"}
    run = vaekit.train(X, settings=settings, out=tmp_path / "run")
    grid = np.linspace(-60_000, 70_000, 4001)[:, None]
    density = np.exp(run.score_samples(grid, samples=300))
    assert np.trapezoid(density, grid[:, 0]) == pytest.approx(1.0, abs=0.05)


def test_more_draws_never_loosen_the_bound_on_average(table_run, table):
    X = read_numbers(table).values
    scores = [table_run.score_samples(X, samples=k).mean() for k in (1, 10, 100)]
    assert scores[0] <= scores[1] + 0.05
    assert scores[1] <= scores[2] + 0.05
    same(table_run.score_samples(X), table_run.score_samples(X, samples=table_run.recipe.evaluation.samples))


@pytest.mark.parametrize("samples", [0, -1])
def test_no_draws_at_all_are_refused(table_run, table, samples):
    with pytest.raises(VaekitError, match="samples must be at least 1"):
        table_run.score_samples(str(table), samples=samples)
    with pytest.raises(VaekitError, match="samples must be at least 1"):
        table_run.evaluate(samples=samples)


def test_the_seed_decides_the_samples(digits_run):
    first = digits_run.sample(20, seed=3)
    same(first, digits_run.sample(20, seed=3))
    assert (first != digits_run.sample(20, seed=4)).any()
    assert first.dtype == np.uint8
    assert first.shape == (20, 8, 8, 1)
    assert first.max() <= 16
    with pytest.raises(VaekitError, match="n must be at least 1"):
        digits_run.sample(0)


def test_levels_are_drawn_with_their_probabilities_not_the_likeliest_taken(digits_run):
    """A z-test for each of 17 levels over 800 pictures; |z| < 5 raises a false alarm once in 100,000 suites."""
    n, seed = 800, 11
    drawn = digits_run.sample(n, seed=seed)[..., 0]
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        p = digits_run.model.eval().decoder(digits_run.model.prior().sample((n,))).base_dist
        levels = [torch.full((8, 8, 1), float(level)) for level in range(17)]
        probabilities = torch.stack([p.log_prob(level).exp() for level in levels]).double().numpy()[..., 0]
    np.testing.assert_allclose(probabilities.sum(0), 1.0, atol=1e-4)
    for level in range(17):
        expected, variance = probabilities[level].sum(), (probabilities[level] * (1 - probabilities[level])).sum()
        assert abs((drawn == level).sum() - expected) / math.sqrt(variance) < 5
    likeliest = probabilities.argmax(0)
    assert 0.1 < (drawn == likeliest).mean() < 0.95


def test_categories_that_are_rare_are_sampled_too(binary_run):
    run, X = binary_run
    drawn = run.sample(4000)
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.1)
    assert 0.1 < drawn[:, 2].mean() < 0.3  # by argmax it would be nought


def test_the_mean_of_a_sample_is_no_draw(digits_run):
    mean = digits_run.sample(5, seed=2, mean=True)
    assert mean.dtype == np.float32
    assert (mean != mean.round()).mean() > 0.9
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(int(SeedStream.SAMPLE_CODES.rng(2, 0).integers(2**62)))  # the first tile
        wanted = digits_run.model.eval().decode(digits_run.model.prior().sample((128,))[:5]).numpy()
    np.testing.assert_allclose(mean, wanted, rtol=1e-5, atol=1e-6)


def test_samples_scatter_as_the_data_do(table_run, table):
    X, drawn = read_numbers(table).values, table_run.sample(4000)
    assert drawn.dtype == np.float64
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.5 * X.std(0).max())
    assert (np.abs(drawn.mean(0) - X.mean(0)) < 0.5 * X.std(0)).all()
    assert (drawn.std(0) > 0.4 * X.std(0)).all()
    assert (drawn.std(0) < 2.5 * X.std(0)).all()


def test_a_run_that_is_loaded_is_the_run_that_was_trained(digits_run, digits, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("reading a run must run no code")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    loaded = vaekit.load(digits_run.path)
    assert loaded.recipe == digits_run.recipe
    assert loaded.schema == digits_run.schema
    assert loaded.transform.model_dump() == digits_run.transform.model_dump()
    same(loaded.encode(digits), digits_run.encode(digits))
    same(loaded.reconstruct(digits), digits_run.reconstruct(digits))
    same(loaded.score_samples(digits), digits_run.score_samples(digits))
    same(loaded.sample(4), digits_run.sample(4))


def test_figures_are_those_of_the_held_out_rows(table_run):
    figures = table_run.evaluate(samples=20)
    assert figures.elbo == pytest.approx(-(figures.distortion + figures.rate), rel=1e-9)
    assert figures.rate == pytest.approx(figures.mutual_information + figures.marginal_kl, rel=1e-6)
    split = table_run.split()
    held_out = split.test.take(0, 10_000)
    assert figures.examples == len(held_out) == 12
    scores = table_run.score_samples(held_out, samples=20)
    assert figures.log_likelihood.value == pytest.approx(scores.mean(), abs=1e-4)
    error = scores.std(ddof=1) / math.sqrt(len(scores))
    assert figures.log_likelihood.standard_error == pytest.approx(error, rel=1e-4)
    assert figures.log_likelihood.value >= figures.elbo - 0.05
    again = table_run.evaluate(held_out, samples=20)
    assert again.elbo == pytest.approx(figures.elbo, abs=1e-5)


def test_the_baseline_is_probabilistic_pca_in_units_of_the_data(table_run):
    figures, split = table_run.evaluate(samples=2), table_run.split()
    train, test = (p.take(0, 10_000) for p in (split.train, split.test))
    mean, scale = train.mean(0), train.std(0)
    eigenvalues, vectors = np.linalg.eigh(np.cov(((train - mean) / scale).T, ddof=0))
    noise = eigenvalues[:2].mean()
    C = vectors[:, 2:] @ np.diag(eigenvalues[2:] - noise) @ vectors[:, 2:].T + noise * np.eye(4)
    y = (test - mean) / scale
    quadratic = np.einsum("ni,ij,nj->n", y, np.linalg.inv(C), y)
    log_p = -0.5 * (4 * math.log(2 * math.pi) + np.linalg.slogdet(C)[1] + quadratic) - np.log(scale).sum()
    assert figures.baselines.ppca == pytest.approx(log_p.mean(), abs=1e-3)
    assert ProbabilisticPCA is vaekit.ProbabilisticPCA


def test_bits_per_dimension_are_the_log_likelihood_in_another_unit(digits_run):
    figures = digits_run.evaluate(samples=3)
    assert figures.bits_per_dim == pytest.approx(-figures.log_likelihood.value / (64 * math.log(2)))


def test_the_test_rows_do_not_touch_the_training(tmp_path, table):
    """Other held-out rows, the same weights to the last bit."""
    X = read_numbers(table).values.copy()
    settings = {**SMALL, "training.epochs": 4, "latent_dim": 2}
    first = vaekit.train(X, settings=settings, out=tmp_path / "first")
    index = split_source(open_source(X), None, first.recipe.seed, first.recipe.data).test.index
    X[index] *= 50.0  # kinds and ranges of columns come from all rows, and stay
    second = vaekit.train(X, settings=settings, out=tmp_path / "second")
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[key]), key
    assert first.transform.model_dump() == second.transform.model_dump()
    assert first.folder.read_metrics() == second.folder.read_metrics()


def test_a_separate_test_source_is_brought_into_the_order_of_the_columns(tmp_path, table, write_csv):
    rows, names = read_numbers(table).values, ("length", "mass", "share", "heat")
    ordered = write_csv(tmp_path / "a.csv", rows[:30], names)
    other = write_csv(tmp_path / "b.csv", rows[:30][:, ::-1], names[::-1])
    settings = {**SMALL, "training.epochs": 2, "latent_dim": 2}
    figures = [
        vaekit.train(str(table), test=str(test), settings=settings, out=tmp_path / test.stem).evaluate(samples=2)
        for test in (ordered, other)
    ]
    assert figures[0].elbo == pytest.approx(figures[1].elbo)


def test_rows_may_come_in_any_form(table_run, table, tmp_path):
    X = read_numbers(table).values
    wanted = table_run.encode(X)
    np.save(tmp_path / "x.npy", X)
    same(table_run.encode(str(table)), wanted)
    same(table_run.encode(tmp_path / "x.npy"), wanted)
    same(table_run.encode(X.tolist()), wanted)
    same(table_run.encode(torch.from_numpy(X.copy())), wanted)
    with pytest.raises(DataError, match="shape"):
        table_run.encode(X[:, :3])


def test_a_run_on_an_array_asks_for_its_rows_once_it_was_loaded(binary_run):
    trained, X = binary_run
    assert trained.evaluate(samples=2).examples == trained.provenance["rows"]["test"]
    run = vaekit.load(trained.path)
    with pytest.raises(DataError, match="trained on an array or a data frame, which is not kept"):
        run.evaluate()
    figures = run.evaluate(X[:50], samples=4)
    assert figures.examples == 50
    assert figures.baselines == LinearBaselines()


def test_an_autoencoder_encodes_reconstructs_and_scores_by_its_error(tmp_path, digits):
    settings = {**SMALL, "training.epochs": 2, "latent_dim": 3}
    run = vaekit.train("digits", recipe="autoencoder", settings=settings, out=tmp_path / "run")
    loaded = vaekit.load(run.path)
    assert loaded.model.score_name == "negative_squared_error"
    y = loaded.reconstruct(digits)
    np.testing.assert_allclose(
        loaded.score_samples(digits), -(((digits / 16.0) - y / 16.0) ** 2).reshape(60, -1).sum(1), rtol=1e-3
    )
    figures = loaded.evaluate()
    assert "log-likelihood" not in str(figures)
    assert figures.reconstruction_error > 0
    same(run.sample(3), loaded.sample(3))


def test_a_warm_start_on_columns_in_another_order_can_be_measured_and_resumed(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 3)) @ np.diag([1.0, 10.0, 100.0])
    settings = SMALL | {"training.epochs": 2, "data.kind": "real", "training.validations": 4}
    for name, order in (("first", "abc"), ("second", "cab")):
        lines = [",".join(order), *(",".join(str(row["abc".index(c)]) for c in order) for row in rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    first = vaekit.train(tmp_path / "first.csv", settings=settings, out=tmp_path / "a")
    vaekit.train(tmp_path / "second.csv", settings=settings, out=tmp_path / "b", start=first)
    assert math.isfinite(vaekit.load(tmp_path / "b").evaluate().elbo)
    assert vaekit.train(resume=tmp_path / "b").recipe == vaekit.load(tmp_path / "b").recipe


def test_a_warm_start_that_ended_before_it_began_is_not_resumed_from_elsewhere(tmp_path):
    X = np.random.default_rng(0).normal(size=(100, 3))
    settings = SMALL | {"training.epochs": 1, "data.kind": "real"}

    class Stop(Reporter):
        def say(self, text):
            raise KeyboardInterrupt

    first = vaekit.train(X, settings=settings, out=tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        vaekit.train(X, settings=settings, out=tmp_path / "b", start=first, reporter=Stop())
    with pytest.raises(RunError, match=r"was interrupted before its first step\. Start it again from"):
        vaekit.train(X, resume=tmp_path / "b")


def test_an_autoencoder_knows_the_step_of_its_weights(tmp_path):
    run = vaekit.train("digits", recipe="autoencoder", settings=SMALL | {"training.epochs": 2}, out=tmp_path / "a")
    noted = run.folder.read_tensors("weights.safetensors")[1]
    assert int(noted["step"]) in {row["step"] for row in run.folder.read_metrics()}


@pytest.mark.parametrize(
    ("choice", "settings", "accepted"),
    [
        ({}, {"prior.name": "flow"}, True),
        ({"prior": "flow"}, {"prior.name": "flow"}, False),  # in place
        ({"prior": "flow"}, {"objective.name": "free_bits"}, False),  # refused
        ({"layers": [3, 2]}, {"latent_dim": 10}, False),
        ({"posterior": "full_covariance"}, {"objective.name": "dreg", "objective.samples": 8}, True),
        ({"posterior": "flow"}, {"objective.name": "dreg", "objective.samples": 8}, False),
    ],
)
def test_a_run_tells_what_it_could_be_trained_with(tmp_path, tiny, choice, settings, accepted):
    run = vaekit.train("digits", settings={**tiny, "training.epochs": 1, **choice}, out=tmp_path / "run")
    assert run.accepts(Remedy("something", settings)) == accepted


@pytest.mark.parametrize(
    ("choice", "offered"),
    [
        ({}, "training.kl_warmup"),
        ({"training.kl_warmup": 0.5}, "free_bits"),  # in place: not shortened
        ({"training.kl_warmup": 0.5, "objective": "free_bits"}, "dreg"),
        ({"training.kl_warmup": 0.5, "objective": "dreg", "objective.samples": 8}, "flow"),
        ({"training.kl_warmup": 0.5, "objective": "iwae", "objective.samples": 50}, "flow"),  # not fewer draws
        ({"training.kl_warmup": 0.5, "objective": "iwae", "prior": "spline_flow"}, None),
    ],
)
@pytest.mark.parametrize("active", [0, 1])
def test_remedy_upon_remedy_never_goes_back(tmp_path, tiny, choice, offered, active):
    settings = {**tiny, "latent_dim": 8, "training.epochs": 1, "objective.samples": 8, **choice}
    settings["training.validations"] = 2  # too few to tell whether training is finished
    if choice.get("objective") in (None, "free_bits"):
        del settings["objective.samples"]
    run = vaekit.train("digits", settings=settings, out=tmp_path / "run")
    figures = replace(run.evaluate(samples=2), active_units=active)
    first = diagnose(figures, run.accepts)[0].remedies[0]
    if offered is None:
        assert first.settings.keys() <= {"latent_dim"}
    else:
        assert offered in str(first)
