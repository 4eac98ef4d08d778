"""The notebook runs from its first cell to its last, and shows tables and pictures."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "penguins.ipynb"
SHORT = "import vaekit.runs.missing; vaekit.runs.missing.MOST_STEPS = 25\n"
"""Makes training quick in the kernel; nothing is shown of it."""


@pytest.mark.filterwarnings("ignore")  # of the kernel's own packages
def test_the_notebook_runs(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # it is kept without its results
    trained = next(cell for cell in notebook.cells if "vaekit.train(" in cell.source)
    trained.source = SHORT + trained.source.replace(
        '"training.epochs": 40', '"training.epochs": 2, "evaluation.samples": 5'
    )
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = [key for output in shown for key in output.get("data", {})]
    assert kinds.count("image/png") == 3
    assert kinds.count("text/html") >= 8
    errors = "".join(output.get("text", "") for output in shown if output.get("name") == "stderr")
    assert "likelihood=mixed" in errors  # the choices, once
    assert errors.count("likelihood=mixed") == 1
    assert "Warning" not in errors
    assert (tmp_path / "runs" / "penguins" / "report.html").exists()
