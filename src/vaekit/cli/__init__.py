"""The command line: `vaekit VERB …`. Heavy imports wait until a verb needs them."""

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

_PLAIN = {
    **{"≥": ">=", "≤": "<=", "±": "+-", "−": "-", "–": "-", "·": "*", "…": "...", "×": "x", "→": "->", "√": "sqrt "},
    **{"≈": "~", "≠": "!=", "∞": "inf", "½": "1/2", "²": "^2", "³": "^3", "‖": "||", "’": "'", "“": '"', "”": '"'},
}
"""What signs are written as where they cannot be written."""


def main() -> None:
    """Run the command line; a mistake ends with one message and exit code 2, a signal with 128 and its number."""
    from vaekit.cli.app import Stopped, app
    from vaekit.errors import VaekitError, shorten

    codecs.register_error("vaekit-plain", _written_plainly)
    for stream in (sys.stdout, sys.stderr):  # to a file or a terminal that is not UTF-8, too
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vaekit-plain")
    before, warnings.formatwarning = warnings.formatwarning, _note
    try:
        with _signals_raise():
            app()
    except Stopped as stopped:
        _end(str(stopped), 128 + stopped.signal)
    except VaekitError as error:
        _end(str(error), 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as with `| head`
        sys.exit(0)
    except (OSError, MemoryError) as error:
        _end(f"the machine refused: {shorten(str(error)) or 'out of memory'}.", 2)
    except RuntimeError as error:
        if "allocate" not in str(error):  # torch's way to say that memory is short
            raise
        _end("the machine refused: out of memory.", 2)
    finally:
        warnings.formatwarning = before


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM raise, so that whatever is open is closed; the training loop answers them better."""
    former = {}
    with contextlib.suppress(ValueError):  # another thread
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                former[number] = signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001
    from vaekit.errors import Interrupted

    raise Interrupted("interrupted before there was anything to save", "", number)


def _written_plainly(error: UnicodeError) -> tuple[str, int]:
    """Signs that an encoding does not have, in letters that every encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plainly, error.object[error.start : error.end])), error.end


def _plainly(sign: str) -> str:
    """A sign in ASCII: a Greek letter by its name, what is no sign of ours by its number."""
    name = unicodedata.name(sign, "")
    if name.startswith("GREEK") and " LETTER " in name and " WITH " not in name:
        letter = name.rpartition(" ")[2]
        return letter.lower() if "SMALL" in name else letter.capitalize()
    return _PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii")


def _note(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> str:
    """A warning as users should read it, without the place in the code."""
    return f"vaekit: note: {message}\n"


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"vaekit: {message}\n")
    sys.exit(code)
