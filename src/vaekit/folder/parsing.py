"""Parse the text files of a run folder, and raise a ValueError for anything that training does not write."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tomllib
from typing import Any

METRICS = (
    "step", "epoch", "train_elbo", "train_distortion", "train_rate", "elbo", "distortion", "rate", "active_units", "bound",
    "kl_weight", "learning_rate",
)  # fmt: skip
"""The columns of metrics.csv."""
CHAIN = re.compile(r"(?<![\w\"'.-])(?:[\w\"'-]++\s*+\.\s*+){50}")
"""A key with many dotted parts: tomllib's time grows with the square of their number."""
NUMBER = re.compile(r"-?(\d{1,17}(\.\d{1,22})?(e[+-]?\d{1,3})?|inf)|nan", re.ASCII)
NOTES = "vaekit"
"""The only key in the metadata of a safetensors file, since the order of several keys would vary."""


def parse_json(text: str) -> dict[str, Any]:
    """Parse a JSON file that holds one object of finite numbers."""
    try:
        content = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("objects nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"one object was expected, not a {type(content).__name__}")
    return content


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a TOML file, but refuse a key with so many parts that parsing would take very long."""
    if chain := CHAIN.search(text):
        raise ValueError(f"a key of too many parts, {chain[0]}")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("values nested too deeply") from error


def format_metrics(rows: list[dict[str, float]]) -> str:
    """Format the metrics of all validations as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def parse_metrics(text: str) -> list[dict[str, float]]:
    """Parse the text of metrics.csv into a dictionary for each validation."""
    header, *lines = text.splitlines() or [""]
    if header != (columns := ",".join(METRICS)):
        raise ValueError(f"its columns are '{header}', which are not '{columns}'")
    return [_parse_row(line) for line in lines]


def _parse_row(line: str) -> dict[str, float]:
    cells = line.split(",")
    if len(cells) != len(METRICS) or not all(map(NUMBER.fullmatch, cells)) or not cells[0].isdigit():
        raise ValueError(f"the line '{line}' is not a row of numbers")
    return {name: int(cell) if cell.isdigit() else float(cell) for name, cell in zip(METRICS, cells, strict=True)}


def parse_notes(metadata: dict[str, str]) -> dict[str, str]:
    """Parse the notes in the metadata of a safetensors file."""
    notes = parse_json(metadata.get(NOTES, "{}"))
    if not all(isinstance(value, str) for value in notes.values()):
        raise ValueError("its notes are not texts")
    return notes
