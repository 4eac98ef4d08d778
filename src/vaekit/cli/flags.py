"""Rewrite the library's messages with command-line flags in place of Python arguments."""

from __future__ import annotations

import ast
import re
import shlex

FLAGS = {
    **{
        name: f"--{name}"
        for name in (
            "test",
            "recipe",
            "out",
            "seed",
            "rows",
            "factors",
            "mean",
            "given",
            "samples",
            "draws",
            "overwrite",
            "license",
            "port",
            "part",
            "to",
        )
    },
    "settings": "--set",
    "resume": "vaekit train --resume",
    "n": "-n",
    "folder": "--out",
    "private": "--public",
}
"""The flags by the names of their arguments."""
ARGUMENT = re.compile(rf"`({'|'.join(FLAGS)})=([^`]*)`")


def name_flags(message: str) -> str:
    """Rewrite a message with command-line flags in place of Python arguments in backquotes.

    Examples:
        >>> name_flags("Choose another `out=`, or continue with `resume='my run'`.")
        "Choose another `--out`, or continue with `vaekit train --resume 'my run'`."
        >>> name_flags("Give it, as in `given={'label': VALUE}`; `likelihood=gaussian` is a setting.")
        'Give it, as in `--given label=VALUE`; `likelihood=gaussian` is a setting.'
    """
    return ARGUMENT.sub(lambda found: f"`{FLAGS[found[1]]} {_as_word(found[2])}".rstrip() + "`", message)


def _as_word(value: str) -> str:
    """Write a Python value as the value of a command-line flag; a flag for a truth value needs none."""
    if value in ("", "True", "False"):
        return ""
    if pair := re.fullmatch(r"\{'(.*)': (\w+)\}", value):
        return f"{pair[1]}={pair[2]}"
    try:
        return shlex.quote(str(ast.literal_eval(value)))
    except (ValueError, SyntaxError):
        return value
