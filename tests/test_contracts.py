"""The package's parts keep the contracts that strangers' parts are judged by, and broken ones are refused."""

from __future__ import annotations

import doctest
import importlib
import math
import pkgutil
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import vaekit.testing
from vaekit.data import Layout
from vaekit.data.tables.marginals import Marginal
from vaekit.distributions import DiagonalNormal
from vaekit.errors import VaekitError
from vaekit.models import Diagonal, Encoder, LayeredPrior, Likelihood, Posterior, Prior, StandardNormal
from vaekit.models.likelihoods import Bernoulli, Categorical, Gaussian, Poisson
from vaekit.networks import MLP, Network
from vaekit.networks.mlp import MLPNetwork
from vaekit.objectives import NegativeELBO, NegativeIWAE, NegativeRenyi, Objective, Terms
from vaekit.parts import Plan
from vaekit.testing import (
    ContractError,
    check_likelihood,
    check_network,
    check_objective,
    check_posterior,
    check_prior,
    check_round_trip,
)
from vaekit.training.optimizers import Optimizer

SMALL = {
    "components": 3,
    "transforms": 2,
    "hidden": (8,),
    "context": 3,
    "rank": 1,
    "channels": (4,),
    "free_bits": 0.05,
    "width": 8,
}
VARIANCES = (0.3, "learned", "per_feature", "predicted")
LAYOUT = Layout(
    sizes=(3,),
    on_grid=(True, False),
    edges=((-1.0, 1.0), (-math.inf, math.inf)),
    lists=(-1, -1),
    marginals=(
        Marginal(bounds=(0, 3), knots=(-0.5, 3.5), scores=(-4 / 3, 4 / 3), tails=(2 / 3, 2 / 3), spacing=1.0),
        Marginal(knots=(-1.0, 1.0), scores=(-1.0, 1.0), tails=(1.0, 1.0)),
    ),
    neighbours=(
        (1,),
        (),
    ),  # a component near another cell is narrower than the points by which densities are integrated
    exact=(True, False),
)
MEAN_DRAWS = {"autoregressive_bernoulli": 32, "autoregressive_logistic": 16}
FLOWING = ("flow", "inverse_autoregressive_flow", "bottom_up", "top_down")
"""Posteriors whose moments are estimated by 64 draws."""


def small(part, **others):
    """Options under which a part is small."""
    return part.Options(**{k: v for k, v in (SMALL | others).items() if k in part.Options.model_fields})


def known(kind):
    """The package's own parts of a kind."""
    return {name: part for name, part in kind.known.items() if part.__module__.startswith("vaekit.")}


def sizes(kind):
    """Names of parts with one and with two latent dimensions, where they go with both."""
    for name, part in known(kind).items():
        only_two = name.endswith("flow") or getattr(part, "two_dimensions", False) or getattr(part, "layered", False)
        yield from ((name, d) for d in ((2,) if only_two else (1, 2)))


@pytest.mark.parametrize(("name", "latent_dim"), list(sizes(Prior)))
def test_priors(name, latent_dim):
    part = Prior.known[name]
    torch.manual_seed(0)
    inference = Encoder(MLP((3,), (2 * latent_dim,)), Diagonal(latent_dim))
    plan = Plan(latent_dim=latent_dim, event_shape=(3,), built={"inference": inference})
    check_prior(part.build(small(part), plan), x=torch.randn(9, 3))


def test_a_prior_of_layers():
    check_prior(LayeredPrior((1, 1), (4,)))


@pytest.mark.parametrize(("name", "latent_dim"), list(sizes(Posterior)))
def test_posteriors(name, latent_dim):
    part = Posterior.known[name]
    torch.manual_seed(0)
    layers = (1, 1) if part.layered else ()
    plan = Plan(latent_dim=latent_dim, layers=layers, built={"layers": LayeredPrior((1, 1), (4,))})
    check_posterior(part.build(small(part), plan), moment_draws=64 if name in FLOWING else 0)


