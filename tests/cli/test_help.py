"""What `--help` says: short sentences, and an example that can be typed; and flags in messages of the library."""

import shlex

import pytest
import typer

from vaekit.cli.app import VERBS, app
from vaekit.cli.flags import name_flags

PROGRAM = typer.main.get_command(app)
NAMES = sorted(PROGRAM.commands)
LONGEST = 60
"""A first sentence fits the list of verbs on a terminal of 80 signs."""


@pytest.mark.parametrize("verb", NAMES)
def test_the_first_sentence_fits_the_list_of_verbs(call, verb):
    first = PROGRAM.commands[verb].help.split("\n\n")[0]
    assert first.count(". ") == 0
    assert first.endswith(".")
    assert len(first) < LONGEST
    assert f"  {verb} " in call("--help").out
    assert first in call("--help").out


@pytest.mark.parametrize("verb", NAMES)
def test_an_example_ends_the_help(call, verb):
    said = " ".join(call(verb, "--help").out.split())
    example = PROGRAM.commands[verb].epilog.removeprefix("Example: ")
    assert said.endswith(f"Example: {example}")
    program, named, *words = shlex.split(example)
    assert (program, named) == ("vaekit", verb)
    PROGRAM.commands[verb].make_context(verb, words)  # refuses what cannot be typed


@pytest.mark.parametrize("verb", NAMES)
def test_every_option_is_explained_in_one_or_two_sentences(verb):
    for parameter in PROGRAM.commands[verb].params:
        assert parameter.help, parameter.name
        assert parameter.help[0].isupper() or parameter.help[0] == "`", parameter.help
        assert parameter.help.endswith("."), parameter.help
        assert len(parameter.help) < 120, parameter.help


def test_every_verb_has_an_example():
    assert {verb.__name__ for verb in VERBS} == set(NAMES)


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("Continue with `resume='my run'`.", "Continue with `vaekit train --resume 'my run'`."),
        ("Continue with `resume='runs/x'`.", "Continue with `vaekit train --resume runs/x`."),
        (r"Train with `recipe='it\'s.toml'`.", "Train with `--recipe 'it'\"'\"'s.toml'`."),
        ("`out=` is a file", "`--out` is a file"),
        ("`mean=True` cannot be used", "`--mean` cannot be used"),
        ("Give it, as in `given={'label': VALUE}`", "Give it, as in `--given label=VALUE`"),
        ("Choose `likelihood=gaussian`, or data.kind=mixed", "Choose `likelihood=gaussian`, or data.kind=mixed"),
        ("`given={broken`", "`--given {broken`"),
        ("a column `a`, `n=` and a lone `", "a column `a`, `-n` and a lone `"),
    ],
)
def test_arguments_become_flags(message, wanted):
    assert name_flags(message) == wanted
