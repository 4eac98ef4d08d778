"""The model card of a shared run: how to load it, its data without values, its figures, what was left out, and limits."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence

from vaekit import __version__
from vaekit.data import Column
from vaekit.runs.run import Run
from vaekit.runs.sharing.record import Sharing

SIGNS = re.compile(r"([\\`*_\[\]|~$])")
"""Characters that Markdown would read."""
LIMITS = (
    "The figures are for held-out rows of the data that the model was trained on. Data from elsewhere may be different: "
    "measure the model on your own rows with `run.evaluate(rows)` before you use it.",
    "A high log p(x) does not mean that a row is correct, and a low one does not mean that it is wrong.",
    "The model repeats the regularities of its training data, including unfair ones. Do not use it alone for decisions "
    "about people.",
    "The model was not trained with differential privacy. What was left out cannot be read from the files, but the weights "
    "were fitted to training rows and may reveal something about them.",
)


def make_card(run: Run, record: Sharing, address: str, license: str | None) -> str:  # noqa: A002 - as the Hub calls it
    """Return the text of the model card.

    Args:
        run: the run as it is shared.
        record: what was left out and measured.
        address: where the run will be, as `vaekit.load` takes it.
        license: the licence that the user chose; None if there is none yet.
    """
    sections = (
        ("How to load it", _loading(run, address)),
        ("Data", _data(run)),
        ("Figures", _figures(record)),
        ("What was left out", _left_out(record)),
        ("Intended use", _uses(run)),
        ("Limits", _items(LIMITS)),
    )
    parts = [_header(run, license), f"# {_title(run)}", _summary(run, license)]
    parts += [f"## {title}\n\n{text}" for title, text in sections]
    return "\n\n".join(parts) + "\n"


def escape_markdown(text: str) -> str:
    """Return a text in one line of Markdown that shows it as it is.

    Examples:
        >>> escape_markdown("a|b\\n<i>")
        'a\\\\|b &lt;i&gt;'
    """
    return html.escape(SIGNS.sub(r"\\\1", " ".join(text.split())), quote=False)


def _header(run: Run, license: str | None) -> str:  # noqa: A002
    """Return the YAML header; texts are quoted as in JSON, which is YAML."""
    kind = "tabular" if run.reads_tables or not run.schema.picture else "pictures"
    tags = ["vaekit", "variational-autoencoder", kind]
    lines = ["library_name: vaekit", "tags:", *(f"- {tag}" for tag in tags)]
    lines += [] if license is None else [f"license: {json.dumps(license)}"]
    return "\n".join(["---", *lines, "---"])


def _title(run: Run) -> str:
    what = "an autoencoder" if not run.model.has_likelihood else "a variational autoencoder"
    data = "a table" if not run.schema.picture else "pictures"
    return f"{what[0].upper()}{what[1:]} of {data}"


def _summary(run: Run, license: str | None) -> str:  # noqa: A002
    recipe, rows = run.recipe, run.provenance["rows"]
    made_by = run.provenance.get("versions", {}).get("vaekit", __version__)
    count = sum(parameter.numel() for parameter in run.model.parameters())
    told = (
        f"Trained with [vaekit](https://pypi.org/project/vaekit/) {made_by} on {rows['train']:,} rows; {rows['validation']:,} "
        f"further rows chose the weights, and {rows['test']:,} were held out. It has {count:,} parameters: {recipe.latent}, "
        f"{recipe.networks}, likelihood {recipe.likelihood_name}."
    )
    return told if license is not None else f"{told} No licence has been chosen yet."


def _loading(run: Run, address: str) -> str:
    verbs = ["rows = run.sample(10)  # new rows"]
    if run.model.has_likelihood:
        verbs.append("scores = run.score_samples(rows)  # log p(x) of each row, in nats")
    if run.reads_tables:
        verbs.append("filled = run.impute(rows)  # fills missing cells")
    parts = "".join(f", {section}=…" for section in run.objects)
    lines = ["```python", "import vaekit", "", f"run = vaekit.load({json.dumps(address)}{parts})", *verbs, "```"]
    told = "No code is run: the files are safetensors, JSON, TOML and CSV, and `manifest.json` holds their SHA-256 digests."
    if parts:
        told += " The model has parts of its owner's making, which `load` must be given."
    return "\n".join([*lines, "", told])


def _data(run: Run) -> str:
    schema = run.schema
    shape = "×".join(map(str, schema.shape))
    if schema.kind != "mixed":
        levels = f", {schema.levels} levels" if schema.levels else ""
        told = f"Each row is {'a picture' if schema.picture else 'an array'} of shape {shape}, {schema.kind}{levels}."
        names = f" Columns: {', '.join(map(escape_markdown, schema.columns))}." if schema.columns else ""
        table = _table(schema.context) if schema.context else ""
        return f"{told}{names}" + (f"\n\nThe model is conditional on:\n\n{table}" if table else "")
    return f"Each row has {len(schema.table)} columns.\n\n{_table(schema.table)}"


def _table(columns: Iterable[Column]) -> str:
    rows = [(column.name, _kind(column), _role(column)) for column in columns]
    return "\n".join(["| column | kind | role |", "|---|---|---|", *(_row(row) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"


def _kind(column: Column) -> str:
    known = sum(value is not None for value in column.listed)
    return f"{column.kind}, {known} values" if column.listed else column.kind


def _role(column: Column) -> str:
    return "given" if column.context else "modelled" if column.modelled else "not modelled"


def _figures(record: Sharing) -> str:
    if record.figures is None:
        return "The run was shared without rows at hand, so it was not measured."
    rows = ["| figure | value |", "|---|---|", *map(_row, record.figures.rows())]
    told = "" if record.change is None else f"\n\nWhat was left out or changed has this effect: {record.change}."
    return "\n".join(rows) + "\n\n± is a standard error. ≥ marks a lower bound." + told


def _left_out(record: Sharing) -> str:
    parts = []
    for title, items in record.sections():
        if title != "log p(x)":
            lines = _items(f"{escape_markdown(item.what)}: {escape_markdown(item.said)}" for item in items)
            parts.append(f"{title}:\n\n{lines}")
    return "\n\n".join(parts)


def _uses(run: Run) -> str:
    return _items(_use(run))


def _use(run: Run) -> Iterator[str]:
    if run.model.has_likelihood:
        yield "Score rows by log p(x), to find unusual ones."
    if run.reads_tables:
        yield "Fill missing cells, with their uncertainty."
    yield "Draw new rows that resemble the training rows."
    yield "Encode rows as vectors for other models."


def _items(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)