def likelihoods():
    for name, part in known(Likelihood).items():
        for variance in VARIANCES if part.density else (None,):
            most = 2 if part.density or "counts" in part.kinds else 3
            yield from ((name, variance, numbers) for numbers in ((1,) if "mixed" in part.kinds else (1, most)))


def rows_for(name, event):
    """Rows for the start of likelihoods that ask more of them than to be possible: scores of a table are normal, and a
    logistic has no use for levels that pile up at both ends."""
    normal = torch.randn(200, 2)
    if name.endswith("mixed"):
        lattice = (normal[:, :1] * 1.5).round().clamp(-1, 1)
        return torch.cat([torch.randint(0, 2, (200, 1)), lattice, normal[:, 1:], torch.zeros(200, 3)], 1)
    return (2 + torch.randn(200, *event)).round().clamp(0, 4) if "logistic" in name else None


@pytest.mark.parametrize(("name", "variance", "numbers"), list(likelihoods()))
def test_likelihoods(name, variance, numbers):
    part = Likelihood.known[name]
    torch.manual_seed(0)
    options = small(part, **({"variance": variance} if variance else {}))
    event = (1, numbers, 1) if name == "autoregressive_logistic" else (numbers,)
    built = part.build(options, Plan(event_shape=event, levels=5, layout=LAYOUT))
    check_likelihood(built, x=rows_for(name, event), moment_draws=MEAN_DRAWS.get(name, 0))


@pytest.mark.parametrize("weight", [1.0, 2.0])
@pytest.mark.parametrize("name", known(Objective))
def test_objectives(name, weight):
    part = Objective.known[name]
    options = small(part, kl_weight=weight)
    built = part.build(options, Plan(latent_dim=2, rows=100))
    check_objective(built, options, model="autoencoder" if name == "reconstruction" else "vae")


@pytest.mark.parametrize("block", ["plain", "gated", "residual"])
@pytest.mark.parametrize("name", known(Network))
def test_networks(name, block):
    part = Network.known[name]
    torch.manual_seed(0)
    check_network(part, small(part, block=block), event_shape=(5, 4, 1) if name == "convolutional" else (3,))


def of_recipes():
    rng = np.random.default_rng(0)
    table = pa.table({"a": rng.normal(size=120), "b": rng.choice(["u", "v", "w"], 120)})
    for kind in (Prior, Posterior, Likelihood, Network, Objective, Optimizer):
        for name, part in known(kind).items():
            source, settings = "digits", {}
            if name in ("top_down", "bottom_up"):
                settings = {"layers": [2, 1], "latent_dim": 3}
            elif name == "reconstruction":
                settings = {"model": "autoencoder"}
            elif kind is Likelihood and part.kinds == {"binary"}:
                settings = {"data.binarize": "dynamic"}
            elif kind is Likelihood and "levels" not in part.kinds:
                source = table if "mixed" in part.kinds else rng.normal(size=(120, 3))
            yield pytest.param(part, source, settings, id=f"{part.section}-{name}")


@pytest.mark.parametrize(("part", "source", "settings"), list(of_recipes()))
def test_the_way_through_a_run_folder(part, source, settings):
    check_round_trip(small(part), source, settings)


# Contracts broken on purpose. The classes have no names of their own, and so are not registered.


class Changed(DiagonalNormal):
    """A Gaussian whose log-density is off by a constant."""

    def log_prob(self, value):
        return super().log_prob(value) + 0.1


class Offset(StandardNormal):
    def forward(self):
        return Changed(self.mean, torch.ones_like(self.mean))


class Elsewhere(StandardNormal):
    """Draws are wider than the density."""

    def forward(self):
        p = super().forward()
        p.sample = lambda shape: 1.1 * torch.randn(*shape, *p.event_shape, dtype=torch.float64)
        return p


