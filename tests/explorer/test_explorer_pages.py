"""The page of every kind of run, without a browser: its callbacks are called as a browser would."""

import numpy as np
import pytest

import vaekit
from builders import TINY
from mixed_frames import HOSTILE, SMALL, make_frame
from vaekit.explorer import Explorer

pytest.importorskip("panel", reason="the page of the explorer needs panel (pip install 'vaekit[explore]')")

from vaekit.explorer.map_view import POINT
from vaekit.explorer.view import View

FAST = {**TINY, "training.epochs": 1, "training.validations": 1, "evaluation.samples": 5}
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(3, (80, 40))
REALS = RNG.normal(size=(80, 3))
LABELLED = vaekit.data.Source(RNG.integers(0, 2, (90, 4, 4, 1)), labels=np.arange(90) % 3, picture=True)
COLOURED = RNG.integers(0, 256, (60, 5, 6, 3), np.uint8)
FULL = make_frame().dropna(axis=1, how="any")

KINDS = {
    "counts": (COUNTS, {}),
    "one column": (REALS[:, :1], {}),
    "one dimension": (REALS, {"latent_dim": 1}),
    "64 dimensions": (COUNTS, {"latent_dim": 64}),
    "real numbers": (REALS, {"data.kind": "real"}),
    "an autoencoder": (LABELLED, {"model": "autoencoder"}),
    "a conditional model": (LABELLED, {"data.context": ["label"]}),
    "coloured pictures": (COLOURED, {}),
    "a learned prior": (COUNTS, {"prior": "mixture"}),
    "dependent dimensions": (COUNTS, {"posterior": "full_covariance"}),
    "a sphere": (COUNTS, {"posterior": "von_mises_fisher"}),
    "a table": (make_frame(200), SMALL),
    "no missing cells": (FULL[:200], SMALL),
    "a conditional table": (make_frame(200), SMALL | {"data.context": ["group", "day"]}),
    "an array of mixed columns": (
        np.column_stack([REALS, COUNTS[:, 0], COUNTS[:, 0] > 2]),
        SMALL | {"data.kind": "mixed"},
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    place, made = tmp_path_factory.mktemp("runs"), {}

    def make(kind):
        if kind not in made:
            X, settings = KINDS[kind]
            own = FAST | settings | {"training.epochs": 1, "evaluation.samples": 5}
            recipe = "autoencoder" if own.pop("model", "") else "auto"
            made[kind] = vaekit.train(X, recipe=recipe, settings=own, out=place / f"run{len(made)}")
        return made[kind]

    return make


def visit(view):
    """Do everything that can be done on a page."""
    shown = view.map
    explorer = shown.explorer
    for plane in shown.planes.options.values():
        shown.planes.value = plane
    for colour in explorer.colourings():
        shown.colours.value = colour
    shown.click(*shown.plane.points[-1])
    assert explorer.nearest(shown.z, 1)[0][1] == 0
    before = shown.decoded.object
    shown.clicks.value = POINT
    shown.click(*shown.plane.points[3])
    next(iter(shown.sliders.values())).value += 0.5
    assert shown.decoded.object != before
    for name, widget in shown.context.widgets.items():
        if shown.context.choices[name]:
            widget.value = list(widget.options.values())[-1]
    view.tabs.active = len(view.tabs) - 1
    assert len(view.strange.rows) == min(12, len(explorer.rows))
    view.strange.layout[1][0][1].clicks += 1  # show the strangest row on the map
    assert view.tabs.active == 0
    np.testing.assert_array_equal(shown.z, explorer.codes[view.strange.rows[0].position])
    if view.condition is not None:
        view.tabs.active = 1
        name, widget = next(iter(view.condition.cells.widgets.items()))
        cell = explorer.run.schema.modelled[0].decode(np.nanmedian(explorer.rows.column(0), keepdims=True))[0].as_py()
        widget.value = cell if view.condition.cells.choices[name] else str(cell)
        assert "Effective sample size" in view.condition.said.object
        view.condition.clear.clicks += 1
        assert "Effective sample size" not in view.condition.said.object


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at_hand", [True, False], ids=["data", "run only"])
def test_every_kind_of_run_has_a_page(runs, kind, at_hand):
    run = runs(kind)
    explorer = Explorer(run if at_hand else vaekit.load(run.path))
    assert explorer.rows.drawn == (not at_hand)
    visit(View(explorer))


def test_columns_without_a_known_cell(runs):
    frame = make_frame(50)
    frame["温度"], frame["group"] = np.nan, None
    explorer = Explorer(runs("a table"), frame)
    assert np.isnan(explorer.colouring("温度").values).all()
    assert explorer.colouring("group").classes == ()
    visit(View(explorer))


def test_a_page_writes_nothing(runs):
    folder = runs("a table").path
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    visit(View(Explorer(vaekit.load(folder))))
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_text_of_the_data_is_never_html(runs):
    frame = make_frame(200)
    view = View(Explorer(runs("a table"), frame))
    view.map.colours.value = "quoted"
    view.tabs.active = 1
    view.condition.cells.widgets["quoted"].value = '"it\'s" <b>'
    view.tabs.active = 2
    parts = [view.map.decoded, view.map.legend, view.condition.said, view.condition.charts]
    texts = [part.object for part in parts] + [card[0].object for card in view.strange.layout[1]]
    assert not any(HOSTILE in text or "it's\" <b>" in text for text in texts)
    assert "&lt;script&gt;" in view.map.decoded.object


def test_the_sliders_come_by_rate_with_their_nats(digits_run):
    view = View(Explorer(digits_run)).map
    found = [d.index for d in view.explorer.dimensions]
    assert list(view.sliders) == found
    figures = digits_run.evaluate(samples=1, rows="all").kl_per_dimension
    assert [slider.label for slider in view.sliders.values()] == [f"z{j} · {figures[j]:.2f} nats" for j in found]


def test_a_slider_moves_its_dimension_alone(digits_run):
    view = View(Explorer(digits_run)).map
    view.choose_row(5)
    z = view.z.copy()
    view.sliders[2].value = 1.25
    z[2] = 1.25
    np.testing.assert_allclose(view.z, z)
    assert view._marker.data["x"] == [pytest.approx(view.plane.project(z)[0])]


def test_two_pages_do_not_share_choices(digits_run):
    explorer = Explorer(digits_run)
    one, other = View(explorer).map, View(explorer).map
    before = explorer.codes.copy()
    one.choose_row(9)
    one.sliders[0].value = 2.0
    np.testing.assert_array_equal(other.z, explorer.codes[0])
    np.testing.assert_array_equal(explorer.codes, before)


def test_a_wrong_value_is_said_and_the_page_goes_on(runs):
    view = View(Explorer(runs("a table"))).condition
    view.cells.widgets["day"].value = "tomorrow"
    assert "&#39;day&#39; must" in view.said.object
    view.cells.widgets["day"].value = "2020-02-03"
    assert "Effective sample size" in view.said.object


def test_a_notebook_shows_the_page(digits_run):
    shown = digits_run.explore(vaekit.data.open_source("digits").values[:20])
    assert "Explorer of digits" in shown[0].object
    assert "The map shows 20 given rows." in shown[0].object
    assert shown.get_root() is not None
