"""Show lines of the package: a `source` block names an object, and the page shows its code as it is when the site is built."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```source\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def find(name: str) -> Any:
    """Return the object with a dotted name, such as `vaekit.models.variational.Draws.rate`."""
    module, parts = name, []
    while True:
        try:
            found = import_module(module)
            break
        except ModuleNotFoundError:
            module, _, part = module.rpartition(".")
            if not module:
                raise
            parts.insert(0, part)
    for part in parts:
        found = inspect.getattr_static(found, part)
        found = getattr(found, "__func__", found)
    return getattr(found, "fget", found)


def code_of(name: str) -> tuple[str, str]:
    """Return the code of an object, with the first sentence of its docstring, and its file and line."""
    found = find(name)
    lines, start = inspect.getsourcelines(found)
    path = Path(inspect.getsourcefile(found) or "").resolve().relative_to(ROOT)
    code = textwrap.dedent("".join(lines)).splitlines()
    body = ast.parse("\n".join(code)).body[0]
    assert isinstance(body, ast.FunctionDef | ast.ClassDef)
    first = body.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and first.lineno != first.end_lineno:
        code[first.lineno - 1 : first.end_lineno] = [code[first.lineno - 1] + '"""']
    return "\n".join(code), f"{path.as_posix()}, line {start}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each block by the code of the objects that it names, one a line."""

    def show(block: re.Match[str]) -> str:
        shown = []
        for name in block[1].split():
            code, place = code_of(name)
            shown.append(f'``` {{ .python .source title="{place}" }}\n{code}\n```')
        return "\n\n".join(shown)

    return BLOCK.sub(show, markdown)
