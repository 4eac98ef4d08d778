import re
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from vaekit.errors import RecipeError, did_you_mean
from vaekit.recipe import Recipe, load_recipe, recipe_names


def test_the_bundled_recipes():
    assert len(recipe_names()) >= 25
    for name in recipe_names():
        recipe = load_recipe(name)
        assert len(recipe.description) > 20
        assert re.search(r"[A-Z]\w+ .*\d{4}", recipe.reference)


def test_which_recipes_train_no_bound():
    assert {name for name in recipe_names() if not load_recipe(name).trains_bound} == {
        "autoencoder",
        "beta-tc-vae",
        "capacity-vae",
        "factor-vae",
        "info-vae",
        "wae",
    }
    assert not load_recipe("auto", ["objective.kl_weight=0.5"]).trains_bound
    assert load_recipe("auto", ["objective.kl_weight=2"]).trains_bound  # a looser one
    assert not load_recipe("iwae", ["objective.kl_weight=2"]).trains_bound
    assert not load_recipe("renyi", ["objective.alpha=-1"]).trains_bound


def test_what_the_bundled_recipes_choose():
    digits, mnist, linear = load_recipe("digits"), load_recipe("mnist"), load_recipe("linear")
    assert (digits.latent_dim, digits.likelihood.name, digits.training.epochs) == (16, "discretized_logistic", 150)
    assert (mnist.latent_dim, mnist.likelihood.name, mnist.data.binarize) == (40, "bernoulli", "dynamic")
    assert (linear.encoder.name, linear.decoder.name, linear.likelihood.variance) == (
        "linear",
        "linear",
        "learned",
    )
    assert load_recipe("autoencoder").model.name == "autoencoder"


def test_an_absent_key_has_its_default():
    assert load_recipe("auto") == Recipe(
        description=load_recipe("auto").description, reference="Kingma and Welling 2014"
    )
    assert load_recipe({}) == Recipe()


def test_settings_as_texts_and_as_a_mapping_are_the_same():
    texts = ["latent_dim=3", "encoder.hidden=[8, 4]", "training.learning_rate=1e-2", "training.compile=true"]
    mapping = {
        "latent_dim": 3,
        "encoder.hidden": [8, 4],
        "training.learning_rate": 0.01,
        "training.compile": True,
    }
    first, second = load_recipe("digits", texts), load_recipe("digits", mapping)
    assert first == second
    assert (first.latent_dim, first.encoder.hidden) == (3, (8, 4))
    assert (first.training.learning_rate, first.training.compile) == (0.01, True)
    assert first.decoder.hidden == (256, 256)  # what was not named stays


def test_sections_in_a_mapping_are_the_same_as_dotted_keys():
    nested = {
        "prior": {"components": 7, "name": "mixture"},
        "training": {"epochs": 3},
        "data": {"columns": {"a.b": "count"}},
    }
    dotted = {"prior": "mixture", "prior.components": 7, "training.epochs": 3, "data.columns.a.b": "count"}
    assert load_recipe("auto", nested) == load_recipe("auto", dotted)
    with pytest.raises(RecipeError, match=r"There is no key 'training\.epoch'\. Did you mean 'training\.epochs'"):
        load_recipe("auto", {"training": {"epoch": 3}})
    with pytest.raises(RecipeError, match="There is no key 'trainnig'"):
        load_recipe("auto", {"trainnig": {}})
    cleared = load_recipe({"data": {"columns": {"a": "count"}}}, {"data.columns": {}})
    assert cleared.data.columns == {}


def test_the_last_setting_counts_and_spaces_do_not():
    assert load_recipe("digits", ["latent_dim=3", " latent_dim = 5 "]).latent_dim == 5


def test_text_needs_no_quotes():
    assert load_recipe("auto", ["likelihood.name=laplace"]).likelihood.name == "laplace"
    assert load_recipe("auto", ['likelihood.name="laplace"']).likelihood.name == "laplace"
    assert load_recipe("auto", ["data.size=28x32"]).data.height_width == (28, 32)
    assert load_recipe("auto").data.height_width is None


