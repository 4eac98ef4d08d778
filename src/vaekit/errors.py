"""The exceptions of the package. A message states the problem first, then what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_SHOWN = 200
"""How many characters of a given value a message shows."""
MOST_SAID = 1000
"""How many characters a message shows of its rule and of its advice, which may list names."""
MOST_COMPARED = 2000
"""How many known words a misspelt word is compared with."""


def shorten(text: str, most: int = MOST_SHOWN) -> str:
    """Shorten a text to at most `most` characters by replacing its middle with `…`.

    Examples:
        >>> shorten("abcdefghij", 5)
        'ab…ij'
    """
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[-half:]}"


class VaekitError(Exception):
    """A problem that the user can solve.

    A wrong value is reported as a rule, the value and a remedy; any other problem as a sentence and a remedy.
    A message names Python arguments in backquotes, as in ``Choose another folder with `out=` ``. The command line
    replaces these names with its flags.

    Args:
        must: the rule that the value breaks, a clause with "must" ("latent_dim must be at least 1"); or, without
            `given`, the problem as a sentence ("The run has no held-out rows (data.test=0)").
        given: the value that was given, for "Got … instead"; shortened when long. Leave it out if there is no value.
        mend: what to do, as an instruction ("Pass the rows to measure"); left out when empty.

    Examples:
        >>> print(VaekitError("latent_dim must be at least 1", "0", "Leave it out to have it chosen"))
        latent_dim must be at least 1. Got 0 instead. Leave it out to have it chosen.
        >>> print(VaekitError("The run has no held-out rows (data.test=0)", mend="Pass the rows to measure"))
        The run has no held-out rows (data.test=0). Pass the rows to measure.
    """

    def __init__(self, must: str, given: str = "", mend: str = "") -> None:
        self.told = False  # whether another process of the training has shown the message
        must = "\n".join(shorten(line, MOST_SAID) for line in must.split("\n"))
        given, mend = shorten(given), shorten(mend, MOST_SAID)
        self.must, self.given, self.mend = must, given, mend
        super().__init__(_sentences(must, f"Got {given} instead" if given else "", mend))


def _sentences(*parts: str) -> str:
    return " ".join(part if part.endswith("?") else f"{part.rstrip('.')}." for part in parts if part)


class DataError(VaekitError, ValueError):
    """The data cannot be read, or do not match the model's training data."""


class RecipeError(VaekitError, ValueError):
    """The recipe has an unknown key or value, or values that do not fit together."""


class RunError(VaekitError, OSError):
    """The run folder is missing, damaged or of another version, or a file cannot be written."""


class TrainingError(VaekitError, RuntimeError):
    """Training cannot continue."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop and has saved its state.

    `except Exception` does not catch it, so Ctrl-C also ends a loop over many fits.

    Args:
        happened: what happened, a clause without its full stop.
        mend: how to continue, an instruction without its full stop; left out when empty.
        signal: the number of the signal.
    """

    def __init__(self, happened: str, mend: str, signal: int) -> None:
        super().__init__(_sentences(happened, mend))
        self.signal = signal


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known word closest to a misspelt word, or list all known words.

    Args:
        word: the misspelt word.
        known: the known words.

    Returns:
        ``"Did you mean 'x'?"``, or ``"Choose from: x, y"`` if no word is close.

    Examples:
        >>> did_you_mean("latent_dims", ["latent_dim", "prior"])
        "Did you mean 'latent_dim'?"
    """
    names = list(known)
    known, word = names[:MOST_COMPARED], word[:MOST_SHOWN]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if not close:  # people remember the last part of a dotted key
        tails = {name.rsplit(".", 1)[-1]: name for name in known}
        close = [tails[t] for t in difflib.get_close_matches(word.rsplit(".", 1)[-1], tails, n=1, cutoff=0.6)]
    return f"Did you mean '{close[0]}'?" if close else f"Choose from: {', '.join(sorted(names))}"


def at_least_one(value: int, name: str) -> int:
    """Return the value, or raise a `VaekitError` if it is below 1."""
    if value < 1:
        raise VaekitError(f"{name} must be at least 1", str(value))
    return value
