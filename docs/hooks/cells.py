"""Run the pages: every `python` and `bash` block is a cell of a notebook, in the order of the page.

Each page has a kernel and an empty folder of its own. What a cell prints, shows and draws stands under it. A `text` block
right after a cell says what the cell prints, and must be right. An error, a warning, or a text that differs ends the build.
"""

from __future__ import annotations

import base64
import html
import os
import re
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

LOG = get_plugin_logger("cells")
CELL = re.compile(r"^```(python|bash)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", flags=re.DOTALL | re.MULTILINE)
HIDDEN = re.compile(r"^[ \t]+```(python|bash)$", flags=re.MULTILINE)
PLACE = re.compile(r'<div data-cell="(\d+)"></div>')
DRAWN = re.compile(r"\[?<(matplotlib\.|Axes)")
"""The names of drawings, which say nothing beside the drawing, and change with every build."""
TIME, PROCESSES = 600, 2
INK = "#123456"
"""A colour that stands for the colour of the page's text, which is dark or light."""
SETUP = f"""
import warnings, logging
warnings.simplefilter("error")
warnings.filterwarnings("ignore", module="ipykernel|traitlets|zmq|tornado")
from vaekit.reporters import quiet
still = quiet()  # without bars; what training chooses goes to the log
still.__enter__()
import matplotlib, matplotlib_inline
matplotlib_inline.backend_inline.set_matplotlib_formats("svg")
matplotlib.rcParams.update({{
    **dict.fromkeys(["text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"], "{INK}"),
    **dict.fromkeys(["figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"], "none"),
    "axes.prop_cycle": matplotlib.cycler(color=["#4c8df6", "#f2711c", "#2ab673", "#c061cb", "#e5484d"]),
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "image.cmap": "gray_r",
    "figure.figsize": (7, 3.2), "figure.constrained_layout.use": True, "svg.hashsalt": "vaekit", "savefig.dpi": 110,
}})
"""
ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # the commands of this environment
    "COLUMNS": "100", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "JUPYTER_PLATFORM_DIRS": "1", "TQDM_DISABLE": "1",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}  # fmt: skip

_POOL = ThreadPoolExecutor(PROCESSES)
_PAGES: dict[str, Future[list[str]]] = {}


def cells(markdown: str) -> list[re.Match[str]]:
    """Return the cells of a page."""
    return list(CELL.finditer(markdown))


def on_files(files: Files, **_: Any) -> Files:
    """Start to run all pages with cells; those with the most code first."""
    os.environ.update(ENVIRONMENT)
    pages = [(file, file.content_string) for file in files.documentation_pages()]
    for file, markdown in sorted(pages, key=lambda page: -sum(len(cell[2]) for cell in cells(page[1]))):
        if cells(markdown):
            _PAGES[file.src_uri] = _POOL.submit(run, file, markdown)
    return files


def run(file: File, markdown: str) -> list[str]:
    """Run a page, and return the HTML of each cell's results."""
    if HIDDEN.search(markdown):
        raise PluginError(f"{file.src_uri}: a cell must start at the left margin")
    notebook, start = nbformat.v4.new_notebook(), time.monotonic()
    notebook.cells.append(nbformat.v4.new_code_cell(SETUP))
    for cell in cells(markdown):
        code = cell[2] if cell[1] == "python" else "%%script bash -euo pipefail\nexec 2>&1\n" + cell[2]
        notebook.cells.append(nbformat.v4.new_code_cell(code))
    with tempfile.TemporaryDirectory() as folder:
        place, quiet = {"metadata": {"path": folder}}, ["--Application.log_level=CRITICAL"]
        client = NotebookClient(
            notebook, timeout=TIME, kernel_name="python3", resources=place, extra_arguments=quiet, coalesce_streams=True
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError) as error:
            raise PluginError(f"{file.src_uri}: a cell failed\n{error}") from None
    LOG.info("%s: %d cells in %.0f s", file.src_uri, len(notebook.cells) - 1, time.monotonic() - start)
    results = []
    for cell, ran in zip(cells(markdown), notebook.cells[1:], strict=True):
        printed = "".join(each.text for each in ran.outputs if each.output_type == "stream")
        if cell[3] is not None and printed != cell[3]:
            raise PluginError(f"{file.src_uri}: the page shows\n{cell[3]}\nbut the cell printed\n{printed}")
        results.append("".join(show(file, each) for each in ran.outputs))
    return results


def show(file: File, output: Any) -> str:
    """Return the HTML of one result."""
    if output.output_type == "stream":
        if output.name == "stderr":
            raise PluginError(f"{file.src_uri}: a cell wrote to stderr\n{output.text}")
        return f"<pre>{html.escape(output.text.rstrip())}</pre>"
    data = output.data
    if "image/svg+xml" in data:
        drawn = data["image/svg+xml"]
        drawn = drawn[drawn.index("<svg") :].replace(INK, "currentColor")
        return f'<div class="figure">{drawn.replace("<svg", f"<svg {spoken(drawn)}", 1)}</div>'
    if "image/png" in data:
        encoded = base64.b64encode(base64.b64decode(data["image/png"])).decode()
        return f'<div class="figure"><img alt="" src="data:image/png;base64,{encoded}"></div>'
    if "text/html" in data:
        return data["text/html"]
    text = data["text/plain"]
    return "" if DRAWN.match(text) else f"<pre>{html.escape(text)}</pre>"


def spoken(drawing: str) -> str:
    """Return attributes of a drawing that a screen reader reads: the words in it, which matplotlib leaves as comments."""
    texts = dict.fromkeys(re.findall(r"<!-- (.*?) -->", drawing))
    words = "; ".join(text for text in texts if re.search("[A-Za-z]{2}", text))
    return f'role="img" aria-label="Drawing: {html.escape(html.unescape(words), quote=True)}"'


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Put a place for the results under each cell; the text that a cell prints is shown once."""
    if page.file.src_uri not in _PAGES:
        return markdown
    numbers = iter(range(len(cells(markdown))))
    return CELL.sub(lambda cell: f'```{cell[1]}\n{cell[2]}```\n\n<div data-cell="{next(numbers)}"></div>', markdown)


def on_page_content(content: str, page: Page, **_: Any) -> str:
    """Put the results of the cells into the page."""
    if page.file.src_uri not in _PAGES:
        return content
    results = _PAGES[page.file.src_uri].result()
    if len(PLACE.findall(content)) != len(results):
        raise PluginError(f"{page.file.src_uri}: {len(results)} cells ran, but the page has other places for them")

    def fill(place: re.Match[str]) -> str:
        result = results[int(place[1])]
        return f'<div class="results">{result}</div>' if result else ""

    return PLACE.sub(fill, content)
