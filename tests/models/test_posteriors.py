import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from torch.distributions import kl_divergence

import oracles
import vaekit
from builders import linear, rows_of, write_sealed
from vaekit.distributions import CholeskyNormal, DiagonalNormal, VonMisesFisher
from vaekit.errors import RecipeError, RunError, VaekitError
from vaekit.evaluation import annealed_bound, measure
from vaekit.models import (
    BottomUp,
    CouplingPrior,
    Decoder,
    Draws,
    Encoder,
    FullCovariance,
    GaussianMixture,
    LayeredPrior,
    LowRank,
    Posterior,
    SplinePrior,
    StandardNormal,
    TopDown,
    VariationalAutoEncoder,
)
from vaekit.models.likelihoods import Bernoulli, Gaussian
from vaekit.networks import MLP, Direction
from vaekit.objectives import DoublyReparameterizedIWAE, Loss, NegativeELBO, NegativeIWAE, StickingTheLanding
from vaekit.parts import Plan
from vaekit.report import write_report

OPTIONS = {"rank": 2, "transforms": 2, "context": 5, "hidden": (8,)}
POSTERIORS = Posterior.known


def made(name, latent_dim=3):
    """A posterior of the table, with two layers where it is one of several."""
    layers = LayeredPrior([latent_dim - 1, 1], [8]) if POSTERIORS[name].layered else None
    part = POSTERIORS[name]
    options = part.Options(**{k: v for k, v in OPTIONS.items() if k in part.Options.model_fields})
    sizes = layers.layers if layers else ()
    return part.build(options, Plan(latent_dim=latent_dim, layers=sizes, built={"layers": layers}))


FLOWS = [name for name in POSTERIORS if name.endswith("flow")]
DETACHABLE = [name for name, posterior in POSTERIORS.items() if posterior.detachable]


