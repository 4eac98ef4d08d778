"""Complete the site: folders in the navigation, pages that are made from the code, and files of the repository that pages link to."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from generated import PAGES
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
FOLDER = "repository"
"""Where the site keeps the files that lie outside of docs."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs holds, and complete the navigation."""
    for uri, make in PAGES.items():
        files.append(File.generated(config, uri, content=make()))
    waiting = [each for item in config.nav or [] for each in _leaves(item) if each.startswith(FOLDER)]
    waiting += [link for file in files.documentation_pages() for link in _outside(file.src_uri, file.content_string)]
    while waiting:
        uri = waiting.pop()
        if files.get_file_from_path(uri) is None:
            file = _shown(uri, config)
            files.append(file)
            waiting += _outside(uri, file.content_string) if uri.endswith(".md") else []
    known = {file.src_uri for file in files.documentation_pages()}
    config.nav = _expand(config.nav or [], known)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Make the links of a page, which are right in the repository, right in the site."""
    uri = page.file.src_uri

    def relink(link: re.Match[str]) -> str:
        return f"]({posixpath.relpath(_site_uri(_target(uri, link[1])), posixpath.dirname(uri))}{link[2] or ''})"

    return LINK.sub(relink, markdown) if uri not in PAGES else markdown


def _target(uri: str, link: str) -> str:
    """Return the path in the repository that a link of a page leads to."""
    of_repository = uri.startswith(f"{FOLDER}/")
    page = uri.removeprefix(f"{FOLDER}/") if of_repository else f"docs/{uri}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), link))


def _site_uri(path: str) -> str:
    """Return where the site has a file of the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{FOLDER}/{path}" if path.endswith((".md", ".png")) else f"{FOLDER}/{path}.md"


def _outside(uri: str, markdown: str) -> list[str]:
    """Return the site's names of the files outside of docs that a page links to."""
    if uri in PAGES:
        return []
    found = (_site_uri(_target(uri, link[1])) for link in LINK.finditer(markdown))
    return [each for each in found if each.startswith(f"{FOLDER}/")]


def _shown(uri: str, config: MkDocsConfig) -> File:
    """Return a file of the repository as one of the site: Markdown and pictures as they are, code and data in a block."""
    path = ROOT / uri.removeprefix(f"{FOLDER}/")
    if path.exists():
        return File.generated(config, uri, abs_src_path=str(path))
    path = path.with_suffix("")
    if path.is_dir():
        files = (each.relative_to(path.parent).as_posix() for each in sorted(path.glob("*.py")))
        return File.generated(
            config, uri, content=f"# {path.name}\n\n" + "".join(f"- [{each}]({each})\n" for each in files)
        )
    block = f"``` {{ .{path.suffix[1:].replace('py', 'python')} }}\n{path.read_text(encoding='utf-8')}\n```"
    return File.generated(config, uri, content=f"# {path.relative_to(ROOT).as_posix()}\n\n{block}\n")


def _leaves(item: Any) -> Iterable[str]:
    """Yield the pages of an entry of the navigation."""
    if isinstance(item, str):
        yield item
    else:
        for each in item.values() if isinstance(item, dict) else item:
            yield from _leaves(each)


def _expand(items: list[Any], known: set[str]) -> list[Any]:
    """Return the navigation with the pages of its folders, and without pages that are not there."""
    found: list[Any] = []
    for item in items:
        title, entry = next(iter(item.items())) if isinstance(item, dict) else (None, item)
        if isinstance(entry, list):
            found.append({title: _expand(entry, known)})
        elif entry.endswith("/"):
            pages = sorted(uri for uri in known if uri.startswith(entry))
            found += [{title: pages}] if title else pages
        elif entry in known:
            found.append(item)
    return found
