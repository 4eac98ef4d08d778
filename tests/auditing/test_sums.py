"""Sums over all rows: the space, the grid, the estimator with its error, and importance sampling."""

import doctest
import importlib
import math
import pkgutil

import faulty
import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t, poisson

import vaekit
from vaekit import auditing
from vaekit.auditing import Cell, Space, Subject
from vaekit.auditing.checks.total import Total, add_up
from vaekit.auditing.proposal import Proposal, adapt
from vaekit.evaluation.grid import Grid


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def total(log_prob, *arguments, **options):
    """What is said about the sum, and its logarithm if that is a finding."""
    audit = vaekit.audit(log_prob, *arguments, **options)
    verdicts = [each for each in (*audit.findings, *audit.measured, *audit.skipped) if each.check == "total"]
    return verdicts[0].text, getattr(verdicts[0], "size", None)


def test_all_rows_are_listed_once():
    grid = Space.of((2, 2), "levels", 3, None).grid(None, 100)
    assert len(np.unique(grid.points, axis=0)) == 81
    assert (grid.weights == 1).all()
    assert Space.of((2, 2), "levels", 3, None).grid(None, 80) is None


def test_counts_are_summed_beyond_the_greatest():
    rows = poisson.rvs(2.5, size=(50, 2), random_state=0)

    def log_prob(x):
        return poisson.logpmf(x, 2.5).sum(1)

    assert total(log_prob, (2,), "counts", rows=rows, exact=True)[1] is None
    assert total(lambda x: log_prob(x) + 2.5, (2,), "counts", rows=rows)[1] == pytest.approx(2.5, abs=1e-6)


@pytest.mark.parametrize(("shape", "slack"), [((1,), 1e-6), ((2,), 1e-4)])
def test_a_density_is_integrated_on_a_grid(rng, shape, slack):
    rows = 5 + 2 * rng.normal(size=(200, *shape))

    def log_prob(x):
        return faulty.normal((x - 5) / 2) - math.prod(shape) * math.log(2)

    assert total(log_prob, shape, "real", rows=rows, exact=True)[1] is None
    assert total(lambda x: log_prob(x) + 0.01, shape, "real", rows=rows)[1] == pytest.approx(0.01, abs=slack)


def test_heavy_tails_without_rows():
    def cauchy(x):
        return -np.log(np.pi * (1 + x[:, 0] ** 2))

    assert total(cauchy, (1,), "real", exact=True)[1] is None


def test_a_table_with_point_masses_and_numbers(rng):
    """A cell is 0 with probability .3, else N(1, 1) in units of intervals of width .5; the other has three categories."""
    space = Space((2,), (Cell((0.0,), True, 0.5), Cell((0.0, 1.0, 2.0))))

    def log_prob(x, excess=0.0):
        number = math.log(0.7) - 0.5 * ((x[:, 0] - 1) ** 2 + faulty.LOG_2PI) + math.log(0.5)
        first = np.where(x[:, 0] == 0, math.log(0.3), number)
        return first + np.log([0.2, 0.5, 0.3])[x[:, 1].astype(int)] + excess

    rows = np.stack([np.where(rng.random(300) < 0.3, 0, rng.normal(1, 1, 300)), rng.choice(3, 300)], 1)
    for options in ({}, {"evaluations": 4000}):  # on a grid, and by importance sampling
        fine = Subject(log_prob, space, rows, **options)
        assert not any(isinstance(each, auditing.Finding) for each in Total().judge(fine))
        wrong = Subject(lambda x: log_prob(x, 0.2), space, rows, **options)
        (finding,) = Total().judge(wrong)
        assert finding.size == pytest.approx(0.2, abs=1e-4 + 5 * (finding.standard_error or 0))


def test_the_jackknife_removes_the_bias_of_the_exponent(rng):
    """The mean of exp(mean) over S draws is too large by half the variance over S, in first order."""
    mean, deviation, n, seeds = math.log(1 / 400), 0.8, 400, 16
    sums = [add_up(rng.normal(mean, deviation, (seeds, n)), np.zeros(n)) for _ in range(300)]
    values, errors = np.exp([each.log_value for each in sums]), np.array([each.relative_error for each in sums])
    assert values.mean() == pytest.approx(1, abs=0.003)
    assert values.std() == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.2)
    naive = np.exp(rng.normal(mean, deviation / 4, (300, n))).sum(1).mean()
    assert naive == pytest.approx(1 + deviation**2 / 2 / seeds, abs=0.003)


def test_the_error_of_a_sample_is_that_of_repeated_samples(rng):
    """p = N(0, 1) from draws of a Student t."""
    student = multivariate_t(np.zeros(1), np.eye(1), df=5)
    found = []
    for _ in range(200):
        x = student.rvs(500, random_state=rng)
        found.append(add_up(faulty.normal(x)[None], -student.logpdf(x), sampled=True))
    values = np.exp([each.log_value for each in found])
    assert values.mean() == pytest.approx(1, abs=0.005)
    assert values.std() == pytest.approx(np.mean([each.relative_error for each in found]), rel=0.15)


