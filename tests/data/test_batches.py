from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaekit.data import BatchNoise, BatchOrder, Part, RowNoise, Rows, RowStream, SeedStream, Transform, batch_keys
from vaekit.data import batches as batches_module
from vaekit.data.batches import to_tensor
from vaekit.data.order import BlockOrder
from vaekit.data.steps import Affine, Binarize, Dequantize, Select

GREY = np.random.default_rng(0).integers(0, 17, (40, 3, 2, 1)).astype(np.uint8)


def part(values=GREY):
    return Part(values, np.arange(len(values)))


def training_batch(rows, index, epoch=0):
    """The batch as a step of training makes it."""
    return rows.prepare(rows.read(index), BatchNoise(batch_keys(0, epoch, index)), rows.unhidden(len(index)))


@given(rows=st.integers(1, 300), batch_size=st.integers(1, 400), seed=st.integers(0, 10**6), epoch=st.integers(0, 5))
def test_each_epoch_is_a_permutation_cut_into_full_batches(rows, batch_size, seed, epoch):
    order = BatchOrder(rows, batch_size, seed)
    size = min(batch_size, rows)
    assert order.steps_per_epoch == rows // size
    steps = range(epoch * order.steps_per_epoch, (epoch + 1) * order.steps_per_epoch)
    batches = [order.index(step) for step in steps]
    assert {len(b) for b in batches} == {size}
    seen = np.concatenate(batches)
    assert len(set(seen.tolist())) == len(seen)
    assert seen.min() >= 0
    assert seen.max() < rows
    if rows % size == 0:
        assert sorted(seen.tolist()) == list(range(rows))


@given(seed=st.integers(0, 10**6), steps=st.lists(st.integers(0, 60), min_size=1, max_size=20))
def test_the_batch_is_a_function_of_the_step_alone(seed, steps):
    visited = BatchOrder(23, 5, seed)
    for step in steps:  # in any order, with repetitions
        np.testing.assert_array_equal(visited.index(step), BatchOrder(23, 5, seed).index(step))


