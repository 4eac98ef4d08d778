"""What the person reads who points the audit at a function that does not fit."""

import faulty
import numpy as np
import pytest
import torch
from torch import nn

import vaekit
from vaekit.errors import VaekitError


def refuse(log_prob, *words, event=(3, 3), kind="binary", **options):
    with pytest.raises(VaekitError) as error:
        vaekit.audit(log_prob, event, kind, **options)
    for word in words:
        assert word in str(error.value)
    return error.value


@pytest.mark.parametrize(
    ("log_prob", "words"),
    [
        (lambda x: faulty.independent(x).mean(), ("one number for each row, shape (16,)", "Do not average")),
        (lambda x: float(faulty.independent(x).mean()), ("one number for each row", "Got () instead")),
        (lambda x: faulty.pixels(x).reshape(-1, 3, 3), ("Got (16, 3, 3)", "Sum the log-probabilities")),
        (lambda x: faulty.independent(x)[:, None], ("Got (16, 1)", "Drop the last axis")),
        (lambda x: faulty.pixels(x), ("Got (16, 9)", "Sum over the numbers of a row")),
        (lambda x: faulty.independent(x) * np.nan, ("must be a number, or −∞", "nan for the row [")),
        (lambda x: faulty.independent(x) + np.inf, ("Got inf for the row [",)),
        (lambda x: faulty.independent(x).astype(np.float16), ("single precision", "float16", "float32")),
        (lambda x: torch.from_numpy(faulty.independent(x)).bfloat16(), ("single precision", "bfloat16")),
        (lambda x: faulty.independent(x).astype(int), ("real numbers", "int64")),
        (lambda x: faulty.independent(x).astype(complex), ("real numbers", "complex128")),
        (lambda x: None, ("real numbers", "object")),
        (lambda x: x.unsqueeze(1), ("raised AttributeError for 16 rows of shape (3, 3)", "float64", "`dtype=`")),
        (lambda x: x @ np.ones((7, 7)), ("raised ValueError", "batch of rows")),
        (lambda: 0, ("raised TypeError",)),
    ],
)
def test_what_the_function_returns(log_prob, words):
    refuse(log_prob, *words)


def test_the_cause_is_kept():
    error = refuse(lambda x: {}["key"], "raised KeyError", "'key'")
    assert isinstance(error.__cause__, KeyError)


def test_a_refusal_of_the_function_itself_is_passed_on():
    def log_prob(x):
        raise VaekitError("My own message")

    refuse(log_prob, "My own message")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"log_prob": 3}, ("`log_prob` must be a function", "int")),
        ({"kind": "levl"}, ("`kind` must be one of binary, levels, counts, real", "Did you mean 'levels'?")),
        ({"event": ()}, ("`event` must be the shape of one row",)),
        ({"event": (3, 0)}, ("`event` must be the shape",)),
        ({"kind": "levels"}, ("`levels` must be the number of levels",)),
        ({"levels": 4}, ("`levels` needs `kind='levels'`",)),
        ({"rows": np.zeros((4, 2))}, ("`rows` must have the shape (n, 3, 3)", "(4, 2)")),
        ({"rows": np.full((4, 3, 3), 0.5)}, ("possible values", "0.5 in row 0")),
        ({"rows": np.full((4, 3, 3), np.nan), "kind": "real"}, ("finite numbers", "nan in row 0")),
        ({"model": "x"}, ("`model` must be a torch module", "str")),
        ({"evaluations": 0}, ("evaluations must be at least 1",)),
    ],
)
def test_arguments_that_do_not_fit(options, words):
    given = {"log_prob": faulty.independent, "event": (3, 3)} | options
    refuse(given.pop("log_prob"), *words, **given)


def test_a_transform_that_does_not_fit():
    wrong = (lambda x: x[:, :2], lambda x: np.zeros(len(x)))
    refuse(faulty.normal, "must keep the number of numbers", event=(3,), kind="real", transform=wrong, evaluations=1)
    wrong = (lambda x: x, lambda x: np.zeros((len(x), 2)))
    refuse(faulty.normal, "one number, or one for each row", event=(3,), kind="real", transform=wrong, evaluations=1)


class Precise(nn.Module):
    """It says what rows it was given."""

    def __init__(self, dtype):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.ones(9, dtype=dtype)), set()

    def forward(self, x):
        self.seen.add((type(x), x.dtype))
        return torch.from_numpy(faulty.independent(x.numpy()))

    def log_prob(self, x):
        return self(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_module_and_its_method_are_given_tensors_of_its_own_type(dtype):
    for given in ("forward", "log_prob"):
        model = Precise(dtype)
        assert vaekit.audit(model if given == "forward" else model.log_prob, (3, 3)).passed
        assert model.seen == {(torch.Tensor, dtype)}


def test_the_type_of_arrays_can_be_chosen():
    shares = np.stack([np.log(1 - faulty.SHARES), np.log(faulty.SHARES)])

    def looked_up(x):
        return shares[x.reshape(len(x), -1), np.arange(9)].sum(1)

    assert vaekit.audit(looked_up, (3, 3), dtype=np.int64, exact=True).passed
    refuse(looked_up, "raised IndexError")


def test_parts_that_return_no_distributions_are_said():
    class Tuples(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder, self.prior = nn.Linear(3, 2), nn.Linear(2, 3), nn.Identity()

        def forward(self, x):
            return torch.from_numpy(faulty.normal(x.numpy()))

    model = Tuples()
    result = vaekit.audit(model, (3,), "real", model=model, evaluations=1 << 10)
    (told,) = [each.text for each in result.skipped if each.check == "annealing"]
    assert told.startswith("The model's three parts cannot be annealed: An encoder must return torch's Normal")


def test_gradients_are_allowed_and_nothing_is_left_on():
    weight = nn.Parameter(torch.zeros(9))

    def log_prob(x):
        return torch.distributions.Bernoulli(logits=weight).log_prob(x.flatten(1)).sum(1)

    assert vaekit.audit(log_prob, (3, 3), dtype=torch.float32, exact=True).passed
    assert weight.grad is None


def test_a_single_row_that_is_refused_is_said():
    def log_prob(x):
        if len(x) == 1:
            raise ValueError("two rows at least")
        return faulty.independent(x)

    result = vaekit.audit(log_prob, (3, 3))
    assert result.passed
    (skipped,) = [each for each in result.skipped if each.check == "batch"]
    assert "two rows at least" in skipped.text
