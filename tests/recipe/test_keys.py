from vaekit.models import Likelihood
from vaekit.recipe import Recipe, describe_keys, load_recipe
from vaekit.recipe.recipe import SECTIONS, recipe_keys


def test_every_key_is_described_with_its_default_and_a_sentence():
    rows = {key: (default, values, text) for key, default, values, text in describe_keys()}
    assert set(rows) == set(recipe_keys())
    for key, (_, values, text) in rows.items():
        assert values, key
        assert text.endswith("."), key
        assert text[0].isupper(), key
    assert rows["latent_dim"][:2] == ("auto", "whole number or auto")
    assert rows["training.batch_size"][0] == "auto"
    assert rows["encoder.hidden"][0] == "[512, 512]"
    assert rows["training.compile"][1] == "true or false or auto"
    assert rows["likelihood.variance"][1] == "number or learned, per_feature, predicted"
    assert rows["data.columns"][1].startswith("for each name: real, positive, bounded, ")
    assert rows["data.columns"][1].endswith(" or ignore")
    assert rows["training.trackers"][1] == "a list"
    assert rows["data.binarize"][1] == "auto, none, dynamic, fixed, threshold"


def test_every_likelihood_is_listed():
    (values,) = (values for key, _, values, _ in describe_keys() if key == "likelihood.name")
    assert values.split(", ") == ["auto", *sorted(Likelihood.known)]


def test_the_keys_are_those_of_a_whole_recipe():
    def flat(content, before=""):
        for key, value in content.items():
            if isinstance(value, dict) and key != "columns":
                yield from flat(value, f"{before}{key}.")
            else:
                yield f"{before}{key}"

    keys = list(recipe_keys())
    assert set(flat(Recipe().model_dump())) <= set(keys)
    for section, choice in SECTIONS.items():  # in which each part has its own
        for part in choice.kind.known.values():
            assert {f"{section}.{key}" for key in part.Options.model_fields} <= set(keys)
    assert keys.index("prior.name") < keys.index("prior.components") < keys.index("objective.name")


def test_each_default_may_be_set_to_itself():
    """What `--keys` prints as the default can be given back."""
    for key, default, _, _ in describe_keys():
        if key not in ("latent_dim", "training.epochs", "description"):  # asked for in the tests of the recipe
            section, _, name = key.rpartition(".")
            owners = (
                [n for n, p in SECTIONS[section].kind.known.items() if name in p.Options.model_fields]
                if section in SECTIONS
                else []
            )
            chosen = [f"{section}={owners[0]}"] if owners and name != "name" else []
            setting = f"{key}={default.lower() if default in ('True', 'False') else default}"
            assert load_recipe("auto", [*chosen, setting]), key
