"""Cheap facts about the site: its navigation, its links, and the code that its pages name. `make docs` builds it and runs all cells."""

import importlib.util
import itertools
import re
import sys
from pathlib import Path

import pytest

import vaekit

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(?:#([^)\s]+))?\)")
GENERATED = ("command-line.md", "recipes.md", "reference/")


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def prose_of(page):
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)


def hook(name):
    spec = importlib.util.spec_from_file_location(f"hook_{name}", DOCS / "hooks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sources = hook("sources")


def navigated():
    """The pages that the navigation names, and its folders."""
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    return re.findall(r"[\w./-]+\.md|[\w-]+/(?=\n)", nav)


def test_the_navigation_has_every_page_once():
    entries = navigated()
    for page in PAGES:
        assert sum(entry == page or (entry.endswith("/") and page.startswith(entry)) for entry in entries) == 1, page


def test_the_tutorial_follows_the_derivation():
    chapters = [page for page in navigated() if page.startswith("tutorial/")]
    assert [page.removeprefix("tutorial/").removesuffix(".md") for page in chapters] == [
        *("index", "autoencoder", "em", "inference-network", "generative-network", "cost-function"),
        *("reparameterization", "final-loss", "joint", "regularisation"),
    ]
    for chapter in chapters[1:]:
        text = text_of(chapter)
        assert "$$" in text, f"{chapter} has no equation"
        assert "```source" in text, f"{chapter} shows no lines of the package"
        assert "## Experiment" in text, f"{chapter} has no experiment"
        assert "```python" in text


def anchors_of(page):
    headings = re.findall(r"^#+ (.+)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    for path, anchor in LINK.findall(prose_of(page)):
        target = (DOCS / page).parent / path
        inside = target.resolve().is_relative_to(DOCS) and target.resolve().relative_to(DOCS).as_posix()
        if inside and inside.startswith(GENERATED):
            continue
        assert target.exists() or path.endswith("repository/CHANGELOG.md"), f"{page} links to {path}"
        if anchor and inside:
            assert anchor in anchors_of(inside), f"{page} links to {path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_tables_have_as_many_columns_as_their_heads(page):
    """Otherwise a page shows the bars instead of a table."""
    lines = prose_of(page).split("\n")
    for head, rule in itertools.pairwise(re.sub(r"`[^`]*`|\\\|", "", line) for line in lines):
        if re.fullmatch(r"\s*\|(\s*:?-+:?\s*\|)+\s*", rule):
            assert head.count("|") == rule.count("|"), head


@pytest.mark.parametrize("page", [page for page in PAGES if "```source" in text_of(page)])
def test_the_code_that_a_page_names_is_there(page):
    for block in sources.BLOCK.findall(text_of(page)):
        for name in block.split():
            code, place = sources.code_of(name)
            assert re.match(rf"(@.*\n)*(def|class) {name.rpartition('.')[2]}\b", code), name
            assert place.startswith("src/vaekit/")


def test_code_is_shown_with_the_first_line_of_its_docstring():
    code, place = sources.code_of("vaekit.models.variational.Draws.rate")
    lines = code.splitlines()
    assert lines[0] == "def rate(self) -> Tensor:"
    assert lines[1] == '    """Return R = KL[q(z|x) ‖ p(z)], shape (B,)."""'
    assert lines[2].startswith("    if isinstance(self.prior, DiagonalNormal)")
    assert lines[-1] == "    return self.log_ratio().mean(0)"
    path, _, line = place.partition(", line ")
    assert (ROOT / path).read_text(encoding="utf-8").splitlines()[int(line) - 1] == "    def rate(self) -> Tensor:"


def test_a_name_that_is_gone_is_an_error():
    with pytest.raises(AttributeError):
        sources.code_of("vaekit.models.variational.Draws.gone")
    with pytest.raises(ModuleNotFoundError):
        sources.code_of("vaekit_gone.models")


def test_package_and_changelog_agree_on_the_version():
    newest = re.search(r"^## ([\d.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert newest[1] == vaekit.__version__
    for page in (ROOT / "README.md", DOCS / "index.md"):
        assert f"vaekit-{vaekit.__version__}-py3-none-any.whl" in page.read_text(encoding="utf-8")


def test_every_block_of_code_starts_at_the_margin():
    """A block that is indented would not run."""
    for page in PAGES:
        assert not re.search(r"^[ \t]+```(python|bash)", text_of(page), flags=re.MULTILINE), page
