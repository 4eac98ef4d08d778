"""Check the finished site: every link and fragment leads somewhere, and no page loads anything from elsewhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.plugins import get_plugin_logger

LOG = get_plugin_logger("links")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class _Page(HTMLParser):
    """Collect what a page links to, what it loads, and its fragments."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.fragments: set[str] = {"", "__top"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Read one tag."""
        values = {name: value or "" for name, value in attrs}
        self.fragments |= {values[key] for key in ("id", "name") if key in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if LOADED.get(tag) in values and values.get("rel") != "canonical":
            self.loads.append(values[LOADED[tag]])


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Check all pages."""
    site = Path(config.site_dir).resolve()
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    faults, checked = [], 0
    for path, page in pages.items():
        about = path.relative_to(site)
        faults += [f"{about} loads {each}" for each in page.loads if urlsplit(each).netloc]
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            checked += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                faults.append(f"{about} links to {link}, which is not there")
            elif target in pages and unquote(parts.fragment) not in pages[target].fragments:
                faults.append(f"{about} links to {link}, but that page has no such place")
    for style in site.rglob("*.css"):
        faults += [f"{style.relative_to(site)} loads from elsewhere" for text in ("url(http", "url(//", "@import") if text in style.read_text(encoding="utf-8")]  # fmt: skip
    if faults:
        raise PluginError("\n".join(faults))
    LOG.info("%d pages, %d links: all lead somewhere, and nothing is loaded from elsewhere", len(pages), checked)
