"""What defines a run cannot be changed under its weights, even where the weights would still fit."""

from __future__ import annotations

import json
import shutil
import tomllib

import pytest
import tomli_w

import vaekit
from builders import without_digests
from vaekit.errors import RunError
from vaekit.runs.load import digest_recipe


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "seed", 1),  # other rows would be held out
        ("data", "validation", 0.2),
        ("likelihood", "components", 3),
        ("encoder", "activation", "relu"),
        ("decoder", "activation", "relu"),
        ("prior", "components", 50),
        ("posterior", "context", 7),
    ],
)
def test_a_recipe_changed_in_what_defines_the_run_is_refused(table_run, tmp_path, section, key, value):
    path = tmp_path / "run"
    shutil.copytree(table_run.path, path)
    recipe = tomllib.loads((path / "recipe.toml").read_text(encoding="utf-8"))
    without_digests(path)
    provenance = json.loads((path / "provenance.json").read_text())
    (path / "provenance.json").write_text(json.dumps(provenance | {"defined_by": digest_recipe(recipe)}))
    assert vaekit.load(path).recipe == table_run.recipe  # a run of before digests tells so itself
    place = recipe[section] if section else recipe
    assert place[key] != value
    place[key] = value
    (path / "recipe.toml").write_text(tomli_w.dumps(recipe), encoding="utf-8")
    with pytest.raises(RunError, match=r"recipe.toml was changed in a part that defines the model"):
        vaekit.load(path)


def test_any_change_of_a_recipe_is_told_by_its_digest(table_run, tmp_path):
    shutil.copytree(table_run.path, tmp_path / "run")
    path = tmp_path / "run" / "recipe.toml"
    path.write_text(path.read_text().replace("validations = ", "validations = 1"), encoding="utf-8")
    with pytest.raises(RunError, match=r"recipe.toml' is damaged, or was changed .*train a new run with `recipe="):
        vaekit.load(tmp_path / "run")
