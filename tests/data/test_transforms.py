import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaekit.data import BatchNoise, BatchStream, Part, Transform, batch_keys, choose_transforms, infer_schema
from vaekit.data.steps import Affine, Binarize, Dequantize, Select, Threshold
from vaekit.errors import VaekitError

REALS = st.floats(-1e6, 1e6, allow_subnormal=False)
SCALES = st.floats(1e-3, 1e3)
RNG = np.random.default_rng(0)


def schema_of(values, **options):
    return infer_schema(Part(values, np.arange(len(values))), **{"picture": False, **options})


def fit(values, binarize="none", scaling="none", density=False, **options):
    rows = torch.from_numpy(values.astype(np.float64))
    return choose_transforms(schema_of(values, **options), rows, binarize=binarize, scaling=scaling, density=density)


def jacobian_log_det(transform, x):
    """log |det ∂y/∂x| at x, by differentiation."""
    flat = torch.autograd.functional.jacobian(lambda v: transform.forward(v.reshape(1, *x.shape)).flatten(), x)
    return float(torch.linalg.slogdet(flat.reshape(x.numel(), x.numel()))[1])


@given(
    x=arrays(np.float64, (5, 3), elements=REALS), shift=st.tuples(REALS, REALS, REALS), scale=st.tuples(*[SCALES] * 3)
)
def test_affine_inverts_and_its_log_det_is_the_jacobians(x, shift, scale):
    transform = Transform(steps=(Affine(shift=shift, scale=scale, shape=(3,)),))
    x = torch.from_numpy(x)
    y = transform.forward(x)
    np.testing.assert_allclose(y.numpy(), (x.numpy() - shift) / scale, rtol=1e-12, atol=0)
    np.testing.assert_allclose(transform.inverse(y).numpy(), x.numpy(), rtol=1e-9, atol=1e-6)
    assert transform.log_det() == pytest.approx(jacobian_log_det(transform, x[0]), abs=1e-9)
    assert transform.log_det() == pytest.approx(-sum(map(math.log, scale)), abs=1e-9)


@given(scale=SCALES, shape=st.sampled_from([(4,), (2, 3, 1), (3, 2, 2)]))
def test_one_scale_for_all_counts_once_for_each_feature(scale, shape):
    transform = Transform(steps=(Affine(shift=(1.5,), scale=(scale,), shape=shape),))
    x = torch.from_numpy(RNG.normal(size=shape))
    assert transform.log_det() == pytest.approx(-math.prod(shape) * math.log(scale))
    assert transform.log_det() == pytest.approx(jacobian_log_det(transform, x), abs=1e-9)


@given(first=SCALES, second=SCALES)
def test_log_determinants_of_steps_add_up(first, second):
    steps = tuple(Affine(shift=(0.5,), scale=(s,), shape=(3,)) for s in (first, second))
    transform = Transform(steps=steps)
    assert transform.log_det() == pytest.approx(jacobian_log_det(transform, torch.ones(3).double()), abs=1e-9)


