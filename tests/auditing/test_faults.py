"""Each fault is found, with its size; the same function without the fault is not accused."""

import math
import random

import faulty
import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

import vaekit
from vaekit.distributions import DiagonalNormal
from vaekit.models import ProbabilisticPCA


def found(audit):
    return {finding.check: finding for finding in audit.findings}


def test_a_likelihood_has_no_finding():
    result = vaekit.audit(faulty.independent, (3, 3), exact=True)
    assert result.passed
    (total,) = [each for each in result.measured if each.check == "total"]
    assert total.text.startswith("Σ p(x) = 1 over all 512 rows")


def test_a_sum_over_pixels_that_forgets_one():
    result = vaekit.audit(lambda x: faulty.pixels(x)[:, 1:].sum(1), (3, 3))
    assert list(found(result)) == ["total"]
    assert found(result)["total"].size == pytest.approx(math.log(2), rel=1e-6)
    assert found(result)["total"].standard_error is None


def test_an_exact_likelihood_may_not_sum_to_less_than_one_but_a_bound_may():
    def low(x):
        return faulty.independent(x) - 0.1

    assert vaekit.audit(low, (3, 3)).passed
    assert found(vaekit.audit(low, (3, 3), exact=True))["total"].size == pytest.approx(0.1, rel=1e-6)


@pytest.mark.parametrize(("decimals", "size"), [(0, 0.5), (1, 0.05), (3, 0.0005)])
def test_rounded_log_probabilities(decimals, size):
    result = vaekit.audit(lambda x: faulty.independent(x).round(decimals), (3, 3))
    assert found(result)["precision"].size == pytest.approx(size)


def test_rounded_to_whole_nats_the_sum_is_wrong_too():
    rounded = faulty.independent(np.indices((2,) * 9).reshape(9, -1).T).round()
    result = vaekit.audit(lambda x: faulty.independent(x).round(), (3, 3))
    expected = math.log(np.exp(rounded).sum())
    assert expected > 0.01
    assert found(result)["total"].size == pytest.approx(expected, rel=1e-9)


def test_half_precision_in_disguise():
    result = vaekit.audit(lambda x: faulty.independent(x).astype(np.float16).astype(float), (3, 3))
    assert found(result)["precision"].size == pytest.approx(2.0**-8)
    assert "float16" in found(result)["precision"].text


def test_equal_pixels_are_not_taken_for_rounding():
    """Such values are multiples of one step, but not of a decimal one."""
    assert vaekit.audit(lambda x: np.log(np.where(x > 0, 0.3, 0.7)).sum((1, 2)), (3, 3), exact=True).passed


def test_a_divergence_of_the_wrong_sign():
    wrong = found(vaekit.audit(faulty.SmallVAE(sign=-1), (3, 3)))
    assert list(wrong) == ["total"]
    assert wrong["total"].size > 0.2
    assert 0 < wrong["total"].standard_error < 0.05
    assert vaekit.audit(faulty.SmallVAE(), (3, 3)).passed


def test_batch_normalisation_left_in_training_mode():
    """On all 3×3 pictures the sum is about 15 in pairs, and below 1 in large batches."""
    model = faulty.Leaky()
    before = model.norm.running_mean.clone()
    result = vaekit.audit(model, (3, 3))
    assert list(found(result)) == ["batch", "mode", "total"]
    assert "in batches of up to 2" in found(result)["total"].text
    assert found(result)["total"].size > math.log(8)
    assert "BatchNorm1d" in found(result)["mode"].text
    assert model.training
    assert torch.equal(model.norm.running_mean, before)


def test_batch_normalisation_in_evaluation_mode_is_not_accused():
    model = faulty.Leaky(4).eval()
    assert vaekit.audit(model, (2, 2)).passed
    assert not model.training


def test_a_one_sided_riemann_sum():
    """Its error for 25 points is half the width times the growth of the integrand, .12 nats for each number."""
    rows = np.random.default_rng(0).normal(size=(64, 1))
    excess = (faulty.diffusion(rows) - faulty.normal(rows)).mean()
    assert excess == pytest.approx(0.5 * 12 / 25 / 2, abs=0.01)
    wrong = found(
        vaekit.audit(faulty.diffusion, (1,), "real", rows=rows, refine=lambda x, k: faulty.diffusion(x, 25 * k))
    )
    assert list(wrong) == ["total", "refinement"]
    assert wrong["total"].size == pytest.approx(excess, abs=0.02)
    fall = (faulty.diffusion(rows) - faulty.diffusion(rows, 25 * 16)).mean()
    assert wrong["refinement"].size == pytest.approx(fall, rel=1e-6)


