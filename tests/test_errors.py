"""What a refusal says: the problem first, then what to do."""

from vaekit.errors import DataError, RunError, VaekitError, did_you_mean


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
