"""The list of keys that `vaekit recipes --keys` prints."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from vaekit.parts import AUTO
from vaekit.recipe.recipe import SECTIONS, recipe_keys

WORDS = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "array": "a list"}


def _values(schema: dict[str, Any]) -> str:
    """Describe in words which values a JSON schema allows."""
    if "anyOf" in schema:
        return " or ".join(_values(each) for each in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "object":
        return f"for each name: {_values(schema['additionalProperties'])}"
    return WORDS[schema["type"]]


def describe_keys() -> list[tuple[str, str, str, str]]:
    """Return a tuple (key, default, values, meaning) for every key of a recipe."""
    rows = []
    for key, field in recipe_keys().items():
        section, _, name = key.rpartition(".")
        if section in SECTIONS and name == "name":
            choice = SECTIONS[section]
            rows.append((key, choice.default, ", ".join([AUTO, *sorted(choice.kind.known)]), _parts(section)))
            continue
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        values = _values(TypeAdapter(field.annotation).json_schema())
        rows.append((key, str(default), values, (field.description or "") + _owners(section, name)))
    return rows


def _parts(section: str) -> str:
    """Describe all parts of a recipe section, each by the first line of its docstring."""
    known = SECTIONS[section].kind.known
    return f"Which {section}. " + " ".join(
        f"{name}: {(part.__doc__ or '').strip().splitlines()[0]}" for name, part in sorted(known.items())
    )


def _owners(section: str, key: str) -> str:
    """Return a sentence that names the parts with an option; it is empty if all parts have the option."""
    if section not in SECTIONS:
        return ""
    known = SECTIONS[section].kind.known
    owners = sorted(name for name, part in known.items() if key in part.Options.model_fields)
    return "" if len(owners) == len(known) else f" For {', '.join(owners)}."