class CutOff(StandardNormal):
    def __init__(self, latent_dim):
        super().__init__(latent_dim)
        self.shift = nn.Parameter(torch.zeros(latent_dim))

    def forward(self):
        return DiagonalNormal(self.mean + self.shift.data, torch.ones_like(self.mean))


class Bounded(StandardNormal):
    """Uniform, so that a posterior's draws may have no density at all."""

    def forward(self):
        return torch.distributions.Independent(torch.distributions.Uniform(-3 + self.mean, 3 + self.mean, False), 1)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (Offset(1), r"exp\(log_prob\) sums to 1.105\d* instead of 1 over all z, .* lacks a constant"),
        (Offset(2), r"exp\(log_prob\) sums to 1.105"),
        (Elsewhere(1), r"the mean of (cos|sin)\(.*\) is .* over 20,000 draws and .* under exp\(log_prob\)"),
        (
            CutOff(2),
            r"the gradient of log_prob with respect to shift is 0 along a random direction, but central differences give",
        ),
        (Bounded(1), r"log_prob is -inf at z = "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_priors(prior, message):
    with pytest.raises(ContractError, match=rf"^{type(prior).__name__}: {message}"):
        check_prior(prior)


class Stretched(DiagonalNormal):
    """z = μ + 2σε, whose density forgets the 2."""

    def reparameterize(self, noise):
        return super().reparameterize(2 * noise)

    def standardize(self, z):
        return super().standardize(z) / 2


class OneWay(DiagonalNormal):
    def standardize(self, z):
        return super().standardize(z) + 0.01


class Centred(DiagonalNormal):
    """Rows are moved by the mean of all of them."""

    def __init__(self, mean, std):
        super().__init__(mean - mean.mean(0, keepdim=True) / 10, std)


class Deaf(DiagonalNormal):
    """The features are ignored."""

    def __init__(self, mean, std):
        super().__init__(0 * mean, torch.ones_like(std))


class Flat(DiagonalNormal):
    @property
    def variance(self):
        return super().variance.sum(-1)


class HalfDetached(DiagonalNormal):
    def detached(self):
        return DiagonalNormal(self.mean.detach(), self.stddev)


class WrongMean(DiagonalNormal):
    @property
    def mean(self):
        return 1.01 * super().mean


@torch.distributions.register_kl(WrongMean, DiagonalNormal)
def _kl(q, p):
    return 1.01 * q.kl_per_dimension(p).sum(-1)


class WrongRate(WrongMean):
    mean = DiagonalNormal.mean


def posterior_of(distribution, low=-9.0):
    class Made(Diagonal):
        def forward(self, features):
            mean, raw = features.chunk(2, -1)
            return distribution(mean, raw.clamp(min=low).exp())

    Made.__name__ = distribution.__name__
    return Made(2)


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        (Stretched, r"log_prob of a draw is \S+ instead of \S+ at z = .* leaves out the determinant"),
        (OneWay, r"standardize\(reparameterize\(ε\)\) is \S+ instead of \S+ at ε = "),
        (Centred, r"reparameterize of row 0 differs by \S+ between the row alone and a batch of 3 rows"),
        (Deaf, r"reparameterize of row 0 does not depend on that row"),
        (Flat, r"the variance of z \(features .*\) has the shape \(\) instead of \(2,\)"),
        (HalfDetached, r"log_prob of detached\(\) has a gradient of \S+ with respect to features"),
        (WrongMean, r"the mean of z \(features .*\) is \S+ instead of .* the closed form of the mean"),
        (WrongRate, r"Draws.rate\(\) from N\(0, I\) is \S+ instead of .* the registered kl_divergence"),
    ],
)
def test_broken_posteriors(distribution, message):
    with pytest.raises(ContractError, match=rf"^{distribution.__name__}: {message}"):
        check_posterior(posterior_of(distribution))


