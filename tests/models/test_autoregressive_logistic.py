"""Pictures whose pixels depend on those before them, against enumeration and formulas written with numpy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

import oracles
import vaekit
from vaekit.data import Schema
from vaekit.distributions import autoregressive_logistic
from vaekit.distributions.autoregressive_logistic import MEAN_DRAWS
from vaekit.errors import RecipeError, VaekitError
from vaekit.models.likelihoods import AutoregressiveLogistic
from vaekit.recipe import load_recipe, resolve

CASES = {"grey": ((2, 3, 1), 3), "colour": ((1, 2, 3), 2), "two channels": ((2, 1, 2), 3)}


def made(case, seed=0, radius=2):
    """A likelihood with random weights, a network's output for two examples, and all pictures."""
    shape, levels = CASES[case]
    torch.manual_seed(seed)
    likelihood = AutoregressiveLogistic(shape, levels, components=2, features=2, radius=radius, hidden=(5, 4)).double()
    with torch.no_grad():
        for weight in likelihood.parameters():
            weight.add_(0.6 * torch.randn_like(weight))
    pictures = np.array(list(product(range(levels), repeat=int(np.prod(shape)))), float).reshape(-1, *shape)
    return likelihood, torch.randn(2, *shape, 2).double(), torch.from_numpy(pictures)