def drawn_from(name, size=0.4, rows=4):
    """A posterior with weights and features at random, in float64; its modules are kept alive by the first."""
    torch.manual_seed(0)
    module = made(name).double()
    everything = [module, *getattr(module, "_prior", ())]
    with torch.no_grad():
        for one in everything:
            for parameter in one.double().parameters():
                parameter.normal_(std=size)
    return module(0.7 * torch.randn(rows, module.features, dtype=torch.float64))


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_density_is_that_of_the_map_from_noise(name):
    """log q(g(ε)) = log N(ε; 0, I) − log |det ∂g/∂ε|, the Jacobian by automatic differentiation."""
    q = drawn_from(name)
    for seed in range(3):
        noise = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        z = q.reparameterize(noise)
        jacobian = torch.autograd.functional.jacobian(lambda e: q.reparameterize(e).sum(0), noise).permute(1, 0, 2)
        told = q.log_prob(z.clone()).detach()  # not the draw itself, of which a flow remembers the density
        expected = stats.norm.logpdf(noise.numpy()).sum(-1) - np.linalg.slogdet(jacobian.numpy())[1]
        np.testing.assert_allclose(told.numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(q.log_prob(z).detach().numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(q.standardize(z).detach().numpy(), noise.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", POSTERIORS)
def test_moments_are_those_of_draws(name):
    q = drawn_from(name, 0.2)
    torch.manual_seed(1)
    z = q.rsample((40_000,)).detach()
    scale = z.std(0)
    assert float(((q.mean - z.mean(0)) / scale).detach().abs().max()) < 0.3  # of a flow by 64 draws
    assert float((q.stddev / scale - 1).detach().abs().max()) < 0.35
    assert torch.equal(q.mean, q.mean)


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_starts_as_its_gaussian(name):
    torch.manual_seed(0)
    module = made(name)
    features = torch.randn(6, module.features)
    z = torch.randn(6, 3)
    told = module(features).log_prob(z)
    torch.testing.assert_close(told, module.gaussian(features[:, :6]).log_prob(z), rtol=1e-4, atol=1e-4)


def test_covariances_are_what_is_said():
    torch.manual_seed(0)
    features = torch.randn(5, 9, dtype=torch.float64)
    mean, raw, rest = (part.numpy() for part in features.split((3, 3, 3), -1))
    std = np.exp(oracles.soft_clamp(raw, -9, 5))
    full, low = FullCovariance(3)(features), LowRank(3, 1)(features)
    for row in range(5):
        L = np.diag(std[row]) @ np.array([[1, 0, 0], [rest[row, 0], 1, 0], [rest[row, 1], rest[row, 2], 1]])
        V = rest[row][:, None]
        for q, covariance in ((full, L @ L.T), (low, np.diag(std[row] ** 2) + V @ V.T)):
            z = np.array([0.3, -1.0, 0.8])
            expected = stats.multivariate_normal(mean[row], covariance).logpdf(z)
            assert float(q.log_prob(torch.from_numpy(z))[row]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_a_narrow_posterior_of_low_rank_is_still_one(scale):
    """Formed and factored in single precision or less, diag σ² would be lost beside VVᵀ, and the factorisation fail."""
    features = torch.cat([torch.zeros(64, 8), torch.full((64, 8), -5.0), scale * torch.randn(64, 32)], -1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        q = LowRank(8, 4)(features)
    exact = LowRank(8, 4)(features.double())
    z = exact.reparameterize(torch.randn(64, 8, dtype=torch.float64))
    torch.testing.assert_close(q.stddev.double(), exact.stddev, rtol=1e-3, atol=0)
    assert torch.isfinite(q.log_prob(z.float())).all()


def test_a_direction_has_its_rate_in_closed_form():
    torch.manual_seed(0)
    prior = DiagonalNormal(torch.zeros(4), torch.ones(4))
    direction = torch.nn.functional.normalize(torch.randn(3, 4), dim=-1)
    q = VonMisesFisher(direction, torch.tensor([0.5, 5.0, 50.0]))
    z = q.reparameterize(torch.randn(2, 3, 4))
    joint = Draws(q, prior, z, None, torch.zeros(2, 3))
    assert torch.equal(joint.rate(), kl_divergence(q, prior))


def test_divergence_of_a_full_covariance_in_closed_form():
    rng = np.random.default_rng(0)
    mean, L = rng.normal(size=3), np.tril(rng.normal(size=(3, 3)), -1) + np.diag([0.4, 1.0, 2.0])
    m, s = rng.normal(size=3), np.array([0.5, 1.0, 3.0])
    q = CholeskyNormal(torch.from_numpy(mean), torch.from_numpy(L))
    p = DiagonalNormal(torch.from_numpy(m), torch.from_numpy(s))
    S, P = L @ L.T, np.diag(s**2)
    inner = np.trace(np.linalg.solve(P, S)) + (m - mean) @ np.linalg.solve(P, m - mean) - 3
    expected = 0.5 * (inner + np.log(np.linalg.det(P) / np.linalg.det(S)))
    assert float(torch.distributions.kl_divergence(q, p)) == pytest.approx(expected, rel=1e-10)


def test_with_the_exact_full_covariance_every_bound_is_log_p():
    """W has oblique columns, so that no diagonal posterior could reach it."""
    rng = np.random.default_rng(3)
    oracle = oracles.LinearGaussian(rng.normal(size=(5, 2)), rng.normal(size=5), 0.6)
    X = oracle.sample(7, rng)
    V, c, covariance = oracle.affine_posterior()
    L = np.linalg.cholesky(covariance)
    constant = np.concatenate([np.log(np.diag(L)), [L[1, 0] / L[1, 1]]])

    class Exact(torch.nn.Module):
        def forward(self, x):
            mean = x @ torch.from_numpy(V.T) + torch.from_numpy(c)
            return torch.cat([mean, torch.from_numpy(raw_of(constant)).expand(len(x), 3)], -1)

    likelihood = Gaussian((5,), variance=oracle.variance)
    encoder = Encoder(Exact(), FullCovariance(2))
    model = VariationalAutoEncoder(encoder, Decoder(linear(oracle.W, oracle.b), likelihood), 2).double()
    exact = oracle.log_prob(X)
    x = torch.from_numpy(X)
    torch.manual_seed(0)
    joint = model.draw(x, 6)
    for draw in joint.log_weights().detach().numpy():  # the same for all draws
        np.testing.assert_allclose(draw, exact, rtol=1e-6)
    gradients = []
    for objective in (Loss(model, StickingTheLanding()), Loss(model, DoublyReparameterizedIWAE())):
        loss = objective(x, torch.ones((), dtype=torch.float64)).loss
        gradients.append(loss)
        np.testing.assert_allclose(loss.detach().numpy(), -exact, rtol=1e-6)
    many = VariationalAutoEncoder(encoder, model.decoder, 2, samples=4000).double()
    with torch.no_grad():
        elbo = -Loss(many, NegativeELBO())(x, torch.ones((), dtype=torch.float64)).loss
    np.testing.assert_allclose(elbo.numpy(), exact, atol=0.15)  # the rate exact, the distortion by draws


def raw_of(constant):
    """What the soft clamp makes log σ of; the entry below the diagonal is not clamped."""
    target, rest = np.exp(constant[:2]), constant[2:]
    # e^y = (e^low + e^raw)/(1 + e^(raw − high))  ⇒  e^raw = (e^y − e^low)/(1 − e^(y − high))
    return np.concatenate([np.log((target - np.exp(-9.0)) / (1 - target * np.exp(-5.0))), rest])


def test_layers_from_the_top_join_what_data_and_prior_say():
    torch.manual_seed(0)
    prior = LayeredPrior([2, 1], [8]).double()
    module = TopDown(prior).double()
    features = torch.randn(3, module.features, dtype=torch.float64)
    z = torch.randn(3, 3, dtype=torch.float64)
    with torch.no_grad():
        told = module(features).log_prob(z).numpy()
        below = prior.below[0](z[:, 2:])
        m, s = below.mean.numpy(), below.stddev.numpy()
        on_prior = prior().log_prob(z).numpy()
    f, z = features.numpy(), z.numpy()
    mean, std = f[:, :2], np.exp(oracles.soft_clamp(f[:, 2:4], -9, 5))
    precision = 1 / std**2 + 1 / s**2
    joined = stats.norm((mean / std**2 + m / s**2) / precision, precision**-0.5).logpdf(z[:, :2]).sum(-1)
    top = stats.norm(f[:, 4], np.exp(oracles.soft_clamp(f[:, 5], -9, 5))).logpdf(z[:, 2])
    np.testing.assert_allclose(told, joined + top, rtol=1e-9)
    np.testing.assert_allclose(on_prior, stats.norm(m, s).logpdf(z[:, :2]).sum(-1) + stats.norm.logpdf(z[:, 2]))


def test_the_top_layer_may_have_any_prior():
    torch.manual_seed(0)
    prior = LayeredPrior([2, 1], [8], GaussianMixture(1, 3)).double()
    with torch.no_grad():
        prior.top.logits.copy_(torch.tensor([0.0, 1.0, -1.0]))
        prior.top.mean.mul_(4)
        z = torch.randn(6, 3, dtype=torch.float64)
        told, below = prior().log_prob(z), prior.below[0](z[:, 2:])
        m, s = below.mean.numpy(), below.stddev.numpy()
        torch.manual_seed(1)
        draws = prior().sample((40_000,)).numpy()
        again = prior.below[0](torch.from_numpy(draws[:, 2:]))
    assert draws.shape == (40_000, 3)
    weight = np.exp([0.0, 1.0, -1.0]) / np.exp([0.0, 1.0, -1.0]).sum()
    mean, std = prior.top.mean.detach().numpy()[:, 0], prior.top.log_std.detach().exp().numpy()[:, 0]
    top = np.log(stats.norm(mean, std).pdf(z[:, 2:].numpy()) @ weight)
    np.testing.assert_allclose(told.numpy(), stats.norm(m, s).logpdf(z[:, :2].numpy()).sum(-1) + top)
    noise = (draws[:, :2] - again.mean.numpy()) / again.stddev.numpy()  # N(0, I) if drawn given the layer above
    np.testing.assert_allclose(noise.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(noise.std(0), 1, atol=0.02)
    np.testing.assert_allclose(draws[:, 2].mean(), weight @ mean, atol=0.05)
    assert stats.kstest(draws[:4000, 2], lambda t: stats.norm(mean, std).cdf(t[:, None]) @ weight).pvalue > 1e-3


@pytest.mark.parametrize("make", [CouplingPrior, SplinePrior, lambda d: GaussianMixture(d, 1)])
def test_a_learned_prior_of_the_top_layer_starts_as_the_usual_one(make):
    torch.manual_seed(0)
    learned, usual = LayeredPrior([3, 2], [8], make(2)), LayeredPrior([3, 2], [8])
    usual.below.load_state_dict(learned.below.state_dict())
    z = torch.randn(7, 5)
    torch.testing.assert_close(learned().log_prob(z), usual().log_prob(z), rtol=1e-5, atol=1e-4)


def small_model(kind):
    """A small model of four binary numbers with two latent dimensions, two layers of one where there are layers, in float64."""
    torch.manual_seed(1)
    prior = LayeredPrior([1, 1], [6], GaussianMixture(1, 3) if kind == "mixture on top" else None)
    posterior = BottomUp([1, 1], [6]) if kind == "bottom_up" else TopDown(prior)
    if kind in POSTERIORS and not POSTERIORS[kind].layered:
        prior, posterior = StandardNormal(2), made(kind, 2)
    network = MLP((2,), (4, 1), hidden=[8], block="plain", activation="tanh")
    if kind == "von_mises_fisher":
        network = torch.nn.Sequential(Direction(), network)
    encoder = Encoder(MLP((4,), (posterior.features,), hidden=[6]), posterior)
    model = VariationalAutoEncoder(encoder, Decoder(network, Bernoulli((4,))), prior)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
        if kind == "von_mises_fisher":  # wider than the true one, lest a few draws carry all the weight
            encoder.network.layers[-1].bias[2] -= 1.5
        if kind == "bottom_up":  # likewise
            for one in (encoder, posterior.above[0]):
                one.network.layers[-1].bias[1] += 0.8
    return model.double()


@pytest.mark.parametrize("kind", ["bottom_up", "top_down", "mixture on top", "flow", "von_mises_fisher"])
def test_bounds_against_quadrature(kind):
    """IWAE and annealing agree with ∫∫ p(x|z) p(z) dz on a grid, and the ELBO is below."""
    model, repeats = small_model(kind), 10
    X = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    line = np.linspace(-9, 9, 401)
    grid = torch.from_numpy(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))
    with torch.no_grad():
        log_prior = model.prior().log_prob(grid).numpy() + 2 * np.log(line[1] - line[0])
        assert float(logsumexp(log_prior)) == pytest.approx(0, abs=1e-3)
        exact = [logsumexp(model.decoder(grid).log_prob(torch.from_numpy(x)).numpy() + log_prior) for x in X]
    model = model.float()
    own = X + 1e-9 * np.arange(repeats)[:, None, None]  # rows of their own, so that each has its own noise
    rows = rows_of(own.reshape(-1, 4))
    found, annealed = measure(model, rows, 2000), annealed_bound(model, rows, chains=100, temperatures=20)
    for told in (found.log_likelihood, annealed):
        ratio = np.exp(told.reshape(repeats, -1) - exact)  # E[w] = p(x)
        assert (np.abs(ratio.mean(0) - 1) < 4 * ratio.std(0, ddof=1) / repeats**0.5 + 1e-3).all()
        assert ratio.std(0).min() > 0
        assert ratio.std(0).max() < 0.5  # else nothing was tested
    assert (found.elbo.reshape(repeats, -1).mean(0) < exact).all()


@pytest.mark.parametrize(
    ("usual", "other"), [(NegativeIWAE, DoublyReparameterizedIWAE), (NegativeELBO, StickingTheLanding)]
)
@pytest.mark.parametrize("kind", DETACHABLE)
def test_path_gradients_have_the_expectation_of_the_usual_ones(kind, usual, other):
    """Of every parameter: of a posterior from the top, the prior's networks are among its own.

    Both by the same draws, so that what is common to them does not hide their difference.
    """
    model = small_model(kind)
    few = VariationalAutoEncoder(model.encoder, model.decoder, model.prior, samples=3)
    rows = torch.tensor([[0.0, 1.0, 1.0, 0.0]], dtype=torch.float64).expand(1000, 4)
    parameters = [p for p in few.parameters() if p.requires_grad]

    def gradients(make, seed):
        torch.manual_seed(seed)
        loss = Loss(few, make())(rows, torch.ones((), dtype=torch.float64)).loss.mean()
        each = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([g.flatten() for g in each])

    one, two = (torch.stack([gradients(make, seed) for seed in range(30)]) for make in (usual, other))
    error = (one - two).std(0) / 30**0.5
    assert float(((one - two).mean(0).abs() / (error + 1e-7)).max()) < 4.5
    assert float(two.abs().max()) > 0.01


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"posterior": "flow", "latent_dim": 1}, "latent_dim must be at least 2"),
        ({"posterior": "von_mises_fisher", "latent_dim": 1}, "latent_dim must be at least 2"),
        ({"posterior": "von_mises_fisher", "prior": "vamp"}, "prior=vamp"),
        ({"posterior": "flow", "objective": "stl"}, "objective=stl cannot be used"),
        ({"posterior": "low_rank", "objective": "tc"}, "objective=tc needs a diagonal posterior"),
        ({"posterior": "full_covariance", "prior": "vamp"}, "prior=vamp"),
        ({"posterior": "top_down"}, "several layers"),
        ({"posterior": "diagonal", "layers": [4, 2]}, "several layers"),
        ({"layers": [4]}, "two or more"),
        ({"layers": [4, 2], "latent_dim": 5}, "sum of the layers"),
        ({"layers": [4, 2], "prior": "vamp"}, "prior=vamp"),
        ({"layers": [4, 1], "prior": "flow"}, "latent_dim must be at least 2"),
        ({"layers": [4, 2], "model": "autoencoder"}, "autoencoder"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, settings, message):
    with pytest.raises(RecipeError, match=message):
        vaekit.train("digits", settings=settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", [*FLOWS, "von_mises_fisher"])
def test_one_dimension_is_refused(name):
    with pytest.raises(VaekitError, match="latent_dim must be at least 2"):
        made(name, 1)


SHORT = {"training.epochs": 2, "training.validations": 2}


@pytest.mark.parametrize(
    "choice",
    [
        *(
            {"posterior": name} | ({"layers": [4, 2]} if POSTERIORS[name].layered else {"latent_dim": 3})
            for name in POSTERIORS
        ),
        {"posterior": "inverse_autoregressive_flow", "latent_dim": 3, "prior": "flow"},
        {"posterior": "von_mises_fisher", "latent_dim": 3, "objective": "dreg", "prior": "mixture"},
        {"layers": [4, 2], "prior": "flow"},
        {"layers": [4, 1], "prior": "mixture", "posterior": "bottom_up"},
        {"layers": [4, 3, 2], "posterior": "bottom_up", "objective": "dreg"},
        {"layers": [4, 2], "encoder": "convolutional", "decoder": "convolutional", "prior": "mixture"},
    ],
)
def test_a_run_goes_through_every_verb(tmp_path, choice):
    part = Posterior.known[choice.get("posterior", "top_down")]
    narrow = {"posterior.hidden": [8]} if "hidden" in part.Options.model_fields else {}
    small = {} if "encoder" in choice else {"encoder.hidden": [16], "decoder.hidden": [16]}
    vaekit.train("digits", settings={**SHORT, **small, **narrow, **choice}, out=tmp_path / "run")
    run = vaekit.load(tmp_path / "run")
    figures = run.evaluate(samples=20)
    independent = run.recipe.posterior.name == "diagonal"  # the parts of the rate are told of such dimensions only
    assert (figures.mutual_information is not None) == independent
    assert figures.elbo <= figures.log_likelihood.value
    X = np.asarray(run.sample(5))
    assert run.encode(X).shape == (5, run.recipe.latent_dim)
    np.testing.assert_array_equal(run.score_samples(X), vaekit.load(tmp_path / "run").score_samples(X))
    assert write_report(run).exists()
    assert ("rate" in dict(figures.rows())) == independent


def test_a_run_whose_posterior_is_not_told_is_refused(tmp_path):
    vaekit.train("digits", settings=SHORT, out=tmp_path / "run")
    path = tmp_path / "run" / "recipe.toml"
    text = path.read_text()
    kept = [part for part in text.split("\n\n") if not part.startswith("[posterior]")]
    write_sealed(path, "\n\n".join(kept))
    assert path.read_text() != text
    with pytest.raises(RunError, match=r"recipe.toml.* is damaged, or was changed"):
        vaekit.load(tmp_path / "run")


def test_corruption_hides_from_the_encoder_in_training_alone():
    torch.manual_seed(0)
    encoder = Encoder(torch.nn.Identity(), FullCovariance(1), corruption=0.5)
    x = torch.ones(4000, 2)
    share = float((encoder(x).mean == 0).float().mean())
    assert share == pytest.approx(0.5, abs=0.05)
    assert float(encoder.eval()(x).mean.min()) == 1