def test_a_section_alone_sets_its_choice():
    recipe = load_recipe("auto", ["likelihood=gaussian", "encoder=linear", "decoder=mlp", "objective=elbo"])
    assert recipe.likelihood.name == "gaussian"
    assert (recipe.encoder.name, recipe.decoder.name) == ("linear", "mlp")
    assert recipe.objective.name == "elbo"


def test_auto_can_be_asked_for():
    recipe = load_recipe("digits", ["latent_dim=auto", "training.epochs=auto", "likelihood=auto"])
    assert (recipe.latent_dim, recipe.training.epochs, recipe.likelihood.name) == ("auto", "auto", "auto")


def test_the_seed_beside_the_recipe_replaces_its_own():
    assert load_recipe("digits", ["seed=4"]).seed == 4
    assert load_recipe("digits", ["seed=4"], seed=9).seed == 9
    assert load_recipe("digits", ["seed=4"], seed=0).seed == 0


def test_files_mappings_and_recipes(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("latent_dim = 3\n[training]\nepochs = 7\n[likelihood]\nvariance = 0.5\n", encoding="utf-8")
    for form in (path, str(path), tomllib.loads(path.read_text()), load_recipe(path)):
        recipe = load_recipe(form, ["training.batch_size=9"])
        assert (recipe.latent_dim, recipe.training.epochs, recipe.training.batch_size) == (3, 7, 9)
        assert recipe.likelihood.variance == 0.5


def test_settings_do_not_write_into_what_was_given():
    given = {"training": {"epochs": 5}}
    load_recipe(given, ["training.epochs=6"], seed=3)
    assert given == {"training": {"epochs": 5}}


@given(
    latent_dim=st.integers(1, 500) | st.just("auto"),
    hidden=st.lists(st.integers(1, 999), max_size=4),
    variance=st.floats(1e-6, 1e6) | st.sampled_from(["learned", "per_feature", "predicted"]),
    rate=st.floats(1e-9, 10),
)
def test_a_recipe_written_as_toml_and_read_again_is_the_same(latent_dim, hidden, variance, rate):
    content = {"encoder": {"hidden": hidden}, "likelihood": {"variance": variance}, "training": {"learning_rate": rate}}
    if latent_dim != "auto":
        content["latent_dim"] = latent_dim
    recipe = load_recipe(content)
    text = tomli_w.dumps(recipe.as_json())
    assert load_recipe(tomllib.loads(text)) == recipe


def test_a_recipe_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_recipe("auto").latent_dim = 4


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("latent_dims=3", "There is no key 'latent_dims'. Did you mean 'latent_dim'?"),
        ("kl_weight=3", "There is no key 'kl_weight'. Did you mean 'objective.kl_weight'?"),
        ("training.epoch=3", "Did you mean 'training.epochs'?"),
        ("qqqq=3", "Choose from: "),
        ("latent_dim=0", "'latent_dim' must be greater than 0, or 'auto'. Got 0 instead."),
        ("latent_dim=-1", "'latent_dim' must be greater than 0, or 'auto'. Got -1 instead."),
        ("latent_dim=2.5", "'latent_dim' must be"),
        ("latent_dim=few", "'latent_dim' must be"),
        ("training.epochs=0", "'training.epochs' must be greater than 0, or 'auto'. Got 0 instead."),
        ("training.batch_size=0", "'training.batch_size' must be"),
        ("training.learning_rate=0", "'training.learning_rate' must be greater than 0"),
        ("training.learning_rate=nan", "'training.learning_rate' must be"),
        ("training.kl_warmup=1", "'training.kl_warmup' must be less than 1"),
        (
            "training.precision=half",
            "'training.precision' must be 'auto', 'float32' or 'bfloat16'. Got 'half' instead.",
        ),
        ("training.trackers=['excel']", "'training.trackers' must be"),
        ("objective.samples=0", "'objective.samples' must be"),
        ("objective.kl_weight=-0.1", "'objective.kl_weight' must be"),
        ("objective.kl_weight=inf", "'objective.kl_weight' must be a finite number"),
        ("data.test=-0.1", "'data.test' must be greater than or equal to 0"),
        ("data.test=1", "'data.test' must be less than 1"),
        ("data.validation=1", "'data.validation' must be less than 1"),
        ("data.binarize=maybe", "'data.binarize' must be"),
        ("data.size=28", "'data.size' must"),
        ("data.size=28x0", "'data.size' must"),
        ("encoder.hidden=[8, 0]", "'encoder.hidden' must be greater than or equal to 1. Got 0 instead."),
        ("encoder.hidden=8", "'encoder.hidden' must be"),
        ("encoder.channels=[]", "'encoder.channels' must be a list of one number or more. Got [] instead."),
        ("layers=4", "'layers' must be a list, as in [64, 32]. Got 4 instead."),
        ("data.rules='a <= b'", "'data.rules' must be a list, as in [\"a <= b\"]. Got 'a <= b' instead."),
        ("posterior.hidden=[-5]", "'posterior.hidden' must be greater than or equal to 1. Got -5 instead."),
        ("posterior.hidden=[0]", "'posterior.hidden' must be greater than or equal to 1. Got 0 instead."),
        ("encoder=big", "There is no encoder 'big'. Choose from: "),
        ("likelihood.variance=0", "'likelihood.variance' must be greater than 0"),
        ("likelihood.variance=big", "'likelihood.variance' must be"),
        ("prior=cauchy", "There is no prior 'cauchy'. Choose from: auto, autoregressive_flow"),
        ("model=gan", "There is no model 'gan'. Choose from: auto, autoencoder, vae"),
        ("seed=-1", "'seed' must be"),
        ("evaluation.samples=0", "'evaluation.samples' must be"),
        ("latent_dim", "must have the form key=value. Got 'latent_dim' instead."),
    ],
)
def test_every_mistake_is_named(setting, words):
    with pytest.raises(RecipeError) as error:
        load_recipe("auto", [setting])
    assert words in str(error.value)