@given(
    levels=st.integers(2, 256),
    data=st.data(),
)
def test_dequantisation_stays_within_the_level_and_rounds_back(levels, data):
    x = data.draw(arrays(np.int64, (4, 3), elements=st.integers(0, levels - 1)))
    u = data.draw(arrays(np.float64, (4, 3), elements=st.floats(0, 1, exclude_min=True, exclude_max=True, width=32)))
    transform = Transform(steps=(Dequantize(highest=levels - 1),))
    assert transform.needs_noise
    assert transform.log_det() == 0.0
    y = transform.forward(torch.from_numpy(x).double(), torch.from_numpy(u))
    np.testing.assert_allclose(y.numpy(), x + u, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(transform.inverse(y).numpy(), x)


def test_dequantised_draws_beyond_the_levels_return_into_them():
    y = torch.tensor([[-3.2, 0.99, 16.01, 40.0]])
    assert Dequantize(highest=16).inverse(y).tolist() == [[0.0, 0.0, 16.0, 16.0]]
    assert Dequantize().inverse(y).tolist() == [[0.0, 0.0, 16.0, 40.0]]  # counts have no greatest level


@given(columns=st.integers(2, 8), data=st.data())
def test_selection_leaves_out_and_puts_back(columns, data):
    keep = tuple(sorted(data.draw(st.sets(st.integers(0, columns - 1), min_size=1, max_size=columns - 1))))
    constants = tuple(float(i) + 0.25 for i in range(columns) if i not in keep)
    x = data.draw(arrays(np.float64, (3, columns), elements=REALS))
    for value, i in zip(constants, (i for i in range(columns) if i not in keep), strict=True):
        x[:, i] = value
    transform = Transform(steps=(Select(keep=keep, columns=columns, constants=constants),))
    y = transform.forward(torch.from_numpy(x))
    np.testing.assert_array_equal(y.numpy(), x[:, list(keep)])
    np.testing.assert_array_equal(transform.inverse(y).numpy(), x)
    many = transform.inverse(y.expand(2, *y.shape))  # any leading dimensions
    np.testing.assert_array_equal(many.numpy(), np.stack([x, x]))


def test_binarisation_is_one_with_the_probability_of_the_level():
    """Seventeen z-tests over 20,000 draws each; |z| < 5 raises a false alarm once in 100,000 suites."""
    n, levels = 20_000, 17
    x = torch.arange(levels).double().expand(n, levels)
    u = torch.rand(n, levels, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = Binarize(levels=levels).forward(x, u)
    assert set(y.unique().tolist()) == {0.0, 1.0}
    p = np.arange(levels) / (levels - 1)
    mean = y.mean(0).numpy()
    assert mean[0] == 0.0
    assert mean[-1] == 1.0
    z = (mean[1:-1] - p[1:-1]) / np.sqrt(p[1:-1] * (1 - p[1:-1]) / n)
    assert np.abs(z).max() < 5


def test_binary_steps_return_to_levels_in_the_mean():
    for step in (Binarize(levels=17), Threshold(levels=17)):
        assert step.inverse(torch.tensor([0.0, 0.25, 1.0])).tolist() == [0.0, 4.0, 16.0]


def test_the_threshold_is_the_middle_level():
    assert Threshold(levels=17).forward(torch.arange(17.0)[None], None).sum().item() == 9  # 8 … 16
    assert Threshold(levels=256).forward(torch.tensor([[127.0, 128.0]]), None).tolist() == [[0.0, 1.0]]


def test_which_steps_are_fresh_in_training():
    assert Transform(steps=(Binarize(levels=4),)).fresh_noise
    assert Transform(steps=(Dequantize(),)).fresh_noise
    assert not Transform(steps=(Binarize(levels=4, dynamic=False),)).fresh_noise
    assert Transform(steps=(Binarize(levels=4),)).binarizes
    assert Transform(steps=(Threshold(levels=4),)).binarizes
    assert not Transform(steps=(Threshold(levels=4),)).needs_noise
    assert not Transform(steps=(Dequantize(),)).binarizes


@pytest.mark.parametrize("step", [Binarize(levels=4), Dequantize()])
def test_noise_that_is_needed_must_be_given(step):
    with pytest.raises(VaekitError, match="The transform is random and needs uniform noise"):
        step.forward(torch.ones(1, 2), None)


def test_standardisation_is_measured_on_the_rows():
    x = RNG.normal(size=(500, 3)) * [1.0, 1000.0, 0.01] + [0.0, -7.0, 3.0]
    transform = fit(x, scaling="standardize", density=True)
    y = transform.forward(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(y.std(0), 1.0, rtol=1e-9)
    assert transform.log_det() == pytest.approx(-np.log(x.std(0)).sum())
    np.testing.assert_allclose(transform.inverse(torch.from_numpy(y)).numpy(), x, rtol=1e-12, atol=1e-9)


def test_columns_on_scales_far_apart_are_all_standardised():
    x = RNG.normal(size=(500, 2)) * [1e6, 1e-3]  # a sum of money beside a rate
    y = fit(x, scaling="standardize", density=True).forward(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y.std(0), 1.0, rtol=1e-9)


def test_centring_shifts_and_changes_no_density():
    x = RNG.normal(size=(50, 2)) * 40 + 5
    transform = fit(x, scaling="centre", density=True)
    y = transform.forward(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(y, x - x.mean(0), atol=1e-12)
    assert transform.log_det() == 0.0


def test_levels_to_the_unit_interval():
    x = RNG.integers(0, 17, (30, 4, 3, 1)).astype(np.uint8)
    transform = fit(x, scaling="unit", picture=True, levels=17)
    y = transform.forward(torch.from_numpy(x).float())
    np.testing.assert_allclose(y.numpy(), x / 16, rtol=1e-6)
    assert transform.log_det() == pytest.approx(-12 * math.log(16))


def test_a_density_on_whole_numbers_is_dequantised_and_standardised_with_the_noise():
    x = RNG.poisson(4.0, (4000, 2)).astype(np.int64)
    transform = fit(x, scaling="standardize", density=True)
    assert [step.kind for step in transform.steps] == ["dequantize", "affine"]
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = transform.forward(torch.from_numpy(x).double(), u).numpy()
    np.testing.assert_allclose(y.mean(0), 0.0, atol=0.02)  # mean and spread of x + u, not of x
    np.testing.assert_allclose(y.std(0), 1.0, atol=0.02)
    np.testing.assert_array_equal(transform.inverse(torch.from_numpy(y)).numpy(), x)
    shift = np.array(transform.steps[1].shift)
    np.testing.assert_allclose(shift, x.mean(0) + 0.5)


def test_a_probability_of_whole_numbers_needs_no_noise():
    assert fit(RNG.poisson(4.0, (40, 2)).astype(np.int64)).steps == ()
    assert fit(RNG.normal(size=(40, 2)), density=True).steps == ()


def test_constant_columns_are_left_out_of_every_other_step():
    x = RNG.normal(size=(60, 4)) + 10
    x[:, 0], x[:, 2] = -3.5, 8.0
    transform = fit(x, scaling="standardize", density=True)
    y = transform.forward(torch.from_numpy(x))
    assert y.shape == (60, 2)
    np.testing.assert_allclose(transform.inverse(y).numpy(), x, rtol=1e-12)
    assert transform.log_det() == pytest.approx(-np.log(x[:, [1, 3]].std(0)).sum())


def test_a_pixel_that_never_varies_is_scaled_without_dividing_by_zero():
    x = RNG.normal(size=(30, 2, 2, 1))
    x[:, 0, 0, 0] = 4.0
    transform = fit(x, scaling="standardize", density=True, picture=True)
    y = transform.forward(torch.from_numpy(x))
    assert torch.isfinite(y).all()
    assert math.isfinite(transform.log_det())
    np.testing.assert_allclose(transform.inverse(y).numpy(), x, rtol=1e-9)


def test_a_saved_transform_is_the_same_transform():
    x = RNG.integers(0, 9, (50, 3)).astype(np.int64)
    x[:, 1] = 2
    transform = fit(x, scaling="standardize", density=True)
    again = Transform.model_validate_json(transform.model_dump_json())
    assert again == transform
    u = torch.full((50, 3), 0.5).double()
    assert torch.equal(
        again.forward(torch.from_numpy(x).double(), u), transform.forward(torch.from_numpy(x).double(), u)
    )


def test_transforms_can_be_compared_after_they_were_used():
    first, second = (Transform(steps=(Affine(shift=(1.0, 2.0), scale=(2.0, 3.0), shape=(2,)),)) for _ in range(2))
    other = Transform(steps=(Affine(shift=(1.0, 2.5), scale=(2.0, 3.0), shape=(2,)),))
    for transform in (first, second, other):
        transform.forward(torch.ones(1, 2))
    assert first == second
    assert first != other


@pytest.mark.parametrize(("levels", "dtype"), [(256, np.uint8), (17, np.uint8), (2, np.uint8), (1000, np.int16)])
def test_training_binarises_with_the_exact_probabilities(levels, dtype):
    values = np.linspace(0, levels - 1, 5).round().astype(dtype)
    x = torch.from_numpy(np.repeat(values[None], 200_000, 0)).float()
    uniform = BatchNoise(batch_keys(1, 0, np.arange(200_000))).uniform((5,), BatchStream.TRANSFORM)
    share = Binarize(levels=levels).forward(x, uniform).double().mean(0).numpy()
    expected = values / (levels - 1)
    assert (np.abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / 200_000)).all()
    assert share[0] == 0
    assert share[-1] == 1
