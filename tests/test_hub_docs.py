"""The guide to sharing: its code runs, its addresses are read, and its table names every file that is left out."""

import re
from pathlib import Path

from vaekit.runs.hub import parse_address
from vaekit.runs.sharing.plan import PRIVATE
from vaekit.runs.sharing.share import WHY

GUIDE = (Path(__file__).parent.parent / "docs" / "hub.md").read_text(encoding="utf-8")


def test_the_code_of_the_guide_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL):
        exec(compile(snippet, "hub.md", "exec"), names)
    assert "1 of 4 values, of fewer than 5 rows each, were left out" in str(names["record"])
    assert (tmp_path / "shared" / "people" / "README.md").exists()


def test_the_addresses_of_the_guide_are_read():
    found = re.findall(r"hf://[\w/]+(?:@\w+)?", GUIDE)
    assert {str(parse_address(address)) for address in found} == {"hf://ada/people", "hf://ada/people@REVISION"}


def test_the_table_names_what_is_left_out():
    assert all(name in GUIDE for name in WHY if name != "vaekit")
    assert "command line" in GUIDE
    assert "command" in PRIVATE