def test_several_mistakes_are_told_at_once():
    with pytest.raises(RecipeError) as error:
        load_recipe("auto", ["trainig.epochs=3", "latent_dims=2", "training.batch_size=0", "data.test=2"])
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    for word in ("'training.epochs'?", "'latent_dim'?", "'training.batch_size' must", "'data.test' must"):
        assert sum(word in line for line in lines) == 1


def test_mistakes_in_a_file_are_named_too(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("latent_dims = 3\n[training]\nepoch = 7\n[encoder]\nhidden = [0]\n", encoding="utf-8")
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    for word in (
        "There is no key 'latent_dims'. Did you mean 'latent_dim'?",
        "Did you mean 'training.epochs'?",
        "encoder.hidden",
    ):
        assert word in str(error.value)


def test_a_file_that_is_no_toml_a_name_that_is_unknown(tmp_path):
    path = tmp_path / "mine.toml"
    with pytest.raises(RecipeError, match=r"The recipe '.*mine\.toml' cannot be read"):
        load_recipe(path)
    path.write_text("latent_dim = \n", encoding="utf-8")
    with pytest.raises(RecipeError, match="line 1"):
        load_recipe(path)
    with pytest.raises(RecipeError, match=r"Got 'digts' instead. Did you mean 'digits'\?"):
        load_recipe("digts")


def test_a_section_that_is_no_section_is_an_error_in_words():
    with pytest.raises(RecipeError, match="encoder"):
        load_recipe({"encoder": 3})
    with pytest.raises(RecipeError, match="encoder"):
        load_recipe({"encoder": 3}, ["encoder.hidden=[4]"])


def test_the_nearest_word_or_all_of_them():
    assert did_you_mean("hiden", ["encoder.hidden", "seed"]) == "Did you mean 'encoder.hidden'?"
    assert did_you_mean("zzz", ["b", "a"]) == "Choose from: a, b"
