"""The pages that are made from the code: the reference of Python and of the command line, and the recipes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import import_module, resources

from typer.main import get_command
from typer.testing import CliRunner

API = {
    "vaekit": "Train, load and use runs, and scikit-learn's estimators.",
    "vaekit.models": "Models, encoders, decoders, posteriors and priors.",
    "vaekit.models.likelihoods": "Likelihoods p(x|z), one for each kind of data.",
    "vaekit.distributions": "Distributions over latent vectors and over data.",
    "vaekit.networks": "Networks of encoders and decoders.",
    "vaekit.objectives": "What training minimises.",
    "vaekit.evaluation": "Bounds on log p(x), and all other figures.",
    "vaekit.auditing": "Checks of a log-likelihood.",
    "vaekit.jobs": "Large jobs: files to files.",
    "vaekit.testing": "Checks of parts of your own.",
    "vaekit.recipe": "Recipes and their keys.",
}
WHOLE = {"vaekit.Run": ["vaekit.runs.table_run.TableRun"]}
"""Classes whose inherited methods are shown too, with the classes that stand beside them."""


def reference() -> str:
    """Return the first page of the reference."""
    lines = [f"- [`{module}`](api/{module}.md): {about}" for module, about in API.items()]
    return "\n".join(
        [
            "# Reference",
            "",
            "The names below are public. They keep their meaning between versions, or the [changes](../repository/CHANGELOG.md) say how they differ.",
            "All docstrings have examples that run.",
            "",
            *lines,
            "- [Command line](../command-line.md): every verb with its options.",
            "- [How figures are made](../figures.md), and [the words of mixed tables](../vocabulary.md).",
            "",
        ]
    )


def api(module: str) -> Callable[[], str]:
    """Return a function that makes the page of a module: its public names in alphabetical order."""

    def make() -> str:
        lines = [f"# {module}", "", API[module], ""]
        names = sorted(import_module(module).__all__, key=str.lower)
        for name in (each for each in names if not each.startswith("__")):
            for path in [f"{module}.{name}", *WHOLE.get(f"{module}.{name}", [])]:
                options = ["inherited_members: true"] if path.endswith("Run") else []
                found = getattr(import_module(module), name)
                if getattr(found, "__module__", "").endswith(f".{name}"):  # the module of this name would be shown
                    options += [f"heading: {path}", f"toc_label: {name}"]
                    path = f"{found.__module__}.{name}"
                if _has_only_fields(found):
                    options += ["docstring_options: {warn_unknown_params: false, warn_missing_types: false}"]
                lines += [
                    f"::: {path}",
                    *(["    options:"] if options else []),
                    *(f"      {each}" for each in options),
                    "",
                ]
        return "\n".join(lines)

    return make


def _has_only_fields(found: object) -> bool:
    """Tell whether a class has fields in place of a constructor that can be read, so that its arguments cannot be compared."""
    return isinstance(found, type) and (issubclass(found, tuple) or hasattr(found, "model_fields"))


def command_line() -> str:
    """Return the page of the command line: what `--help` prints for each verb."""
    from vaekit.cli.app import app

    runner, lines = CliRunner(), ["# Command line", ""]
    lines += ["Each verb is a command, as in `vaekit train digits`. This page is what `--help` prints.", ""]
    for verb in sorted(get_command(app).commands):  # type: ignore[attr-defined]
        shown = runner.invoke(app, [verb, "--help"], env={"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"})
        text = "\n".join(line.rstrip() for line in shown.stdout.strip().splitlines())
        lines += [f"## {verb}", "", "``` { .text }", text, "```", ""]
    return "\n".join(lines)


def recipes() -> str:
    """Return the page of the recipes: what each is for, what it reached, and its text."""
    lines = [
        "# Recipes",
        "",
        "A recipe is a TOML file. `vaekit train DATA --recipe NAME` uses one, `--set key=value` changes a key, and a file of your own is used in the same way.",
        "`vaekit recipes --keys` lists every key with its meaning; [how to choose](choosing.md) says which to try. Where a recipe says *Measured*, somebody trained it exactly as it stands.",
        "",
        "| recipe | for |",
        "|---|---|",
    ]
    found = list(_recipes())
    lines += [f"| [`{name}`](#{name}) | {tomllib.loads(text)['description']} |" for name, text in found]
    for name, text in found:
        content, comments = tomllib.loads(text), re.findall(r"^# ?(.*)$", text, flags=re.MULTILINE)
        measured = " ".join(comments)
        lines += ["", f"## {name} {{ #{name} }}", "", content["description"], ""]
        lines += [measured, ""] if measured else []
        code = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
        code = re.sub(r"^(description|reference) = .*\n", "", code, flags=re.MULTILINE).strip()
        lines += [f"Reference: {content['reference']}.", ""] if content.get("reference") else []
        lines += ["``` { .toml }", code, "```"] if code else []
    return "\n".join(lines) + "\n"


def _recipes() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each bundled recipe."""
    library = resources.files("vaekit.recipe.library")
    for file in sorted(library.iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml"):
            yield file.name.removesuffix(".toml"), file.read_text(encoding="utf-8")


PAGES: dict[str, Callable[[], str]] = {
    "reference/index.md": reference,
    "command-line.md": command_line,
    "recipes.md": recipes,
    **{f"reference/api/{module}.md": api(module) for module in API},
}