@given(
    rows=st.integers(1, 200),
    batch_size=st.integers(1, 60),
    block=st.integers(1, 20),
    buffer=st.integers(1, 9),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_blocks_are_shuffled_and_then_the_rows_of_some_of_them(rows, batch_size, block, buffer, seed, data):
    order = BlockOrder(rows, batch_size, seed, block, buffer)
    epoch, size, count = data.draw(st.integers(0, 3)), min(batch_size, rows), rows // min(batch_size, rows)
    seen = np.concatenate([order.index(step) for step in range(epoch * count, (epoch + 1) * count)])
    blocks, reached = SeedStream.BATCHES.rng(seed, epoch).permutation(-(-rows // block)), 0
    for start in range(0, len(blocks), buffer):  # by brute force
        wanted = {row for b in blocks[start : start + buffer] for row in range(b * block, min(rows, (b + 1) * block))}
        part = seen[reached : reached + len(wanted)].tolist()
        assert len(set(part)) == len(part)
        assert set(part) <= wanted
        assert reached + len(wanted) > count * size or set(part) == wanted
        reached += len(wanted)
    for step in data.draw(st.lists(st.integers(0, 4 * count), max_size=5)):  # in any order, with repetitions
        np.testing.assert_array_equal(order.index(step), BlockOrder(rows, batch_size, seed, block, buffer).index(step))


def test_buffers_and_epochs_are_mixed_anew():
    order = BlockOrder(120, 60, 0, block=60, buffer=1)  # an epoch has a step for each block
    mixed = [tuple(order.index(step) % 60) for step in range(20)]
    assert len(set(mixed)) == 20


def test_rows_of_a_large_file_are_shuffled_in_blocks_unless_they_are_weighted(tmp_path, monkeypatch):
    monkeypatch.setattr(batches_module, "MOST_IN_MEMORY", 1 << 10)
    monkeypatch.setattr(batches_module, "BLOCK", 64)
    np.save(tmp_path / "x.npy", np.zeros((100, 2)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    large = Part(mapped, np.arange(100))
    order = Rows(large, Transform()).order(10, 0)
    assert isinstance(order, BlockOrder)
    assert (order.block, order.buffer) == (4, 16)
    others = (
        Part(mapped[:], np.arange(64)),
        Part(np.zeros((100, 2)), np.arange(100)),
        replace(large, weights=np.ones(100)),
    )
    assert {type(Rows(part, Transform()).order(10, 0)) for part in others} == {BatchOrder}


def test_epochs_and_seeds_differ_and_no_row_sits_out_for_ever():
    order = BatchOrder(10, 4, 0)
    epochs = [np.concatenate([order.index(2 * e), order.index(2 * e + 1)]).tolist() for e in range(30)]
    assert len({tuple(e) for e in epochs}) == 30
    assert set(range(10)) == {i for e in epochs[:10] for i in e}
    assert BatchOrder(10, 4, 1).index(0).tolist() != order.index(0).tolist()


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [("u1", "float32"), ("i1", "float32"), ("u2", "float32"), ("i2", "float32"), ("i4", "float64"), ("i8", "float64")],
)
def test_integers_become_the_smallest_real_that_holds_them(dtype, wanted):
    limits = np.iinfo(dtype)
    extremes = np.array([[limits.min, max(limits.min, -(2**53))], [limits.max, 1]]).astype(dtype)
    tensor = to_tensor(np.clip(extremes, -(2**53), 2**53).astype(dtype))
    assert str(tensor.dtype) == f"torch.{wanted}"
    assert tensor.numpy().astype(dtype).tolist() == np.clip(extremes, -(2**53), 2**53).astype(dtype).tolist()


def test_blocks_cover_all_rows_with_the_last_incomplete_one():
    rows = Rows(part(), Transform(), seed=3)
    blocks = [x for x, _, _ in rows.blocks(16)]
    assert [len(b) for b in blocks] == [16, 16, 8]
    np.testing.assert_array_equal(torch.cat(blocks).numpy(), GREY.astype(np.float32))
    assert torch.equal(torch.cat(blocks), rows.tensor())
    assert blocks[0].dtype == torch.float32


@pytest.mark.parametrize("dynamic", [True, False])
def test_noise_of_evaluation_belongs_to_the_row_not_to_its_place(dynamic):
    transform = Transform(steps=(Binarize(levels=17, dynamic=dynamic),))
    whole = Rows(part(), transform, seed=3)
    for size in (1, 7, 40):
        assert torch.equal(torch.cat([x for x, _, _ in whole.blocks(size)]), whole.tensor())

    backwards = Rows(Part(GREY, np.arange(40)[::-1]), transform, seed=3)
    assert torch.equal(backwards.tensor().flip(0), whole.tensor())
    assert not torch.equal(Rows(part(), transform, seed=4).tensor(), whole.tensor())
    noise = RowNoise(GREY, 3).uniform((3, 2, 1), RowStream.TRANSFORM)
    assert torch.equal(whole.tensor(), (noise < torch.from_numpy(GREY / 16)).float())


@pytest.mark.parametrize("numbers", [1, 6 * 7, 6 * 39, 6 * 40])
def test_all_rows_are_the_same_tensor_piece_by_piece(numbers, monkeypatch):
    rows = Rows(part(), Transform(steps=(Dequantize(highest=16),)), 3)
    whole = rows.tensor()
    assert len(whole) == 40
    monkeypatch.setattr(batches_module, "PIECE", numbers)
    assert torch.equal(rows.tensor(), whole)


def test_dynamic_binarisation_is_drawn_anew_and_fixed_is_always_the_same():
    index = np.array([4, 1, 30])
    dynamic = Rows(part(), Transform(steps=(Binarize(levels=17, dynamic=True),)), seed=3)
    first = training_batch(dynamic, index, 0)
    assert torch.equal(first, training_batch(dynamic, index, 0))
    assert not torch.equal(first, training_batch(dynamic, index, 1))
    fixed = Rows(part(), Transform(steps=(Binarize(levels=17, dynamic=False),)), seed=3)
    batches = [training_batch(fixed, index, epoch) for epoch in range(3)]
    assert torch.equal(batches[0], batches[1])
    assert torch.equal(batches[0], batches[2])
    assert torch.equal(batches[0], fixed.tensor()[index])  # and the same as in evaluation


def test_training_batches_are_rows_of_the_part_at_these_positions():
    chosen = Part(GREY, np.arange(39, -1, -1))
    batch = training_batch(Rows(chosen, Transform(), 0), np.array([0, 3]))
    np.testing.assert_array_equal(batch.numpy(), GREY[[39, 36]].astype(np.float32))
    assert batch.dtype == torch.float32


def test_dequantisation_in_training_stays_within_its_level():
    rows = Rows(part(), Transform(steps=(Dequantize(highest=16),)), 0)
    batch = training_batch(rows, np.arange(40))
    assert torch.equal(batch.floor(), torch.from_numpy(GREY).float())
    assert 0.4 < float((batch - batch.floor()).mean()) < 0.6


def test_large_values_are_scaled_before_they_lose_digits():
    values = np.array([[1e9], [1e9 + 1], [1e9 + 2]])  # not to be told apart in float32
    transform = Transform(steps=(Affine(shift=(1e9,), scale=(1.0,), shape=(1,)),))
    assert Rows(part(values), transform).tensor().flatten().tolist() == [0.0, 1.0, 2.0]
    assert training_batch(Rows(part(values), transform), np.arange(3)).flatten().tolist() == [0, 1, 2]


def test_left_out_columns_do_not_shift_the_noise_of_the_others():
    values = np.array([[5, 1, 8], [5, 0, 3]], dtype=np.int64)
    select = Select(keep=(1, 2), columns=3, constants=(5.0,))
    seen = Rows(part(values), Transform(steps=(select, Dequantize())), 0).tensor()
    assert torch.equal(seen.floor(), torch.tensor([[1.0, 8.0], [0.0, 3.0]]))