def test_a_sum_over_middles_is_not_accused():
    rows = np.random.default_rng(0).normal(size=(64, 1))
    middles = vaekit.audit(
        lambda x: faulty.diffusion(x, 25, 0.5),
        (1,),
        "real",
        rows=rows,
        refine=lambda x, k: faulty.diffusion(x, 25 * k, 0.5),
    )
    assert not middles.findings


def test_an_importance_weighted_estimate_that_falls_with_the_number_of_draws():
    """Σ w̃ log w is above the bound by up to log K; the bound log (1/K) Σ w is not accused."""

    def log_weights(x, count, seed):
        z = np.random.default_rng(seed).normal(size=(count, len(x)))  # q(z|x) = p(z) = N(0, 1), p(x|z) = N(x; z, 1)
        return -0.5 * ((x[:, 0] - z) ** 2 + faulty.LOG_2PI)

    def weighted(x, k=1, seed=0):
        w = log_weights(x, 4 * k, seed)
        return (softmax(w, axis=0) * w).sum(0)

    def bound(x, k=1, seed=0):
        return logsumexp(log_weights(x, 4 * k, seed), axis=0) - np.log(4 * k)

    assert vaekit.audit(bound, (1,), "real", refine=bound).passed
    assert found(vaekit.audit(weighted, (1,), "real", refine=weighted))["total"].size > 0.1


def test_more_draws_may_not_lower_the_bound():
    def falling(x, k=1):
        return faulty.independent(x) - 0.05 * np.log(k)

    result = vaekit.audit(faulty.independent, (3, 3), refine=falling)
    assert found(result)["refinement"].size == pytest.approx(0.05 * math.log(16), rel=1e-6)


def test_a_density_that_lacks_a_constant_beats_the_truth_after_training():
    def fit(X):
        model, _ = ProbabilisticPCA.fit(X.reshape(len(X), -1), 2)
        return lambda x: model.log_prob(x.reshape(len(x), -1)) + 3 * 0.5 * faulty.LOG_2PI

    def honest(X):
        model, _ = ProbabilisticPCA.fit(X.reshape(len(X), -1), 2)
        return lambda x: model.log_prob(x.reshape(len(x), -1))

    wrong = found(vaekit.audit(faulty.normal, (3,), "real", fit=fit))
    assert wrong["refit"].size == pytest.approx(1.5 * faulty.LOG_2PI, abs=0.05)
    right = vaekit.audit(faulty.normal, (3,), "real", fit=honest)
    assert not right.findings
    assert any(each.check == "refit" for each in right.measured)


def test_vaekits_own_linear_gaussian_model_stays_below_the_exact_value(tmp_path):
    def fit(X):
        settings = {"training.epochs": 3, "latent_dim": 1}
        run = vaekit.train(X, recipe="linear", settings=settings, out=tmp_path / "run", progress=False)
        return lambda x: run.score_samples(x, 4)

    result = vaekit.audit(faulty.normal, (3,), "real", fit=fit, evaluations=1 << 12)
    assert not result.findings
    assert any(each.check == "refit" for each in result.measured)


def test_figures_that_cannot_be_repeated():
    generator = np.random.default_rng(0)
    result = vaekit.audit(lambda x: faulty.independent(x) - generator.exponential(0.5, len(x)), (3, 3))
    assert list(found(result)) == ["noise"]
    assert found(result)["noise"].size > 0.1


@pytest.mark.parametrize("source", ["torch", "numpy", "python"])
def test_noise_of_any_generator_is_seeded_and_left_as_it_was(source):
    def draw():
        return {"torch": lambda: float(torch.rand(())), "numpy": np.random.rand, "python": random.random}[source]()

    def noisy(x):
        return faulty.independent(x) - draw()

    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    expected = [draw() for _ in range(2)]
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    got = [draw()]
    assert vaekit.audit(noisy, (3, 3)).passed
    assert [*got, draw()] == expected


