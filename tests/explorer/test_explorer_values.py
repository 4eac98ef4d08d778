"""What an explorer computes, against closed forms, other libraries and brute force; without a page."""

import doctest
import importlib

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binned_statistic_2d
from sklearn.decomposition import PCA

import vaekit
from builders import TINY
from vaekit.explorer import Explorer
from vaekit.explorer.colours import GREY, Colouring
from vaekit.explorer.conditions import condition_on
from vaekit.explorer.plane import Bins, Plane, bin_points
from vaekit.explorer.strange import find_strange

SETTINGS = {**TINY, "training.epochs": 25, "latent_dim": 2, "evaluation.samples": 20}


def people(n=400, seed=3):
    rng = np.random.default_rng(seed)
    age = np.round(rng.normal(50, 10, n))
    work = np.where(age + rng.normal(0, 3, n) > 50, "old", "young")
    return pa.table(
        {
            "age": pa.array(age, mask=rng.random(n) < 0.2),
            "work": work,
            "score": np.round(age * 2 + rng.normal(0, 2, n), 1),
        }
    )


@pytest.fixture(scope="module")
def people_run(tmp_path_factory):
    return vaekit.train(people(), settings=SETTINGS, out=tmp_path_factory.mktemp("runs") / "people")


@pytest.fixture(scope="module")
def explorer(digits_run):
    return Explorer(vaekit.load(digits_run.path))


@pytest.mark.parametrize("name", ["explorer", "plane"])
def test_examples(name):
    assert doctest.testmod(importlib.import_module(f"vaekit.explorer.{name}")).failed == 0


def test_codes_and_rates_are_those_of_the_run(explorer):
    source = vaekit.data.open_source("digits")
    names = [explorer.rows.name(i) for i in range(len(explorer.rows))]
    numbers = [int(name.split()[1].replace(",", "")) for name in names]
    assert sorted(numbers) == list(range(1797))
    np.testing.assert_allclose(explorer.codes, explorer.run.encode(source)[numbers], atol=1e-5)
    figures = explorer.run.evaluate(samples=1, rows="all")
    sizes = [d.size for d in explorer.dimensions]
    np.testing.assert_allclose(sizes, np.sort(figures.kl_per_dimension)[::-1], rtol=1e-6)
    assert [figures.kl_per_dimension[d.index] for d in explorer.dimensions] == pytest.approx(sizes)
    assert explorer.quick_scores.mean() == pytest.approx(figures.elbo)
    assert {name.split("(")[1] for name in names} == {"training)", "validation)", "held out)"}
    np.testing.assert_array_equal(explorer.example(700), source.values[numbers[700]])
    np.testing.assert_array_equal(explorer.rows.labels(), source.labels[numbers])


def test_decoded_rows_and_neighbours(explorer):
    z = np.array([0.3, -1.0, 0.2, 0.9])
    np.testing.assert_array_equal(explorer.decode(z), explorer.run.decode(z[None])[0])
    distances = cdist(z[None], explorer.codes)[0]
    near = explorer.nearest(z, 7)
    assert [i for i, _ in near] == np.argsort(distances, kind="stable")[:7].tolist()
    np.testing.assert_allclose([d for _, d in near], np.sort(distances)[:7])
    assert len(explorer.nearest(z, 10_000)) == 1797


def test_a_plane_of_principal_components(explorer):
    plane, pca = explorer.plane("principal"), PCA(2).fit(explorer.codes)
    scores = pca.transform(explorer.codes)
    np.testing.assert_allclose(np.abs(plane.points), np.abs(scores), atol=1e-6)
    shares = [f"({100 * share:.0f} % of the variance)" for share in pca.explained_variance_ratio_]
    assert [label[label.index("(") :] for label in plane.labels] == shares


