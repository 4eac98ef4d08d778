"""Turn formulas into MathML when the site is built, so that pages need no script and no network to show them."""

from __future__ import annotations

import html
import re
from typing import Any

from math_core import LatexToMathML

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', flags=re.DOTALL)
CONVERTER = LatexToMathML()


def on_page_content(content: str, **_: Any) -> str:
    """Replace each formula; one that cannot be read raises an error."""

    def convert(formula: re.Match[str]) -> str:
        latex, block = html.unescape(formula[3]).strip(), formula[2] == "["
        mathml = CONVERTER.convert_with_local_state(latex, displaystyle=block)
        return f'<div class="formula" tabindex="0">{mathml}</div>' if block else mathml

    return FORMULA.sub(convert, content)
