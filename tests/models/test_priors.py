import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp

import vaekit
from vaekit.data import Part, Rows, Transform
from vaekit.distributions import DiagonalNormal
from vaekit.errors import RecipeError, VaekitError
from vaekit.evaluation import measure
from vaekit.models import (
    CouplingPrior,
    Decoder,
    Diagonal,
    Encoder,
    GaussianMixture,
    Prior,
    SplinePrior,
    VampPrior,
    VariationalAutoEncoder,
)
from vaekit.models.likelihoods import Gaussian
from vaekit.networks import MLP
from vaekit.parts import Plan

PRIORS = Prior.known
FLOWS = [name for name in PRIORS if name.endswith("flow")]


def made(name, latent_dim, transforms=2):
    """A prior of the table."""
    part, values = PRIORS[name], {"components": 5, "transforms": transforms, "hidden": (8,)}
    options = part.Options(**{k: v for k, v in values.items() if k in part.Options.model_fields})
    plan = Plan(latent_dim=latent_dim, event_shape=(6,), built={"inference": encoder(latent_dim)})
    return part.build(options, plan)


TINY = {
    "encoder.hidden": [16],
    "decoder.hidden": [16],
    "latent_dim": 2,
    "training.epochs": 2,
    "training.validations": 2,
}


def encoder(latent_dim=2, inputs=6):
    return Encoder(MLP((inputs,), (2 * latent_dim,), hidden=[8]), Diagonal(latent_dim))


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_starts_as_the_standard_normal(name):
    z = 2 * torch.randn(50, 5)
    told = made(name, 5, 3)().log_prob(z)
    np.testing.assert_allclose(told.detach().numpy(), stats.norm.logpdf(z.numpy()).sum(-1), rtol=1e-4, atol=1e-4)


def test_a_coupling_is_undone_by_its_inverse_and_knows_its_determinant():
    torch.manual_seed(2)
    prior = made("flow", 5, 3).double()
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        p, u = prior(), torch.randn(20, 5, dtype=torch.float64)
        z = p.from_base(u)
        back, log_det = p.to_base(z)
        torch.testing.assert_close(back, u)
        jacobian = torch.func.vmap(torch.func.jacrev(lambda v: p.to_base(v)[0]))(z)
        torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det)


def test_a_mixture_starts_with_mean_zero_and_variance_one():
    torch.manual_seed(0)
    p = GaussianMixture(3, 4000)()
    np.testing.assert_allclose(p.mean.detach().numpy(), 0, atol=0.05)
    np.testing.assert_allclose(p.variance.detach().numpy(), 1, atol=0.05)
    z = torch.randn(9, 3)
    torch.testing.assert_close(
        GaussianMixture(3, 1)().log_prob(z).detach(), DiagonalNormal(torch.zeros(3), torch.ones(3)).log_prob(z)
    )


def test_a_vamp_prior_is_the_average_of_the_posteriors_of_its_inputs():
    torch.manual_seed(0)
    q = encoder()
    prior = VampPrior(q, (6,), 5)
    x = torch.randn(9, 6)
    prior.start(x)
    torch.testing.assert_close(prior.inputs.detach(), x[[0, 2, 4, 6, 8]], atol=0.06, rtol=0)
    z = torch.randn(4, 2)
    with torch.no_grad():
        posterior, told = q(prior.inputs), prior().log_prob(z)
    mean, std = posterior.mean.double().numpy(), posterior.stddev.double().numpy()
    each = stats.norm.logpdf(z.double().numpy()[:, None], mean, std).sum(-1)
    np.testing.assert_allclose(told.numpy(), logsumexp(each, axis=1) - np.log(5), rtol=1e-5)


def test_the_encoder_of_a_vamp_prior_is_counted_once():
    q = encoder()
    model = VariationalAutoEncoder(q, Decoder(MLP((2,), (6, 1)), Gaussian((6,))), VampPrior(q, (6,), 5))
    assert sum(key.startswith("prior") for key in model.state_dict()) == 1
    (model.prior().log_prob(torch.zeros(2))).backward()
    assert all(p.grad is not None for p in q.parameters())


@pytest.mark.parametrize("make", [lambda: GaussianMixture(2, 0), lambda: VampPrior(encoder(), (6,), 0)])
def test_there_must_be_a_component(make):
    with pytest.raises(VaekitError, match="at least 1"):
        make()


