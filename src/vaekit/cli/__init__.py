"""The command line, `vaekit VERB …`. Heavy imports wait until a verb needs them."""

from __future__ import annotations

import codecs
import contextlib
import io
import signal
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from vaekit.processes import is_launched, leads

_PLAIN = {
    **{"≥": ">=", "≤": "<=", "±": "+-", "−": "-", "–": "-", "·": "*", "…": "...", "×": "x", "→": "->", "√": "sqrt "},
    **{"≈": "~", "≠": "!=", "∞": "inf", "½": "1/2", "²": "^2", "³": "^3", "‖": "||", "’": "'", "“": '"', "”": '"'},
}
"""ASCII replacements for characters that the output's encoding lacks."""


def main() -> None:
    """Run the command line; the exit code is 2 after an error, and 128 plus the signal's number after a signal."""
    from vaekit.cli.app import Stopped, app
    from vaekit.cli.flags import name_flags
    from vaekit.errors import VaekitError, shorten

    codecs.register_error("vaekit-plain", _replace_signs)
    for stream in (sys.stdout, sys.stderr):  # files and terminals may have other encodings than UTF-8
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vaekit-plain")
    before, warnings.formatwarning = warnings.formatwarning, _note
    try:
        with _signals_raise():
            app()
    except Stopped as stopped:
        _end(name_flags(str(stopped)) if leads() else "", 128 + stopped.signal)
    except VaekitError as error:
        _end("" if error.told else name_flags(str(error)), 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has ended, as `| head` does
        sys.exit(0)
    except (OSError, MemoryError) as error:
        _end(f"the system reported an error: {shorten(str(error)) or 'out of memory'}.", 2)
    except RuntimeError as error:
        if "allocate" not in str(error):  # torch raises a RuntimeError if memory is short
            raise
        _end("the system reported an error: out of memory.", 2)
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM raise `Interrupted`, so that open files are closed."""
    former = {}
    with contextlib.suppress(ValueError):  # another thread
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                former[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():  # a launcher repeats its signal while a process ends
            signal.signal(number, signal.SIG_IGN if is_launched() else handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    from vaekit.errors import Interrupted

    if is_launched():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted("interrupted before there was anything to save", "", number)


def _note(message: Warning | str, *_: object, **__: object) -> str:
    return f"vaekit: note: {message}\n" if leads() else ""


def _replace_signs(error: UnicodeError) -> tuple[str, int]:
    """Handle an encoding error: put ASCII text in place of the characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_to_ascii, error.object[error.start : error.end])), error.end


def _to_ascii(sign: str) -> str:
    """Write a character in ASCII: a Greek letter by its name, an unknown character by its number."""
    name = unicodedata.name(sign, "")
    if name.startswith("GREEK") and " LETTER " in name and " WITH " not in name:
        letter = name.rpartition(" ")[2]
        return letter.lower() if "SMALL" in name else letter.capitalize()
    return _PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii")


def _end(message: str, code: int) -> NoReturn:
    if message:
        sys.stderr.write(f"vaekit: {message}\n")
    sys.exit(code)