@pytest.mark.parametrize("plane", ["principal", "pair"])
def test_a_click_moves_a_code_within_the_plane(explorer, plane):
    plane, z, point = explorer.plane(plane, 2, 0), np.array([0.3, -1.0, 0.2, 0.9]), np.array([1.5, -0.5])
    moved = plane.move(z, point)
    np.testing.assert_allclose(plane.project(moved), point)
    rest = np.eye(4) - plane.axes.T @ plane.axes
    np.testing.assert_allclose(rest @ moved, rest @ z, atol=1e-12)
    np.testing.assert_allclose([plane.project(code) for code in explorer.codes], plane.points, atol=1e-12)
    chosen = plane.points[123] + 1e-9
    assert plane.nearest(chosen, plane.window()) == 123


def test_the_nearest_row_is_that_on_the_screen():
    plane = Plane(np.array([[0.0, 0.0], [1.0, 30.0]]), np.eye(2), np.zeros(2), ("x", "y"))
    assert plane.nearest(np.array([0.9, 5.0]), (0, 1, 0, 100)) == 1  # far fewer pixels away, although y differs more
    assert plane.nearest(np.array([0.9, 5.0]), (0, 100, 0, 100)) == 0


def test_bins_of_numbers_are_those_of_scipy():
    rng = np.random.default_rng(0)
    points, values = rng.normal(size=(5000, 2)), rng.normal(size=5000)
    values[::7] = np.nan
    known = np.isfinite(values)
    found = bin_points(points, values, (-2, 2, -1, 3), 20)
    edges, span = 20, [[-2, 2], [-1, 3]]
    count = binned_statistic_2d(*points.T, None, "count", edges, span).statistic
    mean = binned_statistic_2d(*points[known].T, values[known], "mean", edges, span).statistic
    np.testing.assert_array_equal(found.count, count.T)
    np.testing.assert_allclose(found.value, mean.T)


def test_bins_of_categories_have_the_most_frequent_one():
    rng = np.random.default_rng(0)
    points, classes = rng.random((3000, 2)), rng.integers(0, 4, 3000).astype(float)
    classes[::5] = np.nan
    found = bin_points(points, classes, (0, 1, 0, 1), 6, 4)
    for row in range(6):
        for column in range(6):
            inside = (np.floor(points * 6) == [column, row]).all(1) & np.isfinite(classes)
            votes = np.bincount(classes[inside].astype(int), minlength=4)
            assert votes[int(found.value[row, column])] == votes.max()
            assert found.count[row, column] == (np.floor(points * 6) == [column, row]).all(1).sum()


def test_fuller_cells_are_more_opaque_and_missing_values_grey():
    colouring = Colouring.of_classes("x", np.array(["b", "a", "a"]))
    assert colouring.classes == ("a", "b")
    painted = colouring.paint(Bins(np.array([[0, 1, 9, 3]]), np.array([[np.nan, 0, 1, np.nan]])))
    np.testing.assert_array_equal(
        painted[0, 1:3, :3], [[31, 119, 180], [255, 127, 14]]
    )  # the first colours of matplotlib
    assert tuple(painted[0, 3, :3]) == GREY
    assert painted[0, 0, 3] == 0 < painted[0, 1, 3] < painted[0, 3, 3] < painted[0, 2, 3] == 255


def test_many_classes_share_a_last_colour():
    many = np.repeat(np.arange(30), np.arange(1, 31))
    found = Colouring.of_classes("x", many)
    assert found.classes == (*map(str, range(21, 30)), "21 others")
    np.testing.assert_array_equal(found.values, np.where(many < 21, 9, many - 21))


