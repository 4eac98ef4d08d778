"""Runs on folders of pictures as people have them: parts, pages, depths and colours, from the file to the score and back."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaekit
from vaekit.cli.outputs import write_rows
from vaekit.errors import DataError

SMALL = {"training.epochs": 1, "encoder.hidden": [16], "decoder.hidden": [16], "latent_dim": 2, "evaluation.samples": 4}
RNG = np.random.default_rng(0)


def train(source, out="run", **settings):
    return vaekit.train(source, settings=SMALL | settings, out=out)


def save(place, values):
    place.mkdir(parents=True, exist_ok=True)
    for i, v in enumerate(values):
        Image.fromarray(v).save(place / f"{i:02d}.png")


def greys(n, size=6):
    return RNG.integers(0, 256, (n, size, size)).astype(np.uint8)


def test_parts_are_the_same_when_a_run_is_opened_again(workplace):
    parts = {"train": greys(20), "val": greys(5), "test": greys(4)}
    for name, values in parts.items():
        save(workplace / "set" / name / "cat", values[::2])
        save(workplace / "set" / name / "dog", values[1::2])
    run = train("set")
    assert run.provenance["rows"] == {"train": 20, "validation": 5, "test": 4}
    assert "The 5 validation pictures are used to choose the best weights." in run.provenance["choices"]
    again = vaekit.load("run")
    split = again.split()
    np.testing.assert_array_equal(
        split.validation.take(0, 5)[..., 0], np.concatenate([parts["val"][::2], parts["val"][1::2]])
    )
    assert again.evaluate().elbo == run.evaluate().elbo
    assert again.evaluate("set/test").elbo == pytest.approx(run.evaluate().elbo, rel=1e-6)
    resumed = vaekit.train(resume="run")
    np.testing.assert_array_equal(resumed.score_samples("set/val"), run.score_samples("set/val"))


def test_grey_pictures_in_a_colour_run_score_as_among_colours(workplace):
    values = greys(24)
    save(workplace / "grey", values[:3])
    save(workplace / "mixed", values)
    Image.fromarray(values[0]).convert("RGB").save("mixed/00.png")
    run = train("mixed")
    assert run.schema.shape == (6, 6, 3)
    among = run.score_samples("mixed")[:3]
    for alone in ("grey", values[:3], values[:3, ..., None], [Image.fromarray(v) for v in values[:3]]):
        np.testing.assert_allclose(run.score_samples(alone), among, rtol=1e-5)
    np.testing.assert_allclose(run.encode("grey/01.png"), run.encode("mixed")[1:2], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="Drop the fourth channel"):
        run.score_samples(np.zeros((2, 6, 6, 4), np.uint8))
    (workplace / "both" / "train").mkdir(parents=True)
    for i, v in enumerate(values):
        Image.fromarray(v).convert("RGB").save(f"both/train/{i:02d}.png")
    save(workplace / "both" / "test", values[:3])
    assert train("both", "both-run").evaluate().examples == 3


def test_sixteen_bits_go_in_and_come_out(workplace):
    values = RNG.integers(900, 3000, (24, 6, 6)).astype(np.uint16)
    save(workplace / "deep", values)
    run = train("deep")
    assert (run.schema.levels, run.schema.dtype, run.recipe.likelihood.name) == (4096, "uint16", "discretized_logistic")
    np.testing.assert_array_equal(run.score_samples("deep"), run.score_samples(values))
    drawn = run.sample(5)
    assert drawn.dtype == np.uint16
    assert 900 < np.median(drawn) < 3000
    assert np.isfinite(run.reconstruct("deep")).all()
    save(workplace / "flat", greys(3))
    with pytest.raises(DataError, match="must have 16 bits"):
        run.score_samples("flat")
    with pytest.raises(DataError, match=r"integers from 0 to 4095, as in training\. Got 5000"):
        run.score_samples(np.full((1, 6, 6), 5000, np.uint16))


def test_black_and_white_is_binary_whatever_its_files_are(workplace):
    bits = RNG.random((24, 6, 6)) < 0.3
    save(workplace / "bits", bits)
    save(workplace / "bytes", (bits * 255).astype(np.uint8))
    run = train("bits")
    assert (run.schema.kind, run.recipe.likelihood.name) == ("binary", "bernoulli")
    np.testing.assert_array_equal(run.score_samples("bits"), run.score_samples("bytes"))
    grey = train("bytes", "grey")
    assert any(
        note.startswith("All values are 0 or 255. With data.binarize=threshold") for note in grey.provenance["choices"]
    )
    np.testing.assert_array_equal(grey.score_samples("bits"), grey.score_samples("bytes"))
    told = train("bytes", "told", **{"data.binarize": "threshold"})
    assert told.recipe.likelihood.name == "bernoulli"
    assert set(np.unique(told.sample(9))) == {0, 255}


def test_a_density_of_bytes_is_allowed_with_a_word(workplace):
    scaled = (greys(24) / 256).astype(np.float16)
    with pytest.raises(DataError, match="bytes divided by 256"):
        train(scaled)
    run = train(scaled, **{"data.kind": "real"})
    assert "The values look like bytes divided by 256." in run.provenance["choices"][0]


def test_axes_that_could_be_read_otherwise_are_said(workplace):
    run = train(RNG.integers(0, 256, (24, 2, 6, 6)).astype(np.uint8))
    assert run.schema.shape == (6, 6, 2)
    assert run.provenance["choices"][0].startswith("The shape (24, 2, 6, 6) was read as channels first")


@pytest.mark.parametrize("dtype", [float, int])
def test_masked_cells_are_missing_in_every_verb(workplace, dtype):
    X = RNG.normal(50, 9, (80, 3)).astype(dtype)
    hidden = RNG.random(X.shape) < 0.2
    masked, missing = np.ma.masked_array(np.where(hidden, -9999, X), hidden), np.where(hidden, np.nan, X)
    run = train(masked)
    assert all(column.kind != "ordinal" and "-9999" not in column.reason for column in run.schema.table)
    for verb in (run.score_samples, run.encode, run.reconstruct, run.impute):
        np.testing.assert_array_equal(verb(masked), verb(missing))
    filled = run.impute(masked)
    assert type(filled) is np.ndarray
    np.testing.assert_array_equal(filled[~hidden], X[~hidden])
    assert (filled[hidden] > 0).all()


def test_a_masked_pixel_is_refused_as_a_missing_one_is(workplace):
    values = greys(24)
    hidden = np.zeros(values.shape, bool)
    hidden[3, 1, 2] = True
    with pytest.raises(DataError, match=r"every value must be a finite number.*nan in row 3, pixel \(1, 2\)"):
        train(np.ma.masked_array(values, hidden))


@pytest.mark.parametrize(("dtype", "greatest"), [(np.uint16, 3000), (np.uint8, 255), (bool, 1)])
def test_what_is_written_is_read_back_as_it_was_drawn(workplace, dtype, greatest):
    save(workplace / "set", RNG.integers(0, greatest + 1, (24, 6, 6)).astype(dtype))
    run = train("set")
    drawn = run.sample(8)
    write_rows(Path("drawn"), drawn, run.schema, "x")
    np.testing.assert_array_equal(run.rows("drawn").part.values, drawn)