def test_dropout_left_in_training_mode():
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits, self.drop = nn.Parameter(torch.linspace(-3, 3, 9)), nn.Dropout(0.5)

        def forward(self, x):
            logits = self.drop(self.logits.expand(len(x), 9))
            return torch.distributions.Bernoulli(logits=logits).log_prob(x.flatten(1)).sum(1)

    model = Dropped()
    assert "Dropout" in found(vaekit.audit(model, (3, 3)))["mode"].text
    assert vaekit.audit(model.eval(), (3, 3)).passed
    assert vaekit.audit(lambda x: model(x), (3, 3), model=model, dtype=torch.float32).passed


def test_a_function_that_turns_training_mode_on():
    model = faulty.Leaky(4).eval()

    def log_prob(x):
        model.train()
        return model(x)

    wrong = found(vaekit.audit(log_prob, (2, 2), model=model, dtype=torch.float32))
    assert "mode" in wrong
    assert not model.training


def test_levels_that_were_rescaled_without_the_determinant():
    """A density of x/255 at the levels of x: the sum is 255 for each number."""

    def scaled(x):
        return faulty.normal((x / 255 - 0.5) / 0.1) - x.shape[1] * math.log(0.1)

    wrong = found(vaekit.audit(scaled, (2,), "levels", levels=256))
    assert wrong["total"].size == pytest.approx(2 * math.log(255), abs=1e-3)


def test_a_density_at_whole_numbers():
    """Narrow bumps at the integers: at the values the density is far above its mean over the cells around them."""
    rows = np.random.default_rng(0).integers(0, 8, (64, 3)).astype(float)
    levels = np.arange(8)

    def spiky(x):
        bumps = np.exp(-0.5 * ((x[..., None] - levels) / 0.05) ** 2).sum(-1) / (8 * 0.05 * math.sqrt(2 * math.pi))
        return np.log(0.5 * bumps + 0.5 / 8 + 1e-300).sum(1)

    wrong = found(vaekit.audit(spiky, (3,), "real", rows=rows, evaluations=1 << 10))
    assert list(wrong) == ["units"]
    rng = np.random.default_rng(1)
    means = [spiky(rows + rng.random(rows.shape) - 0.5).mean() for _ in range(400)]
    assert wrong["units"].size == pytest.approx(spiky(rows).mean() - np.mean(means), abs=0.3)
    smooth = vaekit.audit(lambda x: faulty.normal((x - 3.5) / 2) - 3 * math.log(2), (3,), "real", rows=rows)
    assert not smooth.findings


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda bits: bits * math.log(2), "nats, not bits"),
        (lambda bits: 9 * bits, "bits for each row"),
        (lambda bits: bits + 1, None),
    ],
)
def test_bits_for_each_dimension_are_recomputed(wrong, reason):
    rows = np.random.default_rng(0).integers(0, 2, (50, 3, 3))
    bits = -faulty.independent(rows).mean() / 9 / math.log(2)
    assert vaekit.audit(faulty.independent, (3, 3), rows=rows, bits_per_dim=round(bits, 2)).passed
    claim = wrong(bits)
    finding = found(vaekit.audit(faulty.independent, (3, 3), rows=rows, bits_per_dim=claim))["units"]
    assert finding.size == pytest.approx(abs(claim - bits) * 9 * math.log(2), rel=1e-6)
    assert reason is None or reason in finding.text


def test_the_determinant_of_a_change_of_variables():
    """y = log(x): log |det| = −Σ log x; with the wrong sign the difference is twice that."""
    rows = np.random.default_rng(0).lognormal(size=(20, 3))

    def log_prob(x):
        safe = np.maximum(x, 1e-300)
        return np.where((x > 0).all(1), faulty.normal(np.log(safe)) - np.log(safe).sum(1), -np.inf)

    def log_det(x):
        return -np.log(x).sum(1)

    right = vaekit.audit(log_prob, (3,), "real", rows=rows, transform=(np.log, log_det), evaluations=1 << 12)
    assert right.passed
    assert any(each.check == "jacobian" for each in right.measured)
    wrong = found(
        vaekit.audit(log_prob, (3,), "real", rows=rows, transform=(np.log, lambda x: -log_det(x)), evaluations=1 << 12)
    )
    assert list(wrong) == ["jacobian"]
    few = rows[:8]
    assert wrong["jacobian"].size == pytest.approx(np.abs(2 * log_det(few)).max(), rel=1e-3)


