import numpy as np
import pytest

from vaekit.data import Part, Schema, Source, infer_schema
from vaekit.data import part as part_module
from vaekit.errors import DataError

RNG = np.random.default_rng(0)


def infer(values, **options):
    return infer_schema(Part(values, np.arange(len(values))), **{"picture": values.ndim == 4, **options})


PIXELS = RNG.integers(0, 200, (20, 3, 2, 1))


@pytest.mark.parametrize(
    ("values", "kind", "levels"),
    [
        (RNG.integers(0, 2, (30, 3)), "binary", 2),
        (RNG.integers(0, 2, (30, 3)).astype(float), "binary", 2),
        (RNG.integers(0, 200, (30, 3)).astype(np.uint8), "levels", 256),
        (PIXELS, "levels", 256),
        (PIXELS.astype(float), "levels", 256),
        (PIXELS * 10, "counts", 0),
        ((PIXELS * 10).astype(np.uint16), "levels", 4096),
        ((PIXELS * 5 + 1).astype(np.uint16), "levels", 1024),
        (PIXELS.astype(np.uint16), "levels", 256),
        ((PIXELS * 300).astype(np.uint16), "levels", 65536),
        ((PIXELS[..., 0, 0] * 10).astype(np.uint16), "counts", 0),
        (PIXELS + RNG.normal(size=PIXELS.shape), "real", 0),
        (RNG.poisson(5, (30, 3)), "counts", 0),
        (RNG.poisson(5, (30, 3)).astype(np.float32), "counts", 0),
        (RNG.integers(-5, 5, (30, 3)), "real", 0),
        (RNG.normal(size=(30, 3)), "real", 0),
    ],
)
def test_the_kind_follows_the_values(values, kind, levels):
    schema = infer(values)
    assert (schema.kind, schema.levels) == (kind, levels)
    assert schema.shape == values.shape[1:]
    assert schema.dtype == ("float64" if kind == "real" and values.dtype.kind == "i" else str(values.dtype))
    assert schema.discrete == (kind != "real")


def test_one_fraction_anywhere_makes_reals(monkeypatch):
    monkeypatch.setattr(part_module, "CHUNK", 9)
    values = RNG.poisson(5, (30, 3)).astype(float)
    assert infer(values).kind == "counts"
    values[29, 2] += 0.5
    assert infer(values).kind == "real"


@pytest.mark.parametrize(
    ("values", "declared", "levels"),
    [
        (RNG.integers(0, 2, (30, 3)), "counts", 0),
        (RNG.integers(0, 2, (30, 3)), "real", 0),
        (RNG.integers(0, 200, (30, 3)).astype(np.uint8), "real", 0),
        (RNG.integers(0, 200, (30, 3)).astype(np.uint8), "levels", 256),
        (RNG.poisson(5, (30, 3)), "real", 0),
        (RNG.normal(size=(30, 3)), "real", 0),
    ],
)
def test_a_wider_kind_may_be_declared(values, declared, levels):
    schema = infer(values, kind=declared)
    assert (schema.kind, schema.levels) == (declared, levels)


@pytest.mark.parametrize(
    ("values", "declared"),
    [
        (RNG.normal(size=(30, 3)), "counts"),
        (RNG.normal(size=(30, 3)), "levels"),
        (RNG.poisson(5, (30, 3)), "binary"),
        (RNG.poisson(5, (30, 3)), "levels"),
        (RNG.integers(0, 200, (30, 3)).astype(np.uint8), "binary"),
    ],
)
def test_a_kind_that_the_values_are_not_is_refused(values, declared):
    with pytest.raises(DataError, match=r"data.kind") as error:
        infer(values, kind=declared)
    assert f"'{declared}'" in str(error.value)


def test_levels_that_the_source_knows_are_taken():
    schema = infer(RNG.integers(0, 17, (30, 2, 2, 1)).astype(np.uint8), levels=17)
    assert (schema.kind, schema.levels) == ("levels", 17)


def test_constant_columns_are_found_with_their_values():
    values = RNG.normal(size=(20, 4))
    values[:, 1], values[:, 3] = 2.5, -1.0
    schema = infer(values)
    assert schema.constant == {1: 2.5, 3: -1.0}
    assert schema.event_shape == (2,)
    values[19, 3] = 0.0  # one row is enough
    assert infer(values).constant == {1: 2.5}


def test_pixels_are_never_left_out():
    values = PIXELS.astype(np.uint8)
    values[:, 0, 0, 0] = 9
    assert infer(values).constant == {}
    assert infer(values).event_shape == (3, 2, 1)


