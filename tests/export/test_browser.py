"""The page of examples/browser decodes in Chromium, without a network, what the run decodes in Python.

`VAEKIT_ORT_WEB` is the folder `dist` of the npm package onnxruntime-web, which docs/export.md says how to get.
"""

from __future__ import annotations

import base64
import functools
import http.server
import io
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import vaekit

PAGE = Path(__file__).parent.parent.parent / "examples" / "browser"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SMALL = {"training.epochs": 4, "latent_dim": 2, "encoder.hidden": [8], "decoder.hidden": [8]}
DECODE = """async ([z, context]) => Array.from(await (await import("./page.js")).decode(z, context))"""
PICTURE = "document.querySelector('canvas').toDataURL().split(',')[1]"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    rng = np.random.default_rng(0)
    days = np.datetime64("2024-01-01") + rng.integers(0, 300, 200)
    table = pa.table({"age": rng.integers(18, 90, 200), "work": rng.choice(["city", "farm"], 200), "since": days})
    return vaekit.train(table, settings=SMALL, out=tmp_path_factory.mktemp("people") / "run")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    rng, place = np.random.default_rng(0), tmp_path_factory.mktemp("labelled")
    y = rng.choice([2, 7], 200)
    X = (rng.random((200, 4, 4)) < np.where(y == 7, 0.8, 0.2)[:, None, None]).astype(np.uint8)
    np.savez(place / "halves.npz", X=X, labels=y)
    return vaekit.train(str(place / "halves.npz"), settings=SMALL | {"data.context": ["label"]}, out=place / "run")


@pytest.fixture(scope="module")
def site(tmp_path_factory, digits_run, people, labelled):
    """The address of a folder with the page, the runtime and files of three runs."""
    runtime = os.environ.get("VAEKIT_ORT_WEB")
    if not runtime or not all((Path(runtime) / name).is_file() for name in RUNTIME):
        pytest.skip("VAEKIT_ORT_WEB names no folder with the files of onnxruntime-web (see docs/export.md)")
    pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    folder = shutil.copytree(PAGE, tmp_path_factory.mktemp("site") / "page")
    for name in RUNTIME:
        shutil.copy(Path(runtime) / name, folder)
    digits_run.export(folder / "decode.onnx", "decode")
    people.export(folder / "people.onnx", "decode")
    labelled.export(folder / "labelled.onnx", "decode")
    labelled.export(folder / "encode.onnx", "encode")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    reason = "a browser is driven by playwright (pip install playwright)"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def visit(browser, site):
    """A function that opens the page with a file, and fails at the end if the page said or asked for anything else."""
    said, asked, pages = [], [], []

    def visit(file, width=1100):
        page = browser.new_page(viewport={"width": width, "height": 800})
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{site}?model={file}")
        page.locator("main:visible, #fault:visible").first.wait_for(timeout=60_000)
        return page

    yield visit
    for page in pages:
        page.close()
    assert said == []
    assert [url for url in asked if not url.startswith((site, "data:"))] == []


def codes(run):
    return np.random.default_rng(0).normal(size=(12, run.recipe.latent_dim)).astype(np.float32)


def pixels(page):
    """The levels of red in the canvas, row by row."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(page.evaluate(PICTURE)))))[..., 0].ravel().astype(float)


def decoded(page, z, context=()):
    """Decode in the page."""
    return np.array([page.evaluate(DECODE, [row.tolist(), list(context)]) for row in z])


@pytest.mark.parametrize("width", [1100, 380])
def test_a_slider_changes_the_picture_to_what_the_run_decodes(visit, digits_run, width):
    page = visit("decode.onnx", width)
    before = pixels(page)
    page.get_by_label("z1", exact=True).fill("2.5")
    page.wait_for_timeout(500)
    moved = np.eye(1, digits_run.recipe.latent_dim) * 2.5
    shown = 255 * digits_run.decode(moved).ravel() / (digits_run.schema.levels - 1)
    after = pixels(page)
    assert (before != after).any()
    assert np.abs(after - shown).max() < 1
    z = codes(digits_run)
    expected = digits_run.decode(z).reshape(len(z), -1)
    far = np.abs(decoded(page, z) - expected) / np.maximum(expected.std(0), 1e-3 * expected.max())
    assert far.max() < 1e-4
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_row_of_a_table_has_the_values_and_names_of_the_run(visit, people):
    page = visit("people.onnx")
    expected, values = people.decode(codes(people)), decoded(page, codes(people))
    np.testing.assert_array_equal(values[:, 0], expected["age"].to_numpy())
    days = np.asarray(expected["since"].to_numpy(), "datetime64[D]").astype(float)
    np.testing.assert_array_equal(values[:, 2], days)
    page.get_by_label("z2", exact=True).fill("-1.5")
    row = people.decode([[0.0, -1.5]]).to_pylist()[0]
    for name in ("age", "work", "since"):
        page.locator("tr", has_text=name).get_by_text(str(row[name])[:10], exact=True).wait_for(timeout=5000)


def test_a_conditional_model_takes_its_context(visit, labelled):
    page = visit("labelled.onnx")
    column, z = labelled.schema.context[0], codes(labelled)
    for place, name in enumerate(column.categories):
        expected = labelled.decode(z, given={"label": name}).reshape(len(z), -1)
        assert np.abs(decoded(page, z, [place]) - expected).max() < 1e-4
    assert page.locator("#context option").all_inner_texts() == [f"{name:g}" for name in column.categories]


def test_a_file_of_another_part_is_refused_in_a_sentence(visit):
    page = visit("encode.onnx")
    assert page.inner_text("#fault") == "encode.onnx holds the part 'encode'. This page takes the part 'decode'."
    assert not page.locator("main").is_visible()