def test_impossible_rows_count_as_nothing():
    assert add_up(np.array([[-np.inf, math.log(0.25)]]), np.zeros(2)).log_value == pytest.approx(math.log(0.25))
    assert add_up(np.full((1, 3), -np.inf), np.zeros(3)).log_value == -np.inf


@pytest.mark.parametrize("kind", ["listed", "mixed"])
def test_a_proposal_is_a_density_and_draws_follow_it(rng, kind):
    if kind == "listed":
        space, rows = Space.of((4,), "levels", 3, None), rng.choice(3, (300, 4), p=[0.6, 0.3, 0.1]).astype(float)
    else:
        space = Space((2,), (Cell((0.0, 5.0), True, 0.5), Cell((0.0, 1.0, 2.0))))
        first = np.where(rng.random(300) < 0.5, rng.choice([0.0, 5.0], 300), rng.normal(1, 2, 300))
        rows = np.stack([first, rng.choice(3, 300)], 1)
    proposal = Proposal.fit(space, rows, rng)
    grid = space.grid(rows, 60_000)
    assert isinstance(grid, Grid)
    p = np.exp(proposal.log_prob(grid.points))
    assert grid.integrate(p)[0] == pytest.approx(1, abs=1e-6)
    drawn = proposal.draw(20_000, rng)
    for value in space.cells[0].values:
        expected = grid.weights[grid.points[:, 0] == value] @ p[grid.points[:, 0] == value]
        assert (drawn[:, 0] == value).mean() == pytest.approx(expected, abs=0.015)


def test_a_proposal_adapts_to_correlated_numbers_far_away(rng):
    W = rng.normal(size=(6, 2))
    target = multivariate_normal(np.full(6, 4.0), W @ W.T + 0.05 * np.eye(6))
    space = Space.of((6,), "real", 0, None)
    _, share = adapt(space, target.rvs(200, random_state=1), target.logpdf, rng)
    assert share > 0.5


def test_importance_sampling_accuses_and_does_not_acquit(rng):
    target = multivariate_normal(np.zeros(5), np.eye(5) + 0.5)
    rows = target.rvs(300, random_state=0)
    text, size = total(target.logpdf, (5,), "real", rows=rows, evaluations=1 << 13)
    assert size is None
    assert "no proof" in text
    text, size = total(lambda x: target.logpdf(x) + 0.1, (5,), "real", rows=rows, evaluations=1 << 13)
    assert size == pytest.approx(0.1, abs=0.03)
    assert "effective" in text


def test_large_pictures_that_forget_a_pixel_are_accused_by_sampling(rng):
    shares = rng.uniform(0.2, 0.8, 36)

    def log_prob(x, first=0):
        x = x.reshape(len(x), -1)
        return (np.log(shares) * x + np.log(1 - shares) * (1 - x))[:, first:].sum(1)

    rows = (rng.random((500, 36)) < shares).reshape(-1, 6, 6)
    assert total(log_prob, (6, 6), rows=rows, evaluations=1 << 13)[1] is None
    size = total(lambda x: log_prob(x, 1), (6, 6), rows=rows, evaluations=1 << 13)[1]
    assert size == pytest.approx(math.log(2), abs=0.1)


def test_too_few_effective_draws_are_not_judged(rng):
    """A needle of probability ½ in 2^100 rows, which no sample finds."""
    needle = rng.integers(0, 2, 100)

    def log_prob(x):
        there = (x.reshape(len(x), -1) == needle).all(1)
        return np.where(there, math.log(0.5), math.log(0.5) - 100 * math.log(2) - 30 * x.reshape(len(x), -1)[:, 0])

    text, size = total(lambda x: log_prob(x) - 5 * x.sum((1, 2)) ** 2, (10, 10), evaluations=1 << 12)
    assert size is None
    assert text.startswith("Σ p(x) cannot be judged")


def test_rows_that_are_together_more_likely_than_one_accuse_without_a_sample(rng):
    rows = rng.integers(0, 2, (40, 20, 20))

    def log_prob(x):
        near = (x[:, None] != rows[None]).sum((2, 3)).min(1)
        return math.log(0.1) - 200.0 * near

    text, size = total(log_prob, (20, 20), rows=rows, evaluations=1 << 11)
    assert size == pytest.approx(math.log(4), rel=1e-6)
    assert "40 different rows alone" in text


@pytest.mark.parametrize("name", [m.name for m in pkgutil.walk_packages(auditing.__path__, "vaekit.auditing.")])
def test_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