@pytest.mark.parametrize("values", [np.full((9, 3), 4.0), np.ones((9, 2, 2, 1), np.uint8)])
def test_data_in_which_nothing_varies_are_refused(values):
    with pytest.raises(DataError, match=r"All 9 training examples are identical, so there is nothing to learn"):
        infer(values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(bad, monkeypatch):
    monkeypatch.setattr(part_module, "CHUNK", 9)
    values = RNG.normal(size=(30, 3))
    values[17, 2] = bad
    with pytest.raises(DataError, match=f"Got {bad} in row 17, column 'c' instead"):
        infer(values, columns=("a", "b", "c"))
    with pytest.raises(DataError, match=f"Got {bad} in row 17, column 2 instead"):
        infer(values)
    pictures = np.zeros((15, 3, 2, 1))
    pictures[4, 2, 1, 0] = bad
    with pytest.raises(DataError, match=r"in row 4, pixel \(2, 1\), channel 0"):
        infer(pictures)


def test_the_row_that_is_named_is_that_of_the_source():
    values = RNG.normal(size=(30, 3))
    values[17, 2] = np.nan
    with pytest.raises(DataError, match="in row 17"):
        infer_schema(Part(values, np.array([3, 17, 20])), picture=False)


TABLE = Schema(kind="real", shape=(3,), columns=("a", "b", "c"))
LEVELS = Schema(kind="levels", shape=(2, 2, 1), levels=17, picture=True, dtype="uint8")
COUNTS = Schema(kind="counts", shape=(2,), dtype="int64")


def test_pixels_divided_by_255_are_refused_unless_declared_real():
    scaled = PIXELS / 255
    with pytest.raises(DataError, match=r"Got bytes divided by 255 instead.*data.kind=real"):
        infer(scaled)
    part = Part(scaled, np.arange(len(scaled)))
    assert infer_schema(part, picture=True, kind="real").kind == "real"


def test_the_kind_does_not_depend_on_who_is_held_out():
    values = np.array([[0, 1], [1, 0], [1, 1], [0, 2]])
    train, everything = (Part(values, np.arange(n)) for n in (3, 4))
    assert infer_schema(train, picture=False, everything=everything).kind == "counts"


def test_a_constant_column_that_varies_later_is_warned_of():
    schema = Schema(kind="real", shape=(2,), constant={1: 3.0})
    with pytest.warns(UserWarning, match=r"column 1 is 1000 in row 1, but was 3 in all training rows"):
        schema.check(np.array([[0.5, 3.0], [0.1, 1000.0]]))


def test_columns_in_another_order_are_mended():
    values = RNG.normal(size=(5, 3))
    np.testing.assert_array_equal(
        Source(values[:, [2, 0, 1]], columns=("c", "a", "b")).in_order(TABLE.columns).values, values
    )
    np.testing.assert_array_equal(Source(values, columns=("a", "b", "c")).in_order(TABLE.columns).values, values)
    np.testing.assert_array_equal(
        Source(values).in_order(TABLE.columns).values, values
    )  # no names: the order is trusted


def test_columns_too_many_are_left_and_missing_ones_are_named():
    values = RNG.normal(size=(5, 4))
    named = Source(values, columns=("b", "x", "a", "c"))
    np.testing.assert_array_equal(named.in_order(TABLE.columns).values, values[:, [2, 0, 3]])
    with pytest.raises(DataError, match=r"lack columns .*: 'a', 'c'. Pass all columns of the model: a, b, c"):
        Source(values[:, :2], columns=("b", "x")).in_order(TABLE.columns)


def test_a_single_channel_may_be_missing():
    values = RNG.integers(0, 17, (5, 2, 2)).astype(np.uint8)
    np.testing.assert_array_equal(LEVELS.check(values), values[..., None])


@pytest.mark.parametrize(
    ("schema", "shape"), [(TABLE, (5, 2)), (TABLE, (5, 2, 2, 1)), (LEVELS, (5, 3, 2, 1)), (LEVELS, (5, 4))]
)
def test_another_shape_is_refused_with_both(schema, shape):
    with pytest.raises(DataError, match="must have the shape") as error:
        schema.check(np.zeros(shape))
    assert str(schema.shape) in str(error.value)
    assert str(shape[1:]) in str(error.value)


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        (LEVELS, 17, r"integers from 0 to 16.*Got 17 in row 1, pixel \(1, 0\), channel 0"),
        (LEVELS, -1, "Got -1 in row 1"),
        (LEVELS, 0.5, "Got 0.5 in row 1"),
        (COUNTS, -1, "counts 0, 1, 2, .*Got -1 in row 1, column 1"),
        (COUNTS, 2.5, "Got 2.5 in row 1"),
    ],
)
def test_values_out_of_range_are_named(schema, value, words):
    values = np.zeros((3, *schema.shape), dtype=np.float64)
    values[1].flat[schema.shape[0] - 1 if schema is COUNTS else 2] = value
    with pytest.raises(DataError, match=words):
        schema.check(values)


