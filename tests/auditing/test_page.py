"""The page on audits runs as it stands and prints what it shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from vaekit.auditing.checks import CHECKS

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "audit.md").read_text(encoding="utf-8")


def test_the_examples_print_what_the_page_shows():
    names = {}
    shown = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(shown) == PAGE.count("```python")
    for code, text in shown:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, "audit.md", "exec"), names)
        assert printed.getvalue() == text


def test_the_table_of_checks_is_that_of_the_code():
    table = re.findall(r"^\| `(\w+)` \| (.*?\?) \|", PAGE, flags=re.MULTILINE)
    assert [name for name, _ in table] == [check.name for check in CHECKS]
    for (_, question), check in zip(table, CHECKS, strict=True):
        assert question.replace("\\|", "|").startswith(check.question[:30])


@pytest.mark.parametrize("link", re.findall(r"\]\((?!http)([^)#]+)", PAGE))
def test_links(link):
    assert (DOCS / link).exists()
