"""Every bundled recipe trains, keeps its word about bounds, and gives what it is for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import vaekit
from vaekit.recipe import load_recipe, recipe_names

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
}


def data_for(name):
    """Data of the kind that a recipe is for."""
    rng = np.random.default_rng(0)
    if name in ("table", "not-miwae"):
        numbers = rng.normal(size=300)
        return pa.table({"a": np.where(numbers > 1, np.nan, numbers), "b": rng.choice(["x", "y"], 300)})
    if name in ("linear", "sigma-vae", "variance-vae", "student-t-vae"):
        return rng.normal(size=(300, 3)) @ rng.normal(size=(3, 6))
    if name == "count-vae":
        return rng.poisson(3, size=(300, 6))
    return "digits"


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_trains_and_says_whether_its_loss_is_a_bound(tmp_path, name):
    said = []

    class Listener(vaekit.training.SilentReporter):
        def say(self, text):
            said.append(text)

    recipe = load_recipe(name)
    size = {"layers": [3, 2], "latent_dim": "auto"} if recipe.layers else {}
    run = vaekit.train(data_for(name), recipe=name, settings=SHORT | size, out=tmp_path / "run", reporter=Listener())
    warned = any("no bound of log p(x)" in text for text in said)
    assert warned == (recipe.model == "vae" and not recipe.trains_bound)
    given = {column.name: column.categories[0] for column in run.schema.given}
    assert len(run.sample(4, given=given)) == 4
    if recipe.model == "vae" and name != "linear":  # which keeps no rows for validation
        assert np.isfinite(run.folder.read_metrics()[-1]["elbo"])
