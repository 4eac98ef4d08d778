"""Push runs to a stand-in for the Hub, load them from there, and refuse what should not be read or written."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

import vaekit
from hub_stand_in import READER, WRITER, Repository, StandIn
from vaekit.errors import RunError
from vaekit.folder import CARD, MANIFEST, SHARED, WEIGHTS

NAME = "ada/digits"
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the library's own upload


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The stand-in, an empty cache, and a token that may write."""
    with StandIn() as stand_in:
        _set_endpoint(monkeypatch, stand_in.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", WRITER)
        yield stand_in


@pytest.fixture
def pushed(hub, digits_run):
    """The stand-in, with a run that was pushed as `ada/digits`."""
    digits_run.push_to_hub(NAME)
    return hub


def test_a_run_goes_to_the_hub_and_comes_back(hub, digits_run):
    record = digits_run.push_to_hub(NAME, license="apache-2.0")
    address, _, commit = record.folder.partition("@")
    assert address == f"hf://{NAME}"
    assert hub.repositories[NAME].private
    assert set(hub.files(NAME)) == set(record.files)
    assert hub.files(NAME)[WEIGHTS] == (digits_run.path / WEIGHTS).read_bytes()
    run = vaekit.load(record.folder)
    X = digits_run.sample(20, seed=3)
    np.testing.assert_array_equal(run.score_samples(X), digits_run.score_samples(X))
    assert run.path.name == commit
    assert run.folder.name == NAME
    card = hub.files(NAME)[CARD].decode()
    assert f'vaekit.load("hf://{NAME}")' in card
    assert '\nlicense: "apache-2.0"\n' in card


def test_a_branch_is_another_version(hub, digits_run, tmp_path):
    digits_run.push_to_hub(NAME)
    small = {"training.epochs": 1, "training.validations": 1, "encoder.hidden": [8], "decoder.hidden": [8]}
    other = vaekit.train("digits", settings=small | {"latent_dim": 2, "evaluation.samples": 2}, out=tmp_path / "other")
    other.push_to_hub(NAME, revision="small")
    assert vaekit.load(f"hf://{NAME}").recipe.latent_dim == 4
    assert vaekit.load(f"hf://{NAME}@small").recipe.latent_dim == 2
    assert vaekit.load(Path(f"hf://{NAME}@small")).recipe.latent_dim == 2  # the command line makes a Path of it


def test_a_second_push_replaces_the_files(pushed, digits_run):
    first = pushed.repositories[NAME].branches["main"]
    pushed.files(NAME)["intervals.json"] = b"of an earlier run"
    pushed.files(NAME)["LICENSE"] = b"mine"
    digits_run.push_to_hub(NAME)
    assert pushed.repositories[NAME].branches["main"] != first
    assert "intervals.json" not in pushed.files(NAME)
    assert pushed.files(NAME)["LICENSE"] == b"mine"


def test_only_files_of_a_run_are_downloaded(pushed):
    extra = {
        "model.py": b"raise SystemExit",
        "weights.pkl": b"\x80\x04.",
        "state/latest.safetensors": b"",
        "rows.safetensors": b"x",
    }
    pushed.files(NAME).update(extra | {"../escape": b"x"})
    pushed.requests.clear()
    run = vaekit.load(f"hf://{NAME}")
    asked = {path.rpartition("/")[2] for path in pushed.paths() if "/resolve/" in path}
    assert asked <= {*SHARED, MANIFEST}
    assert run.known is None
    assert not any(name in os.listdir(run.path) for name in ("model.py", "weights.pkl", CARD))


def test_what_others_put_into_the_cache_is_not_read(pushed):
    run = vaekit.load(f"hf://{NAME}")
    (run.path / "rows.safetensors").write_bytes(b"damaged")
    (run.path / "outliers.safetensors").symlink_to("/etc/passwd")
    assert vaekit.load(f"hf://{NAME}").known is None


@pytest.mark.parametrize("name", ["model.py", "../escape", "state/latest.safetensors", "weights.pkl", "/etc/passwd"])
def test_a_manifest_that_names_another_file_is_refused(pushed, name):
    from vaekit.folder.digests import seal_text

    files = json.loads(pushed.files(NAME)[MANIFEST])["files"] | {name: "0" * 64}
    pushed.files(NAME)[MANIFEST] = seal_text(json.dumps({"files": files}, indent=2), ".json").encode()
    pushed.requests.clear()
    with pytest.raises(RunError, match=rf"names '{re.escape(name)}', which is not a file of a shared run"):
        vaekit.load(f"hf://{NAME}")
    assert not any(path.endswith(name) for path in pushed.paths())


@pytest.mark.parametrize("name", [WEIGHTS, "schema.json", "metrics.csv"])
def test_a_file_that_was_changed_is_named(pushed, name):
    content = bytearray(pushed.files(NAME)[name])
    content[-3] ^= 1
    pushed.files(NAME)[name] = bytes(content)
    with pytest.raises(RunError, match=rf"{re.escape(name)}' is not the file that was shared: its SHA-256 differs"):
        vaekit.load(f"hf://{NAME}")


def test_weights_that_were_exchanged_with_their_own_digest_are_named(pushed, digits_run, tmp_path):
    run = vaekit.load(digits_run.path)
    next(run.model.parameters()).data.add_(1)
    run.save(tmp_path / "changed")
    pushed.files(NAME)[WEIGHTS] = (tmp_path / "changed" / WEIGHTS).read_bytes()
    with pytest.raises(RunError, match=rf"{WEIGHTS}' is not the file that was shared"):
        vaekit.load(f"hf://{NAME}")


def test_a_file_that_is_gone_is_refused(pushed):
    del pushed.files(NAME)[WEIGHTS]
    with pytest.raises(RunError, match="is not a complete run that vaekit shared"):
        vaekit.load(f"hf://{NAME}")


def test_a_version_in_the_cache_needs_no_connection(pushed, monkeypatch):
    commit = pushed.repositories[NAME].branches["main"]
    first = vaekit.load(f"hf://{NAME}")
    pushed.requests.clear()
    assert (vaekit.load(f"hf://{NAME}@{commit}").sample(2) == first.sample(2)).all()
    assert pushed.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert vaekit.load(f"hf://{NAME}").path.name == commit
    with pytest.raises(RunError, match="The Hub cannot be reached, and 'hf://ada/unknown' is not in the cache"):
        vaekit.load("hf://ada/unknown")


def test_no_server_is_one_sentence(hub, digits_run, monkeypatch):
    _set_endpoint(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(RunError, match="The Hub cannot be reached"):
        vaekit.load(f"hf://{NAME}")
    with pytest.raises(RunError, match="The Hub cannot be reached"):
        digits_run.push_to_hub(NAME)


def test_a_wrong_revision_is_one_sentence(pushed):
    with pytest.raises(RunError) as caught:
        vaekit.load(f"hf://{NAME}@v9")
    assert str(caught.value) == "'ada/digits' has no revision 'v9'. Choose one of its branches, tags or commits."


def test_a_private_run_needs_a_token(pushed, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", READER)
    assert vaekit.load(f"hf://{NAME}").recipe.latent_dim == 4
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RunError, match="has no repository 'ada/digits', or it is private"):
        vaekit.load(f"hf://{NAME}")


@pytest.mark.parametrize(
    "name", ["digits", "ada/", "/digits", "ada/digits/more", "https://huggingface.co/ada/digits", "ada/di gits"]
)
def test_a_name_of_another_form_is_refused(hub, digits_run, name):
    with pytest.raises(RunError, match="a repository must be named by its owner and its name"):
        digits_run.push_to_hub(name)
    assert hub.requests == []


@pytest.mark.parametrize("address", ["hf://digits", "hf://ada/digits@", "hf://ada/digits@../../x", "hf://"])
def test_an_address_of_another_form_is_refused(hub, address):
    with pytest.raises(RunError, match="must be"):
        vaekit.load(address)
    assert hub.requests == []


def test_pushing_needs_a_token(hub, digits_run, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RunError, match="There is no token for the Hub"):
        digits_run.push_to_hub(NAME)
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(RunError, match=r"does not let you do this with 'ada/digits'\. Use a token that may write"):
        digits_run.push_to_hub(NAME)
    assert hub.repositories == {}


def test_a_repository_that_holds_something_else_is_left_alone(hub, digits_run):
    hub.repositories[NAME] = Repository(private=True)
    hub.repositories[NAME].commit("main", {"config.json": b"{}", "README.md": b"mine"})
    with pytest.raises(RunError, match=r"'ada/digits' holds 'config\.json', which is not a file of a shared run"):
        digits_run.push_to_hub(NAME)
    assert set(hub.files(NAME)) == {"config.json", "README.md"}


def test_a_public_repository_is_refused_unless_that_is_meant(hub, digits_run, call):
    hub.repositories[NAME] = Repository(private=False)
    with pytest.raises(RunError, match="'ada/digits' is public"):
        digits_run.push_to_hub(NAME)
    refused = call("push", digits_run.path, NAME)
    assert refused.code == 2
    assert "allow that with `--public`" in refused.err
    digits_run.push_to_hub(NAME, private=False)
    assert WEIGHTS in hub.files(NAME)


def test_a_card_that_the_hub_does_not_accept_is_explained(hub, digits_run):
    hub.refuse_card = "license must be one of apache-2.0, mit"
    with pytest.raises(RunError, match=r"does not accept the model card: .*license must be one of"):
        digits_run.push_to_hub(NAME, license="mine")


def test_a_run_in_the_cache_is_only_read(pushed, call, workplace, tmp_path):
    digits = vaekit.data.open_source("digits").values
    np.save(workplace / "digits.npy", digits)
    run = vaekit.load(f"hf://{NAME}")
    before = _snapshot(tmp_path / "cache")
    assert call("evaluate", f"hf://{NAME}", "digits.npy", "--samples", 2).code == 0
    assert call("describe", f"hf://{NAME}").code == 0
    assert call("encode", f"hf://{NAME}", "digits.npy", "--out", "codes.npy").code == 0
    assert call("sample", f"hf://{NAME}", "-n", 2, "--out", "new.npy").code == 0
    shown = call("report", f"hf://{NAME}", "digits.npy")
    page = workplace / f"ada-digits-{run.path.name[:7]}.html"
    assert shown.out == f"Report: {page.name}\n"
    assert page.stat().st_size > 10_000
    assert call("remedy", f"hf://{NAME}").code == 2
    assert call("train", "--resume", run.path).code == 2
    with pytest.raises(RunError, match="'ada/digits' is a run in a cache, which is only read"):
        run.folder.write("metrics.csv", "")
    assert _snapshot(tmp_path / "cache") == before
    run.save(workplace / "copy")
    assert (vaekit.load(workplace / "copy").sample(2) == run.sample(2)).all()


def test_the_command_line_pushes(hub, digits_run, call):
    outcome = call("push", digits_run.path, NAME, "--public", "--license", "mit", "--json")
    assert outcome.code == 0, outcome
    assert not hub.repositories[NAME].private
    found = json.loads(outcome.out)
    assert found["folder"].startswith(f"hf://{NAME}@")
    assert found["figures"]["measured_on"] == "held-out"


def _set_endpoint(monkeypatch, url):
    """Do what HF_ENDPOINT does before the library is imported."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def _snapshot(folder):
    return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(Path(folder).rglob("*"))}
