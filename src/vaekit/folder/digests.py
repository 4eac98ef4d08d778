"""Compute and check the SHA-256 digests that are stored in text files and tensor files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

LAST_LINE = re.compile(r"^# sha256 of the lines above: ([0-9a-f]{64})\n\Z", re.MULTILINE)
DIGEST = {
    ".json": re.compile(r'(?<=\A{\n)  "digest": "([0-9a-f]{64})",?\n'),
    ".toml": LAST_LINE,
    ".csv": LAST_LINE,
}
"""The line with the digest, by the ending of the file."""


def seal_text(text: str, suffix: str) -> str:
    """Add a line with the SHA-256 digest to the text of a file.

    Args:
        text: lines of the file; the first line of a JSON file must open an object.
        suffix: ending of the file, ".json", ".toml" or ".csv".

    Examples:
        >>> seal_text("a = 1", ".toml").splitlines()[1][:40]
        '# sha256 of the lines above: cb78bd8a17f'
    """
    text = text if text.endswith("\n") else f"{text}\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    if suffix == ".json":
        return text.replace("{\n", f'{{\n  "digest": "{digest}",\n', 1)
    return f"{text}# sha256 of the lines above: {digest}\n"


def unseal_text(text: str, suffix: str) -> tuple[str, bool | None]:
    """Remove the line with the digest from the text of a file, and check the digest.

    Returns:
        The other lines, and whether the digest matches them (None without a digest).
    """
    found = DIGEST[suffix].search(text)
    if found is None:
        return text, None
    rest = text[: found.start()] + text[found.end() :]
    return rest, found[1] == hashlib.sha256(rest.encode()).hexdigest()


def digest_tensors(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    """Return the SHA-256 of named tensors (names, types, shapes and bytes) and their notes."""
    named = sorted(tensors.items())
    described = [[[name, str(value.dtype), list(value.shape)] for name, value in named], sorted(notes.items())]
    digest = hashlib.sha256(json.dumps(described).encode())
    for _, value in named:
        content: Any = value.reshape(-1).view(torch.uint8).numpy() if value.numel() else b""
        digest.update(content)
    return digest.hexdigest()
