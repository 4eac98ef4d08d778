"""Every bundled recipe trains, keeps its word about bounds, and gives what it is for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vaekit
from vaekit.recipe import load_recipe, recipe_names
from vaekit.report import canvas, write_report

SHORT = {
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "encoder.channels": [4],
    "decoder.channels": [4],
    "latent_dim": 3,
    "posterior.hidden": [8],
    "prior.components": 10,
    "prior.hidden": [8],
    "training.epochs": 1,
    "training.validations": 1,
    "training.batch_size": 100,
    "evaluation.samples": 2,
}


def short_for(recipe):
    """The settings of SHORT that the parts of a recipe have."""

    def has(key):
        section, _, option = key.rpartition(".")
        options = getattr(recipe, section or "training")
        if getattr(options, "name", "") == "auto":
            return key in ("encoder.hidden", "decoder.hidden")  # these data are given MLPs
        return not section or option in type(options).model_fields

    return {key: value for key, value in SHORT.items() if has(key)}


def data_for(name, folder):
    """A file of data of the kind that a recipe is for."""
    rng = np.random.default_rng(0)
    if load_recipe(name).data.kind == "mixed":
        numbers = rng.normal(size=300)
        table = pa.table({"a": np.where(numbers > 1, np.nan, numbers), "b": rng.choice(["x", "y"], 300)})
        pq.write_table(table, folder / "x.parquet")
        return folder / "x.parquet"
    if name in ("linear", "sigma-vae", "variance-vae", "student-t-vae"):
        np.save(folder / "x.npy", rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6)))
    elif name == "count-vae":
        np.save(folder / "x.npy", rng.poisson(3, size=(300, 6)))
    else:
        return "digits"
    return folder / "x.npy"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains_is_measured_and_reported_and_says_whether_its_loss_is_a_bound(tmp_path, monkeypatch, name):
    monkeypatch.setattr(
        canvas, "to_svg", lambda _figure, described: described
    )  # drawing takes longer than all the rest
    said = []

    class Listener(vaekit.reporters.Reporter):
        def say(self, text):
            said.append(text)

    recipe = load_recipe(name)
    size = {"layers": [3, 2], "latent_dim": "auto"} if recipe.layers else {}
    run = vaekit.train(
        data_for(name, tmp_path),
        recipe=name,
        settings=short_for(recipe) | size,
        out=tmp_path / "run",
        reporter=Listener(),
    )
    warned = any("not a bound on log p(x)" in text for text in said)
    assert warned == (recipe.has_likelihood and not recipe.trains_bound)
    given = {column.name: column.categories[0] for column in run.schema.context}
    assert len(run.sample(4, given=given)) == 4
    if recipe.has_likelihood and name not in ("linear", "outliers"):  # which keep no rows for validation
        assert np.isfinite(run.folder.read_metrics()[-1]["elbo"])
    figures = run.evaluate()
    assert figures.examples == run.provenance["rows"]["test"]
    assert figures.rows()
    page = write_report(vaekit.load(run.path)).read_text(encoding="utf-8")
    assert ("Reconstruction error" if recipe.model.name == "autoencoder" else "ELBO on training rows") in page
    assert ("β in training" in page) == (recipe.effective_beta not in (None, 1))


def test_the_list_of_recipes_says_once_of_each_loss_that_it_is_no_bound(call):
    words = " ".join(call("recipes").out.split())
    assert words.count("not a bound") == sum(not load_recipe(name).trains_bound for name in recipe_names())
