"""A report's page, taken apart."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from vaekit.report import write_report

VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Text, elements and pictures of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.html, self.texts, self.elements, self.open = page, [], [], []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", " ".join(self.texts))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open and "pre" not in self.open:
            self.texts.append(data)

    def pictures(self, label):
        found = [a["src"] for tag, a in self.elements if tag == "img" and a["alt"] == label]
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(src.partition("base64,")[2])))) for src in found]

    def cell(self, name):
        return re.search(rf'<th scope="row">{re.escape(name)}</th><td class="value"[^>]*>([^<]*)</td>', self.html)[1]


def report(run, beside=None):
    return Page(write_report(run, beside).read_text(encoding="utf-8"))
