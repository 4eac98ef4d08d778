"""Trials of the benchmarks: labels of contestants, and results that a rerun continues."""

import json

import pytest
import trials
from trials import Contestant, Trials, arguments


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Return a function that begins a benchmark of two tables and two methods with its command line."""
    monkeypatch.setattr(trials, "RESULTS", tmp_path)
    parser = arguments("about", ["one", "two words"], ["real", "vaekit", "vaekit table"])
    return lambda *words: Trials("made", parser.parse_args(words))


def test_a_label_names_method_recipe_and_options():
    found = Contestant.parse("vaekit table training.epochs=3 prior.name=vamp encoder.hidden=[8,8]")
    assert (found.name, found.recipe) == ("vaekit", "table")
    assert found.options == {"training.epochs": 3, "prior.name": "vamp", "encoder.hidden": [8, 8]}
    assert Contestant.parse("real") == Contestant("real", "auto", {})


@pytest.mark.parametrize("words", [["--methods", "unreal"], ["--methods", ""], ["--tables", "two"], ["--seeds", "x"]])
def test_unknown_names_are_refused(begin, words, capsys):
    with pytest.raises(SystemExit):
        begin(*words)
    assert words[0] in capsys.readouterr().err


def test_each_result_is_a_line_and_a_rerun_skips_it(begin, tmp_path):
    done = []

    def trial(table, method, seed):
        done.append((table, method, seed))
        return {"value": len(done)}

    begin("--seeds", "0,2", "--methods", "real,vaekit training.epochs=1").run(trial)
    assert len(done) == len(set(done)) == 8
    path = tmp_path / "made.jsonl"
    assert [json.loads(line)["value"] for line in path.read_text().splitlines()] == list(range(1, 9))
    path.write_text(path.read_text() + '{"table": "on')  # as a killed run leaves it
    begin("--seeds", "0,1,2", "--methods", "real,vaekit training.epochs=1").run(trial)
    assert len(done) == 12
    assert {seed for _, _, seed in done[8:]} == {1}
    begin("--seeds", "0", "--methods", "real", "--tables", "one", "--fresh").run(trial)
    assert done[12:] == [("one", "real", 0)]
    assert len(path.read_text().splitlines()) == 12


def test_a_failure_ends_no_other_trial_and_is_tried_again(begin, capsys):
    tried = []

    def trial(table, method, seed):
        tried.append(method)
        if method == "real" and len(tried) < 3:
            raise ValueError("not yet")
        return {}

    for expected in (["real", "vaekit"], ["real", "vaekit", "real"], ["real", "vaekit", "real"]):
        begin("--seeds", "0", "--tables", "one", "--methods", "real,vaekit").run(trial)
        assert tried == expected
    assert "not yet" in capsys.readouterr().err


def test_further_keys_of_a_task_distinguish_trials(begin):
    found = begin("--seeds", "0", "--tables", "one", "--methods", "real")
    tasks = [task | {"mechanism": m} for task in found.tasks() for m in ("MCAR", "MAR")]
    found.run(lambda mechanism, **_: {"value": mechanism}, tasks)
    assert [r["value"] for r in found.of("one", "real")] == ["MCAR", "MAR"]
    assert [r["value"] for r in found.of("one", "real", mechanism="MAR")] == ["MAR"]


def test_a_try_with_few_rows_has_files_of_its_own(begin, tmp_path):
    begin("--seeds", "0", "--rows", "10").run(lambda **_: {})
    begin("--seeds", "0").run(lambda **_: {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made-10-rows.jsonl", "made.jsonl"]


def test_methods_are_in_the_order_of_the_benchmark(begin):
    found = begin("--seeds", "0", "--methods", "vaekit table,vaekit,real,vaekit table latent_dim=3")
    found.run(lambda **_: {})
    assert found.methods(["real", "vaekit", "vaekit table"]) == [
        *("real", "vaekit", "vaekit table"),
        "vaekit table latent_dim=3",
    ]
