"""The command line: `vaekit VERB …`. Heavy imports wait until a verb needs them."""

from __future__ import annotations

import sys
import warnings
from typing import NoReturn


def main() -> None:
    """Run the command line; a mistake ends with one message and exit code 2."""
    from vaekit.cli.app import app
    from vaekit.errors import Interrupted, VaekitError

    before, warnings.formatwarning = warnings.formatwarning, _note
    try:
        app()
    except Interrupted as stop:
        _end(str(stop), 128 + stop.signal)
    except VaekitError as error:
        _end(str(error), 2)
    except KeyboardInterrupt:
        _end("interrupted before there was anything to save.", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as with `| head`
        sys.exit(0)
    except (OSError, MemoryError) as error:
        _end(f"the machine refused: {str(error) or 'out of memory'}.", 2)
    except RuntimeError as error:
        if "allocate" not in str(error):  # torch's way to say that memory is short
            raise
        _end(f"the machine refused: {str(error).splitlines()[0]}", 2)
    finally:
        warnings.formatwarning = before


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
