"""What a refusal says: the problem first, then what to do."""

import ast
from pathlib import Path

import pytest

import vaekit
from vaekit.errors import DataError, RunError, VaekitError, did_you_mean

ROOT = Path(vaekit.__file__).parent
REFUSALS = {"VaekitError", "DataError", "RecipeError", "RunError", "TrainingError"}
NO_VALUES = ("none", "no ", "nothing", "neither", "both", "several", "other ", "another")
"""What nobody gave: "Got none instead" does not say what is wrong."""


def text_of(node):
    """The literal text of an argument: of an f-string its literal parts."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) else None


def said(value, assigned):
    """The literal text of an argument, or of what its name was set to last before it."""
    if isinstance(value, ast.Name):
        before = [node for node in assigned.get(value.id, []) if node.lineno < value.lineno]
        value = max(before, key=lambda node: node.lineno).value if before else value
    return text_of(value)


def refusals():
    for path in sorted(ROOT.rglob("*.py")):
        name = str(path.relative_to(ROOT))
        tree, assigned = ast.parse(path.read_text(encoding="utf-8")), {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, []).append(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in REFUSALS:
                named = {keyword.arg: keyword.value for keyword in node.keywords}
                arguments = dict(zip(("must", "given", "mend"), node.args, strict=False)) | named
                yield f"{name}:{node.lineno}", {key: said(value, assigned) for key, value in arguments.items()}


def test_both_forms_of_a_refusal():
    wrong_value = VaekitError("x must be small", "9", "Make it smaller")
    assert str(wrong_value) == "x must be small. Got 9 instead. Make it smaller."
    problem = DataError("The run has no held-out rows (data.test=0).", mend="Pass the rows to measure.")
    assert str(problem) == "The run has no held-out rows (data.test=0). Pass the rows to measure."
    assert str(RunError("The disk is full")) == "The disk is full."
    assert str(VaekitError("x must be", "y", "Did you mean 'z'?")) == "x must be. Got y instead. Did you mean 'z'?"


def test_long_values_are_shortened_and_names_are_not():
    error = VaekitError("x must be small", "9" * 1000)
    assert len(str(error)) < 250
    assert "…" in str(error)
    names = [f"name{i}" for i in range(50)]
    assert did_you_mean("qqqq", names) == f"Choose from: {', '.join(sorted(names))}"


@pytest.mark.parametrize(("where", "parts"), list(refusals()))
def test_a_refusal_names_a_value_or_a_problem(where, parts):
    must, given = parts["must"], parts.get("given")
    if must is not None and "given" in parts:
        assert " must " in f" {must} ", f"{where}: a value breaks a rule: '{must}'"
    if must is not None and "given" not in parts and " must " not in must:
        setting = any(sign in must.split()[0] for sign in "=.")
        assert must[0].isupper() or must[0] in "'{`-" or setting, f"{where}: a problem is a sentence: '{must}'"
    assert given is None or not given.startswith(NO_VALUES), f"{where}: 'Got {given} instead' names no value"