@pytest.mark.parametrize("dtype", ["u2", "u4", "i8", "f4", "f8"])
def test_a_wider_type_is_checked_before_it_is_narrowed(dtype):
    """272 = 256 + 16 would be 16 in a byte."""
    values = np.zeros((2, 2, 2, 1), dtype)
    values[1, 0, 0, 0] = 272
    with pytest.raises(DataError, match="Got 272 in row 1"):
        LEVELS.check(values)


def test_values_of_another_type_become_the_trained_one():
    checked = LEVELS.check(np.full((2, 2, 2, 1), 16.0))
    assert checked.dtype == np.uint8
    assert checked.max() == 16
    assert TABLE.check(np.ones((2, 3), np.float32)).dtype == np.float64
    assert TABLE.check(np.ones((2, 3), int)).dtype == np.float64


def test_reals_that_happened_to_be_whole_in_training_do_not_lose_their_fractions():
    schema = infer(RNG.integers(-9, 9, (30, 2)))
    assert (schema.kind, schema.dtype) == ("real", "float64")
    values = np.array([[0.75, -1.5]])
    try:
        kept = schema.check(values).tolist() == values.tolist()
    except DataError as error:
        kept = "row 0" in str(error)
    assert kept


def test_new_data_that_are_not_finite_are_named():
    values = np.zeros((4, 3))
    values[2, 1] = np.inf
    with pytest.raises(DataError, match="Got inf in row 2, column 'b'"):
        TABLE.check(values)


def test_a_saved_schema_is_the_same_schema():
    values = RNG.normal(size=(20, 3))
    values[:, 1] = 0.1 + 0.2
    schema = infer(values, columns=("a", "b", "c"))
    assert Schema.model_validate_json(schema.model_dump_json()) == schema


PICTURES = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3) * 10


@pytest.mark.parametrize(
    ("given", "shape", "words"),
    [
        (np.zeros((2, 2, 2, 4), np.uint8), (2, 2, 3), r"Drop the fourth channel, as in x\[\.\.\., :3\]"),
        (np.zeros((2, 2, 2, 3), np.uint8), (2, 2, 1), r"Convert them to grey"),
        (np.zeros((2, 2, 2, 2), np.uint8), (2, 2, 3), r"the same number of channels"),
        (np.zeros((2, 2, 3, 3), np.uint8), (2, 2, 3), r"data\.size"),
    ],
)
def test_other_channels_are_refused_with_the_way(given, shape, words):
    schema = Schema(kind="levels", shape=shape, levels=256, picture=True, dtype="uint8")
    with pytest.raises(DataError, match=words):
        schema.check(Source(given, picture=True).drawn_as(schema.shape, schema.levels).values)


@pytest.mark.parametrize("channel", [True, False])
def test_grey_pictures_are_drawn_in_colours(channel):
    grey = PICTURES[..., :1] if channel else PICTURES[..., 0]
    drawn = Source(grey, picture=True).drawn_as((2, 2, 3), 256).values
    np.testing.assert_array_equal(drawn, np.repeat(PICTURES[..., :1], 3, -1))


def test_black_and_white_are_drawn_at_the_levels_of_training():
    bits = Source(np.array([[[[0], [1]]]], np.uint8), picture=True, levels=2)
    assert bits.drawn_as((1, 2, 1), 256).values.ravel().tolist() == [0, 255]
    assert bits.drawn_as((1, 2, 3), 17).values.ravel().tolist() == [0, 0, 0, 16, 16, 16]
    assert bits.drawn_as((1, 2, 1), 2).values.ravel().tolist() == [0, 1]
    masks = Source(np.array([[[[0], [255]]]], np.uint8), picture=True, levels=256)
    assert masks.drawn_as((1, 2, 1), 2).values.ravel().tolist() == [0, 1]
    greys = Source(np.array([[[[0], [254]]]], np.uint8), picture=True, levels=256)
    assert greys.drawn_as((1, 2, 1), 2).values.ravel().tolist() == [0, 254]  # which the schema refuses
    with pytest.raises(DataError, match=r"must have 16 bits, as in training .4096 levels.\. Got 8 bits"):
        masks.drawn_as((1, 2, 1), 4096)
