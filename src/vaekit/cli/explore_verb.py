"""The verb that opens the explorer of a run in a browser."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from vaekit.cli.options import RunArgument


def explore(
    run: RunArgument,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="The rows to explore; by default all rows of the run's own data."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port; 0 chooses a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
) -> None:
    """Explore a run in the browser.

    The page is served to this machine only, and only at the address that is printed. Ctrl-C ends it. Nothing is written.
    """
    from vaekit.explorer import serve
    from vaekit.runs.load import load

    server = serve(load(run), source, port)
    typer.echo(f"The explorer is at {server.url} (Ctrl-C ends it)", file=sys.stdout)
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C and SIGTERM are the usual ends
        server.run(browser=not no_browser)