def by_hand(likelihood, raw, picture):
    """log p(x_ij | pixels before) of one picture and one output of the network, pixel by pixel."""
    height, width, channels = picture.shape
    half, r, net = (likelihood.levels - 1) / 2, likelihood.pixels.radius, likelihood.pixels
    weights = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    features = (raw + likelihood.offset).detach().numpy().reshape(height, width, -1)
    found = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        hidden, steps = weights["around.bias"].copy(), np.zeros(2 * channels)
        for di, dj in product(range(-r, 1), range(-r, r + 1)):
            before = (di < 0 or dj < 0) and i + di >= 0 and 0 <= j + dj < width
            if before:
                scaled = picture[i + di, j + dj] / half - 1
                hidden += weights["around.weight"][:, :, r + di, r + dj] @ np.append(scaled, 1)
                steps += weights["predict.weight"][:, :, r + di, r + dj] @ scaled
        hidden = silu(hidden + weights["decoded.weight"] @ features[i, j])
        hidden = silu(weights["inner.0.weight"] @ hidden + weights["inner.0.bias"])
        output = weights["output.weight"] @ hidden + weights["output.bias"]
        neighbours = [(i, j - 1), (i - 1, j), (i - 1, j - 1), (i - 1, j + 1)]
        there = [a >= 0 and 0 <= b < width for a, b in neighbours]
        w = np.exp(output[:6]) * [*there, 1, 1]
        w /= w.sum()
        here = picture[i, j]
        total = sum(w[n] for n in range(4) if there[n] and (picture[neighbours[n]] == here).all())
        location = half * ((output[6 : 6 + 2 * channels] + steps).reshape(2, channels) + 1)
        low, high = -7 - max(0, np.log(half / 127.5)), 3
        scale = half * np.exp(clamp(output[6 + 2 * channels : 6 + 4 * channels], low, high).reshape(2, channels))
        coupling = np.tanh(output[6 + 4 * channels :].reshape(2, -1))
        for m in range(2):
            each = w[4 + m]
            for c in range(channels):
                pairs = coupling[m, c * (c - 1) // 2 : c * (c + 1) // 2]
                each *= level(here[c], location[m, c] + pairs @ (here[:c] - half), scale[m, c], likelihood.levels)
            total += each
        found[i, j] = np.log(total)
    return found


def pictures_of(size):
    return Schema(kind="levels", shape=(size, size, 3), levels=256, picture=True, dtype="uint8")


def silu(x):
    return x * oracles.sigmoid(x)


def clamp(x, low, high):
    return low + np.logaddexp(0, x - low) - np.logaddexp(0, x - high)


def level(k, location, scale, levels):
    above = 1.0 if k == levels - 1 else oracles.sigmoid((k + 0.5 - location) / scale)
    return above - (0.0 if k == 0 else oracles.sigmoid((k - 0.5 - location) / scale))


@pytest.mark.parametrize("case", CASES)
def test_each_pixel_has_the_mixture_by_hand_and_all_pictures_sum_to_one(case):
    likelihood, raw, pictures = made(case)
    p = likelihood(raw)
    log_p = p.log_prob(pictures.unsqueeze(1)).detach().numpy()
    np.testing.assert_allclose(np.exp(log_p).sum(0), 1, rtol=1e-10)
    for which, example in product(range(0, len(pictures), max(1, len(pictures) // 12)), range(2)):
        expected = by_hand(likelihood, raw[example], pictures[which].numpy())
        each = p.base_dist.log_prob(pictures[which]).detach().numpy()[example]
        np.testing.assert_allclose(each, expected, rtol=1e-9)
        assert log_p[which, example] == pytest.approx(expected.sum(), rel=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_draws_follow_the_joint_distribution(case):
    # two tests of goodness of fit for each case at 1e-6
    likelihood, raw, pictures = made(case, seed=3)
    p, (shape, levels) = likelihood(raw), CASES[case]
    torch.manual_seed(1)
    drawn = p.sample((20_000,)).reshape(20_000, 2, -1).numpy()
    place = levels ** np.arange(np.prod(shape))[::-1]
    whole = p.log_prob(pictures.unsqueeze(1)).exp().detach().numpy()
    for example in range(2):
        seen = np.bincount((drawn[:, example] @ place).astype(int), minlength=len(pictures))
        expected = 20_000 * whole[:, example]
        few = expected < 5
        groups = [(seen[~few], expected[~few]), ([seen[few].sum()], [expected[few].sum()])][: 1 + few.any()]
        found, wanted = (np.concatenate(each) for each in zip(*groups, strict=True))
        assert stats.chisquare(found, wanted).pvalue > 1e-6


def test_the_mean_is_near_the_exact_one_and_the_same_on_every_call(monkeypatch):
    likelihood, raw, pictures = made("grey")
    p = likelihood(raw)
    exact = torch.tensordot(p.log_prob(pictures.unsqueeze(1)).exp().T, pictures, 1)
    found = p.mean
    np.testing.assert_allclose(found.numpy(), exact.detach().numpy(), atol=2.5 / np.sqrt(MEAN_DRAWS))
    torch.testing.assert_close(likelihood(raw[1:]).mean[0], found[1], rtol=0, atol=0)  # whatever stands beside it
    monkeypatch.setattr(autoregressive_logistic, "MOST_NUMBERS", 3 * raw[0].numel())
    torch.testing.assert_close(p.mean, found, rtol=0, atol=0)


def test_a_pixel_depends_on_those_before_it_within_the_window_only():
    likelihood, _, _ = made("grey", radius=1)
    larger = AutoregressiveLogistic((4, 5, 1), 3, components=2, features=2, radius=1, hidden=(5, 4)).double()
    larger.pixels.load_state_dict(likelihood.pixels.state_dict())
    raw, picture = torch.randn(4, 5, 1, 2).double(), torch.randint(0, 3, (4, 5, 1)).double()
    before = larger(raw).base_dist.log_prob(picture)
    changed = picture.clone()
    changed[1, 2] = (changed[1, 2] + 1) % 3
    moved = (larger(raw).base_dist.log_prob(changed) != before).numpy()
    expected = np.zeros((4, 5), bool)
    expected[1, 2:4] = expected[2, 1:4] = True  # itself, to its right, and the three below it
    np.testing.assert_array_equal(moved, expected)


def test_several_draws_of_z_are_measured_as_each_alone():
    likelihood, raw, pictures = made("colour")
    several, x = torch.stack([raw, raw.flip(0), 2 * raw]), pictures[[5, 40]]
    found = likelihood(several).log_prob(x)
    assert found.shape == (3, 2)
    torch.testing.assert_close(found, torch.stack([likelihood(each).log_prob(x) for each in several]))


def test_it_starts_at_the_shares_of_copies_and_the_spread_of_steps():
    likelihood = AutoregressiveLogistic((1, 3, 1), 256)
    # of four pixels with one to their left, three are copies; the fourth steps by 40
    likelihood.start(torch.tensor([[7.0, 7.0, 7.0], [9.0, 49.0, 49.0]]).reshape(2, 1, 3, 1))
    bias = likelihood.pixels.output.bias.detach().numpy()
    assert np.exp(bias[0]) == pytest.approx(3 / 6)  # of all pixels, with those that have no neighbour
    wide = 40 * np.sqrt(3) / np.pi
    assert 127.5 * np.exp(bias[10:13]) == pytest.approx([wide, np.sqrt(wide), 1])


def test_neighbouring_levels_are_told_apart_in_reduced_precision():
    likelihood = AutoregressiveLogistic((1, 2, 1), 256)
    with torch.no_grad():
        likelihood.pixels.output.bias[:4] = -20.0  # no copies
        likelihood.pixels.output.bias[10:13] = -7.0
    raw, x = torch.zeros(1, 2, 1, 8), torch.tensor([[201.0, 201.0], [201.0, 202.0]]).reshape(2, 1, 2, 1)
    with torch.autocast("cpu", torch.bfloat16):
        same, next_one = likelihood(raw).base_dist.log_prob(x)[:, 0, 1].tolist()
    assert same > next_one + 2


def test_it_is_the_default_for_large_pictures_of_levels():
    large, small = (resolve(load_recipe("auto"), pictures_of(size), 1000)[0] for size in (48, 32))
    assert large.likelihood.name == "autoregressive_logistic"
    assert small.likelihood.name == "discretized_logistic"


def test_a_decoder_of_ones_own_has_a_location_and_a_scale_for_each_value(tmp_path):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(4, 48 * 48 * 3 * 2)

        def forward(self, z):
            return self.linear(z).unflatten(-1, (48, 48, 3, 2))

    X = np.random.default_rng(0).integers(0, 256, (40, 48, 48, 3)).astype(np.uint8)
    settings = {"training.epochs": 1, "training.validations": 1, "latent_dim": 4, "encoder.channels": [4]}
    run = vaekit.train(X, decoder=Own(), settings=settings, out=tmp_path / "run")
    assert run.recipe.likelihood.name == "discretized_logistic"


def test_tables_are_refused():
    with pytest.raises(VaekitError, match=r"event_shape must be \(height, width, channels\). Got \(5,\)"):
        AutoregressiveLogistic((5,), 256)
    recipe = load_recipe("auto", {"likelihood": "autoregressive_logistic"}.items())
    with pytest.raises(RecipeError, match="likelihood=autoregressive_logistic takes pictures, not tables"):
        resolve(recipe, Schema(kind="levels", shape=(5,), levels=256), 1000)