def test_a_posterior_whose_scale_is_not_bounded():
    with pytest.raises(ContractError, match=r"is (nan|-?inf).*soft_clamp"):
        check_posterior(
            posterior_of(
                type(
                    "Wide",
                    (DiagonalNormal,),
                    {"log_prob": lambda q, z: DiagonalNormal(q.mean, q.stddev * 1e-45 / 1e-45).log_prob(z)},
                ),
                low=-200.0,
            )
        )


class Overconfident(Bernoulli):
    """Draws are rounded."""

    def distribution(self, parameters):
        p = super().distribution(parameters)
        p.sample = lambda shape=(): (p.probs > 0.5).double().expand(*shape, *p.batch_shape)
        return p


class Unnormalised(Categorical):
    def distribution(self, parameters):
        p = super().distribution(parameters)
        p.log_prob = lambda x: p.logits.expand(*x.shape, -1).gather(-1, x.long().unsqueeze(-1)).squeeze(-1) + 0.01
        return p


class Batched(Gaussian):
    def distribution(self, parameters):
        return super().distribution(parameters - parameters.mean(0, keepdim=True) * (len(parameters) > 1) / 10)


class BadStart(Poisson):
    def start(self, x):
        self.offset.data.fill_(5.0)


class Careless(Gaussian):
    def std(self, parameters):
        return (5 * parameters[..., 1]).exp()