def test_the_determinant_of_a_rotation_and_scaling_of_tensors():
    turn = torch.tensor([[2.0, 1.0], [0.0, 3.0]])
    result = vaekit.audit(
        lambda x: -0.5 * ((x @ turn) ** 2).sum(1) - float(faulty.LOG_2PI) + math.log(6),
        (2,),
        "real",
        dtype=torch.float32,
        transform=(lambda x: x @ turn, lambda x: torch.full((len(x),), math.log(6))),
    )
    assert result.passed


class Plain(nn.Module):
    """A model of torch's own classes; its ELBO can have the divergence added."""

    def __init__(self, sign=1):
        super().__init__()
        self.encoder, self.decoder, self.prior = Plain.Encoder(), Plain.Decoder(), Plain.Prior()
        self.sign = sign

    class Encoder(nn.Module):
        def forward(self, x):
            return Normal(x.flatten(1) @ torch.linspace(-1, 1, 8).view(4, 2), 0.5)

    class Decoder(nn.Module):
        def forward(self, z):
            logits = z @ torch.linspace(-2, 2, 8).view(2, 4)
            return Independent(Bernoulli(logits=logits.unflatten(-1, (2, 2))), 2)

    class Prior(nn.Module):
        def forward(self):
            return Independent(Normal(torch.zeros(2), 1.0), 1)

    def log_prob(self, x):
        q = self.encoder(x)
        divergence = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
        return self.decoder(q.rsample()).log_prob(x) - self.sign * divergence


def test_annealing_brackets_a_model_of_torch():
    model = Plain()
    right = vaekit.audit(model.log_prob, (2, 2), model=model)
    assert right.passed
    (told,) = [each.text for each in right.measured if each.check == "annealing"]
    assert "annealing brackets it between" in told
    wrong = Plain(-1)
    assert found(vaekit.audit(wrong.log_prob, (2, 2), model=wrong))["annealing"].size > 0.5


def test_annealing_agrees_with_the_exact_value():
    """log p(x) of linear-Gaussian rows lies between the mean bounds, and .3 nats more is accused."""
    model = vaekit.VariationalAutoEncoder(*linear_gaussian_parts(), prior=1)
    W, b = np.array([[1.0], [0.5], [-2.0]]), np.zeros(3)
    exact = ProbabilisticPCA(W, b, 0.5).log_prob
    right = vaekit.audit(exact, (3,), "real", model=model, dtype=np.float64, exact=True, evaluations=1 << 13)
    assert right.passed
    wrong = vaekit.audit(lambda x: exact(x) + 0.3, (3,), "real", model=model, dtype=np.float64, evaluations=1 << 13)
    assert found(wrong)["annealing"].size == pytest.approx(0.3, abs=0.1)


def linear_gaussian_parts():
    """The exact posterior and the decoder of x = Wz + noise of variance ½."""
    W = torch.tensor([[1.0], [0.5], [-2.0]])
    precision = float(W.T @ W) + 0.5

    class Exact(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(W / precision)

        def forward(self, x):
            return DiagonalNormal(x @ self.gain, torch.full((len(x), 1), math.sqrt(0.5 / precision)))

    class Linear(nn.Module):
        def forward(self, z):
            return Independent(Normal(z @ W.T, math.sqrt(0.5)), 1)

    return Exact(), Linear()


def test_rejection_sampling_is_not_taken_for_a_dependence_on_the_batch():
    """Each row draws until it accepts, so the rows before it decide which noise it gets."""

    def log_prob(x):
        chances = 0.2 + 0.6 * x.reshape(len(x), -1).mean(1)
        waits = []
        for chance in chances:
            waits.append(0)
            while random.random() > chance:
                waits[-1] += 1
        return faulty.independent(x) - np.minimum(waits, 5) * 0.1

    assert vaekit.audit(log_prob, (3, 3), evaluations=1 << 12).passed


def test_noise_hides_no_dependence_on_the_batch():
    """The mean of the batch moves each row by thousandths of a nat, below noise of a nat."""

    def log_prob(x):
        noise = torch.randn(len(x)) - 3
        return torch.from_numpy(faulty.independent(x.numpy())) + noise.double() + 0.02 * x.mean()

    wrong = found(vaekit.audit(log_prob, (3, 3), dtype=torch.float64))
    assert list(wrong) == ["batch"]
    assert 0 < wrong["batch"].size < 0.02
