"""Blurred cells have the distribution that they should have, and rows left out choose its scale."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import logsumexp

from vaekit.data import Column, Rows, Source, Transform, all_rows
from vaekit.data.batch_noise import BatchNoise, batch_keys
from vaekit.data.readers.libraries import open_frame
from vaekit.data.tables.blur import SCALES, BlurredRows, blur, choose_scale
from vaekit.data.tables.cells import Layout, fit_cells
from vaekit.data.tables.inference import infer_columns

LAYOUT = Layout(sizes=(2, 4), on_grid=(False, False), edges=((-np.inf, np.inf),) * 2)


def noise(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 2, generator=generator), torch.rand(n, 4, generator=generator)


def test_blurred_numbers_and_categories():
    n, scale = 40_000, 0.7
    x = torch.tensor([1.0, 2.0, 0.5, torch.nan, 0.1, 0.2, 0.3, torch.nan]).expand(n, 8)
    found = blur(x, LAYOUT, scale, *noise(n)).numpy()
    assert stats.kstest((found[:, 2] - 0.5) / scale, "norm").pvalue > 0.01
    share = 0.49 / 1.49
    for slot, own, size in ((0, 1, 2), (1, 2, 4)):
        expected = np.full(size, share / size)
        expected[own] += 1 - share
        counts = np.bincount(found[:, slot].astype(int), minlength=size)
        assert stats.chisquare(counts, n * expected).pvalue > 0.01
    assert np.isnan(found[:, 3]).all()
    assert (found[:, 4:7] == x[:, 4:7].numpy()).all()


def test_blur_of_missing_categories_and_of_no_scale():
    x = torch.tensor([[torch.nan, 3.0, 0.0, 1.0, torch.nan, 0.0, 0.0, 0.0]])
    found = blur(x, LAYOUT, 1.0, torch.zeros(1, 2), torch.tensor([[0.0, 0.0, 0.0, 0.999]]))
    assert found.isnan()[0].tolist() == [True, False, False, False, True, False, False, False]
    assert found[0, 1] == 3
    assert_allclose(blur(x, LAYOUT, 0.0, *noise(1)), x)


def test_density_of_blurred_others_equals_the_sum_over_all_of_them():
    rng = np.random.default_rng(0)
    cells = np.column_stack([rng.integers(0, 2, 12), rng.integers(0, 4, 12), rng.normal(size=(12, 2))]).astype(float)
    cells[1, 0] = cells[2, 3] = cells[3, 1] = np.nan
    scale, share = 0.4, 0.16 / 1.16

    def kernel(own, other):
        total = 0.0
        for slot, size in ((0, 2), (1, 4)):
            if not np.isnan(own[slot]):
                spread = 1.0 if np.isnan(other[slot]) else share
                total += np.log(spread / size + (1 - spread) * (own[slot] == other[slot]))
        for slot in (2, 3):
            if not np.isnan(own[slot]):
                centre, width = (0, np.hypot(1, scale)) if np.isnan(other[slot]) else (other[slot], scale)
                total += stats.norm(centre, width).logpdf(own[slot])
        return total

    expected = [
        logsumexp([kernel(a, b) for j, b in enumerate(cells) if j != i]) - np.log(11) for i, a in enumerate(cells)
    ]
    x = torch.from_numpy(cells)
    assert_allclose(BlurredRows(x, LAYOUT, scale).log_density(x), expected, rtol=1e-9)
    new = torch.from_numpy(cells[:3] + np.array([0, 0, 0.1, 0.1]))
    expected = [logsumexp([kernel(a, b) for b in cells]) - np.log(12) for a in new.numpy()]
    assert_allclose(BlurredRows(x, LAYOUT, scale).log_density(new), expected, rtol=1e-9)
    assert_allclose(BlurredRows(x[:1], LAYOUT, scale).log_density(x[:1]), kernel(cells[0], cells[0]), rtol=1e-9)


def test_each_of_two_equal_rows_is_compared_with_the_other():
    layout = Layout(sizes=(), on_grid=(False,), edges=((-np.inf, np.inf),))
    x = torch.tensor([[1.5], [1.5], [3.0]])
    expected = np.log((stats.norm(1.5, 0.5).pdf(1.5) + stats.norm(3, 0.5).pdf(1.5)) / 2)
    assert_allclose(BlurredRows(x, layout, 0.5).log_density(x)[:2], expected)


def test_density_does_not_depend_on_the_block(monkeypatch):
    x, layout = torch.randn(50, 2), Layout(sizes=(), on_grid=(False,) * 2, edges=((-np.inf, np.inf),) * 2)
    whole = BlurredRows(x, layout, 0.3).log_density(x)
    monkeypatch.setattr("vaekit.data.tables.blur.BLOCK", 7 * 50)
    assert_allclose(BlurredRows(x, layout, 0.3).log_density(x), whole)


@pytest.mark.parametrize("rows", [50, 1000])
def test_chosen_scale_is_near_the_one_that_is_best_for_new_rows(rows):
    """Normal rows: the expected density of new rows under the kernel estimate is known from many of them."""
    layout = Layout(sizes=(), on_grid=(False,) * 2, edges=((-np.inf, np.inf),) * 2)
    rng = np.random.default_rng(rows)
    seen, new = rng.normal(size=(rows, 2)), rng.normal(size=(4000, 2))
    square = ((new[:, None] - seen) ** 2).sum(-1)
    truth = [logsumexp(-square / (2 * s**2), axis=1).mean() - 2 * np.log(s) for s in SCALES]
    chosen = choose_scale(torch.from_numpy(seen), layout)
    constant = Layout(sizes=(), on_grid=(False,) * 3, edges=((-np.inf, np.inf),) * 3)
    assert choose_scale(torch.from_numpy(np.insert(seen, 1, 0.0, axis=1)), constant) == chosen
    assert abs(SCALES.index(chosen) - int(np.argmax(truth))) <= 1
    assert (chosen < 0.5) == (rows == 1000)


def table_rows(blur=0.0):
    """Numbers of a table that are shifted and scaled, as rows of a run."""
    values = np.random.default_rng(0).normal(5, 2, size=(3000, 1))
    columns = (Column(name="x", kind="real", type="double"),)
    return Rows(all_rows(Source(values)), Transform(steps=(fit_cells(columns, values, linear=True),)), blur=blur)


def test_batches_are_blurred_anew_and_rows_that_are_scored_are_not():
    plain, blurred = table_rows(), table_rows(blur=0.5)
    values = plain.part.values[:, 0]
    assert_allclose(plain.tensor()[:, 0], (values - values.mean()) / values.std(), atol=1e-5)
    index = np.arange(3000)
    batches = [blurred.prepare(blurred.read(index), BatchNoise(batch_keys(0, epoch, index)), 0) for epoch in (0, 1)]
    noise = torch.stack([batch[:, 0] - plain.tensor()[:, 0] for batch in batches]).numpy() / 0.5
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(noise)[0, 1]) < 0.06
    validation = blurred.tensor()[:, 0] - plain.tensor()[:, 0]
    assert stats.kstest(validation.numpy() / 0.5, "norm").pvalue > 0.01
    assert torch.equal(blurred.tensor(), blurred.tensor())


def test_numbers_of_any_kind_are_real_and_linear_under_blur():
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "coin": rng.integers(0, 2, 200),
            "grade": rng.integers(1, 6, 200),
            "share": rng.choice([0.0, 0.3, 1.0], 200),
            "one": np.ones(200),
            "town": rng.choice(["Bonn", "Ulm"], 200),
        }
    )
    kinds = {column.name: column.kind for column in infer_columns(open_frame(table), plain=True)}
    assert kinds == {"coin": "real", "grade": "real", "share": "real", "one": "real", "town": "binary"}
    columns = infer_columns(open_frame(table), plain=True)[:4]
    codes = np.column_stack([table[name].to_numpy() for name in ("coin", "grade", "share", "one")]).astype(float)
    for marginal, code in zip(fit_cells(columns, codes, linear=True).columns, codes.T, strict=True):
        scale = code.std() or 1.0
        x = np.array([-3.0, 0.5, 40.0])
        assert_allclose(marginal.forward(x), (x - code.mean()) / scale)
        assert marginal.point_masses == ()