@pytest.mark.parametrize(
    ("likelihood", "message"),
    [
        (Overconfident((2,)), r"the mean of (cos|sin)\(.*\) is .* over 20,000 draws"),
        (Unnormalised((2,), levels=3), r"exp\(log_prob\) sums to 1.0202\d* instead of 1"),
        (Batched((1,)), r"log_prob of (row|two draws)"),
        (BadStart((1,)), r"the mean of log p\(x\) of 200 rows is \S+ before start\(x\) and \S+ after it"),
        (Careless((1,), variance="predicted"), r"log_prob at x = .* is -?(inf|nan) at network's output = "),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_likelihoods(likelihood, message):
    with pytest.raises(ContractError, match=rf"^{type(likelihood).__name__}: {message}"):
        check_likelihood(likelihood)


class WithoutRate(NegativeELBO):
    """Claims to be a bound, and leaves the rate out."""

    def terms(self, draws, beta):
        terms = super().terms(draws, beta)
        return Terms(terms.distortion + 0 * terms.rate, terms.distortion, terms.rate)


class Scaled(NegativeELBO):
    def terms(self, draws, beta):
        loss, distortion, rate = super().terms(draws, beta)
        return Terms(loss, distortion, 2 * rate)


class Averaged(NegativeELBO):
    def terms(self, draws, beta):
        return Terms(*(each.mean() for each in super().terms(draws, beta)))


class Frozen(NegativeIWAE):
    def draw(self, model, x, samples=None, noise=None):
        with torch.no_grad():
            q = model.encoder(x)
        return model.draw(x, samples, noise, posterior=q)


class Restless(NegativeELBO):
    def terms(self, draws, beta):
        loss, distortion, rate = super().terms(draws, beta)
        return Terms(loss + float(np.random.default_rng().normal()), distortion, rate)


class Learning(NegativeELBO):
    """Holds weights that it does not use."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (WithoutRate, r"minus the loss is \S+ on average over .* draws, above log p\(x\) = \S+ by \d+ standard errors"),
        (lambda: NegativeRenyi(-2.0), r"minus the loss is \S+ on average .* let bounds\(options\) return False"),
        (Scaled, r"the mean of rate over .* is \S+ instead of \S+ at x = .* R is KL"),
        (Averaged, r"loss \(β = 1.0, 6 rows, 1 draws\) has the shape \(\) instead of \(6,\)"),
        (Frozen, r"model.encoder.network.layers.0.weight has no gradient from the loss"),
        (Restless, r"loss with the same seed is \S+ instead of"),
        (Learning, r"objective.scale has no gradient from the loss"),
    ],
)
def test_broken_objectives(objective, message):
    with pytest.raises(ContractError, match=rf"^\w+: {message}"):
        check_objective(objective())


def test_options_say_whether_an_objective_is_a_bound():
    check_objective(NegativeRenyi(-2.0), NegativeRenyi.Options(alpha=-2.0))


def network_of(encoder, decoder=None):
    class Made(Network):
        @classmethod
        def encoder(cls, _options, event_shape, features, _latent_dim):
            return encoder(event_shape, features)

        @classmethod
        def decoder(cls, _options, latent_dim, event_shape, parameters):
            return (decoder or MLP)((latent_dim,), (*event_shape, parameters))

    return Made


def lambda_of(function):
    """A perceptron whose output a function changes."""

    class Made(MLP):
        def forward(self, x):
            return function(super().forward(x), x)

    return lambda given, made: Made(given, made if isinstance(made, tuple) else (made,))


def first_row(y, x):
    return y[:1].expand_as(y)


class Idle(MLP):
    def __init__(self, given, made):
        super().__init__(given, (made,))
        self.unused = nn.Linear(2, 2)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (network_of(lambda_of(first_row)), r"what the encoder returns of row 1 differs by"),
        (network_of(lambda_of(lambda y, x: y - y.mean(0) / 5)), r"what the encoder returns of row 0 differs by"),
        (
            network_of(lambda_of(lambda y, x: 0 * y + 1)),
            r"what the encoder returns of row 0 does not depend on that row",
        ),
        (network_of(Idle), r"unused.weight has no gradient from what the encoder returns"),
        (
            network_of(lambda_of(lambda y, x: y.unsqueeze(0))),
            r"what the encoder returns for 5 rows has the shape \(1, 5, 4\)",
        ),
        (
            network_of(lambda_of(lambda y, x: y), lambda_of(lambda y, x: y[0] if y.dim() > 3 else y)),
            r"what the decoder returns for z of shape \(1, 5, 2\) has the shape \(5, 3, 2\) instead of \(1, 5, 3, 2\)",
        ),
        (
            network_of(lambda_of(lambda y, x: y), lambda_of(lambda y, x: y.flatten(0, -3).reshape(y.shape))),
            r"the decoder raises IndexError \(.*\) for z of shape \(2,\)",
        ),
        (network_of(lambda_of(lambda y, x: y.detach() * x.sum(-1, True))), r"layers.0.weight has no gradient"),
    ],
)
def test_broken_networks(network, message):
    with pytest.raises(ContractError, match=rf"^Made: {message}"):
        check_network(network)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_prior(StandardNormal(3)), "the prior must have 1 or 2 latent dimensions"),
        (lambda: check_posterior(Diagonal(3)), "the posterior must have 1 or 2 latent dimensions"),
        (lambda: check_likelihood(Gaussian((3,))), "must have 1 to 3 numbers, at most 2 of them real"),
        (lambda: check_likelihood(Bernoulli((4,))), "must have 1 to 3 numbers"),
        (lambda: check_likelihood(Categorical((3,), levels=60)), "216,000 combinations of levels"),
        (lambda: check_network(MLPNetwork, event_shape=(40, 40)), "at most 1,000 numbers"),
    ],
)
def test_what_a_grid_cannot_cover_is_refused(check, message):
    with pytest.raises(VaekitError, match=message):
        check()


def test_a_part_is_left_as_it_was():
    prior = Prior.known["mixture"](1, 3)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(())
    torch.manual_seed(5)
    check_prior(prior, x=torch.randn(9, 3, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.rand(()), expected)
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())


def test_the_page_on_parts_of_your_own_runs_as_it_stands(fork_server, tmp_path):
    """In another process, as its parts would be known to all tests of this one."""
    page = (Path(__file__).parent.parent / "docs" / "own-parts.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL))
    assert code.count("\ncheck_") == 10
    (tmp_path / "page.py").write_text(code, encoding="utf-8")
    done = fork_server.run(tmp_path / "page.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["page.py"]


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(vaekit.testing.__path__)])
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"vaekit.testing.{name}")).failed == 0