def test_colours_of_columns_are_their_cells(people_run):
    explorer = Explorer(people_run, people())
    assert explorer.colourings() == ["age", "work", "score", "ELBO in nats", "set of rows"]
    numbers = [int(explorer.rows.number(i).split()[1]) for i in range(400)]
    age = people()["age"].to_numpy(zero_copy_only=False)[numbers]
    np.testing.assert_array_equal(explorer.colouring("age").values, age)
    assert explorer.colouring("age").missing
    np.testing.assert_allclose(explorer.colouring("age").limits, np.nanquantile(age, [0.01, 0.99]))
    work, words = explorer.colouring("work"), people()["work"].to_numpy(zero_copy_only=False)[numbers]
    assert [work.classes[int(k)] for k in work.values] == words.tolist()
    assert not work.missing
    assert explorer.texts(explorer.example(0))[1] == words[0]
    missing = int(np.flatnonzero(np.isnan(age))[0])
    assert explorer.texts(explorer.example(missing))[0] == "missing"


def test_more_rows_than_are_shown_are_a_seeded_subset(digits_run):
    few, again = Explorer(digits_run, most=100), Explorer(digits_run, most=100)
    assert len(few.rows) <= 103
    assert (
        few.rows.note
        == f"The map shows {len(few.rows)} of 1,797 rows of the data that the run was trained on, chosen at random."
    )
    np.testing.assert_array_equal(few.codes, again.codes)
    assert [few.rows.name(i) for i in range(9)] == [again.rows.name(i) for i in range(9)]
    given = Explorer(digits_run, vaekit.data.open_source("digits").values[:50])
    assert given.rows.note == "The map shows 50 given rows."
    assert given.rows.name(49) == "row 49 (given)"


def test_without_data_the_rows_are_drawn_and_it_says_so(people_run, tmp_path):
    people_run.save(tmp_path / "run")
    explorer = Explorer(vaekit.load(tmp_path / "run"))
    assert explorer.rows.note.startswith(
        "The map shows 2,000 rows drawn from the model, not data. The run was trained on"
    )
    assert explorer.rows.drawn
    drawn = people_run.open(people_run.sample(2000)).values
    np.testing.assert_array_equal(explorer.rows.column(0), drawn[:, 0])


def test_the_strangest_row_is_the_one_put_in_with_its_reason(people_run):
    rows = people(60, seed=9).to_pandas()
    rows.loc[17] = [50.0, "old", 190.0]
    found = find_strange(Explorer(people_run, pa.Table.from_pandas(rows)), 5)
    assert found[0].position == 17
    assert found[0].reasons[0].startswith("score = 190 (")
    scores = people_run.score_samples(pa.Table.from_pandas(rows))
    np.testing.assert_allclose([row.score for row in found], scores[[row.position for row in found]], rtol=1e-6)
    assert [row.score for row in found] == sorted(row.score for row in found)


def test_the_reason_of_an_array_is_the_feature_with_the_largest_error(table_run):
    X = vaekit.data.open_source(str(table_run.provenance["source"])).as_numbers().values[:50].copy()
    X[7, 2] += 0.2  # share, whose spread is 0.01
    found = find_strange(Explorer(table_run, X), 3)
    assert found[0].position == 7
    assert found[0].reasons[0].startswith("share = ")


def test_conditional_distributions_are_those_of_rejection(people_run):
    found = condition_on(people_run, {"work": "old"}, {})
    _, size = people_run.condition(2000, {"work": "old"}, 0, complete=True)
    assert found.size == size
    assert [each.column.name for each in found.changed] in (["age", "score"], ["score", "age"])
    drawn = people_run.sample(20_000, 5, complete=True).to_pandas()
    age = next(each.distance for each in found.changed if each.column.name == "age")
    wanted = drawn.age[drawn.work == "old"].quantile([0.05, 0.5, 0.95])
    np.testing.assert_allclose(age.generated_quantiles, wanted, atol=2.0)
    np.testing.assert_allclose(age.held_out_quantiles, drawn.age.quantile([0.05, 0.5, 0.95]), atol=2.0)
    assert age.distance > 10 * age.by_chance
    nothing = condition_on(people_run, {}, {})
    assert nothing.size is None
    assert max(each.distance.distance for each in nothing.changed) == 0
    with pytest.raises(vaekit.VaekitError, match="must be one of its categories"):
        condition_on(people_run, {"work": "middle"}, {})
