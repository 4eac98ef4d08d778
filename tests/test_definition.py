"""What defines a run cannot be changed under its weights, even where the weights would still fit."""

from __future__ import annotations

import shutil
import tomllib

import pytest
import tomli_w

import vaekit
from vaekit.errors import RunError


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
    shutil.copytree(table_run.path, tmp_path / "run")
    path = tmp_path / "run" / "recipe.toml"
    recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    place = recipe[section] if section else recipe
    assert place[key] != value
    place[key] = value
    path.write_text(tomli_w.dumps(recipe), encoding="utf-8")
    with pytest.raises(RunError, match="as training wrote them"):
        vaekit.load(tmp_path / "run")
