"""The guide to exported files runs as it stands."""

import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent.parent / "docs" / "export.md"


def test_the_blocks_of_the_guide_run(tmp_path, monkeypatch):
    runtime = pytest.importorskip("onnxruntime", reason="the extra `onnx` is not installed")
    runtime.set_default_logger_severity(3)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(compile(block, GUIDE.name, "exec"), names)
    assert len(names["scores"]) == 400
