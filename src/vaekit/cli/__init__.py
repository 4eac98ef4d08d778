"""The command line: `vaekit VERB …`. Heavy imports wait until a verb needs them."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; a mistake ends with one message and exit code 2."""
    from vaekit.cli.app import app
    from vaekit.errors import Interrupted, VaekitError

    try:
        app()
    except Interrupted as stop:
        print(f"vaekit: {stop}", file=sys.stderr)  # noqa: T201
        sys.exit(128 + stop.signal)
    except VaekitError as error:
        print(f"vaekit: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as with `| head`
        sys.exit(0)