def linear_gaussian(prior):
    """x = Wz + b + N(0, 0.25 I), and an encoder that is none too good."""
    torch.manual_seed(3)
    decoder = Decoder(MLP((2,), (6, 1)), Gaussian((6,), variance=0.25))
    return VariationalAutoEncoder(encoder(), decoder, prior)


def test_with_a_mixture_the_bounds_stay_below_the_exact_likelihood_and_reach_it():
    torch.manual_seed(4)
    prior = GaussianMixture(2, 3)
    with torch.no_grad():
        prior.mean.mul_(2)
        prior.logits.copy_(torch.tensor([0.0, 1.0, -1.0]))
    model = linear_gaussian(prior)
    model.encoder.network.layers[-1].bias.data[2:] += 0.6  # wider than the true posterior, so that weights are bounded
    layer = model.decoder.network.layers[0]
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    p = prior()
    share, mean, std = (part.detach().double().numpy() for part in (p.log_weights, p.component_mean, p.component_std))
    x = np.random.default_rng(5).normal(size=(40, 6))
    each = [
        w + stats.multivariate_normal.logpdf(x, weight @ m + bias, (weight * s**2) @ weight.T + 0.25 * np.eye(6))
        for w, m, s in zip(share, mean, std, strict=True)
    ]
    exact = logsumexp(np.stack(each), axis=0)
    rows = Rows(Part(x, np.arange(len(x))), Transform(steps=()), 0)
    one, many = measure(model, rows, 1), measure(model, rows, 20_000)
    np.testing.assert_allclose(one.log_likelihood, one.elbo, rtol=1e-4)
    assert (many.elbo < exact).all()
    np.testing.assert_allclose(many.log_likelihood, exact, atol=0.1)
    assert abs((many.log_likelihood - exact).mean()) < 0.01


def test_the_rate_is_averaged_over_all_draws(monkeypatch):
    """Not over those of the last chunk alone."""
    torch.manual_seed(6)
    model = linear_gaussian(GaussianMixture(2, 3))
    rows = Rows(Part(np.random.default_rng(0).normal(size=(5, 6)), np.arange(5)), Transform(steps=()), 0)
    whole = measure(model, rows, 64)
    monkeypatch.setattr("vaekit.evaluation.bounds.CACHED", 5 * 6 * 7)
    np.testing.assert_allclose(measure(model, rows, 64).rate, whole.rate, rtol=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_run_with_any_prior_trains_is_read_back_and_answers(tmp_path, prior):
    fields = Prior.known[prior].Options.model_fields
    narrow = {f"prior.{key}": value for key, value in (("hidden", [16]), ("components", 7)) if key in fields}
    settings = TINY | {"prior": prior, "data.binarize": "dynamic", "likelihood": "bernoulli"} | narrow
    run = vaekit.train("digits", settings=settings, out=tmp_path / "run")
    again = vaekit.load(tmp_path / "run")
    assert (again.sample(5, seed=1) == run.sample(5, seed=1)).all()
    figures = again.evaluate(samples=20)
    assert figures.elbo <= figures.log_likelihood.value
    assert figures.rate == pytest.approx(figures.mutual_information + figures.marginal_kl)
    for parameter in run.model.prior.parameters():
        assert torch.isfinite(parameter).all()


def test_a_learned_prior_on_mixed_tables(tmp_path):
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=200).tolist(), "b": rng.choice(["x", "y"], 200).tolist()}

    settings = TINY | {"prior": "mixture", "training.batch_size": 64}
    run = vaekit.train(pa.table(table), settings=settings, out=tmp_path / "run")
    assert run.condition(10, {"b": "x"})[0]["b"].to_pylist() == ["x"] * 10
    with pytest.raises(RecipeError, match=r"prior=vamp cannot be used with a mixed table.*prior=mixture"):
        vaekit.train(pa.table(table), settings=settings | {"prior": "vamp"}, out=tmp_path / "other")


def test_a_flow_of_one_dimension_is_refused():
    with pytest.raises(VaekitError, match="latent_dim must be at least 2"):
        CouplingPrior(1)
    with pytest.raises(VaekitError, match="latent_dim must be at least 2"):
        SplinePrior(1)
    with pytest.raises(RecipeError, match="latent_dim must be at least 2"):
        vaekit.train("digits", settings=TINY | {"prior": "flow", "latent_dim": 1})
