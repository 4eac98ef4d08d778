"""The few exceptions of the package, all with one form: what must be, what was given, how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 200
"""Characters of what was given that a message shows."""
MOST_SAID = 1000
"""Characters of a clause of our own, which may list names."""
MOST_COMPARED = 2000
"""Known words, among which the nearest is looked for."""


def shorten(text: str, most: int = MOST_SHOWN) -> str:
    """A text with `…` in its middle where it is longer than that.

    Examples:
        >>> shorten("abcdefghij", 5)
        'ab…ij'
    """
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[-half:]}"


class VaekitError(Exception):
    """A condition that the user can mend.

    Args:
        must: what must hold, as a clause without its full stop ("`latent_dim` must be at least 1").
        given: what was found instead; left out of the message when empty, and shortened when long.
        mend: what to do about it, a sentence without its full stop; left out when empty.
    """

    def __init__(self, must: str, given: str = "", mend: str = "") -> None:
        must = "\n".join(shorten(line, MOST_SAID) for line in must.split("\n"))
        given, mend = shorten(given), shorten(mend, MOST_SAID)
        self.must, self.given, self.mend = must, given, mend
        super().__init__(_sentences(must, f"Got {given} instead" if given else "", mend))


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith("?") else f"{part.rstrip('.')}." for part in parts if part)


class DataError(VaekitError, ValueError):
    """The data cannot be read, or do not fit what the model was trained on."""


class RecipeError(VaekitError, ValueError):
    """The recipe names something that does not exist, or values that do not go together."""


class RunError(VaekitError, OSError):
    """The run folder is missing, damaged, newer than this version, or cannot be written."""


class TrainingError(VaekitError, RuntimeError):
    """Training cannot go on."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop and has saved its state.

    It is a KeyboardInterrupt, so that loops which try one fit after another end, too: `except Exception` lets it pass.

    Args:
        happened: what was done, a clause without its full stop.
        mend: how to go on, a sentence without its full stop; left out when empty.
        signal: the number of the signal that asked.
    """

    def __init__(self, happened: str, mend: str, signal: int) -> None:
        super().__init__(_sentences(happened, mend))
        self.signal = signal


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that offers the nearest of the known words, or lists them.

    Args:
        word: what was given.
        known: the words that would have been understood.

    Returns:
        ``"Did you mean 'x'?"``, or the list of known words.

    Examples:
        >>> did_you_mean("latent_dims", ["latent_dim", "prior"])
        "Did you mean 'latent_dim'?"
    """
    names = list(known)
    known, word = names[:MOST_COMPARED], word[:MOST_SHOWN]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not close:  # the last part of a dotted key is what people remember
        tails = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [tails[t] for t in difflib.get_close_matches(word.rsplit(".", 1)[-1], tails, n=1, cutoff=0.6)]
    return f"Did you mean '{close[0]}'?" if close else f"Known are: {', '.join(sorted(names))}"


def at_least_one(value: int, name: str) -> int:
    """The value, refused below 1."""
    if value < 1:
        raise VaekitError(f"{name} must be at least 1", str(value))
    return value
