"""Serve an explorer to the browsers of this machine, at an address that others cannot guess."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import webbrowser
from typing import Any
from urllib.parse import urlsplit

import panel as pn
from tornado.routing import Matcher, Rule
from tornado.web import RequestHandler

from vaekit.errors import VaekitError
from vaekit.explorer.explorer import Explorer
from vaekit.explorer.view import View

ADDRESS = "127.0.0.1"
OWN = (ADDRESS, "localhost")
"""Names of this machine that a browser may use; another name is that of a website (DNS rebinding)."""
TEMPLATE = """
{% extends base %}
{% block preamble %}
<link rel="icon" href="data:,">
{% endblock %}
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<style>body { margin: 0; padding: 12px; }</style>
{% endblock %}
"""


class _Strangers(Matcher):  # type: ignore[misc]
    """Match the requests that are refused: those without the token, or from another website.

    Args:
        token: the first part of the path of all addresses.
    """

    def __init__(self, token: str) -> None:
        self.token = token

    def match(self, request: Any) -> dict[str, Any] | None:
        """Return an empty dictionary for a request that is refused, and None for any other."""
        part = request.path.split("/")[1]
        known = secrets.compare_digest(part.encode("utf-8", "replace"), self.token.encode())
        host = request.headers.get("Host", "")
        own = urlsplit(f"//{host}").hostname in OWN
        origin = request.headers.get("Origin")
        same = origin is None or origin == f"http://{host}"
        return None if known and own and same else {}


class _Refuse(RequestHandler):  # type: ignore[misc]
    """Answer any request with 403."""

    def prepare(self) -> None:
        """Answer before the method is looked at."""
        self.set_status(403)
        self.finish("Open the address that vaekit explore prints: it has a token.")


class ExplorerServer:
    """Serve an explorer at 127.0.0.1 under a random token; every other request gets the answer 403.

    Args:
        explorer: what is served; each page has its own choices.
        port: the port, or 0 for a free one.

    Raises:
        VaekitError: if the port is in use.
    """

    def __init__(self, explorer: Explorer, port: int = 0) -> None:
        for name in ("bokeh", "tornado.access"):  # they report each page, and the token in its address
            logging.getLogger(name).setLevel(logging.ERROR)
        self.token = secrets.token_urlsafe(24)

        def make_page() -> Any:
            page = pn.Template(TEMPLATE, nb_template="")
            page.add_panel("page", View(explorer, served=True).layout)
            return page

        _check_port(port)
        self._server = pn.io.server.get_server(
            {"/": make_page},
            port=port,
            address=ADDRESS,
            prefix=f"/{self.token}",
            websocket_origin="*",  # origins are compared with the host before, whatever port a tunnel has
            title=f"{explorer.run.path.resolve().name} – vaekit",
        )
        self._server._tornado.default_router.rules.insert(0, Rule(_Strangers(self.token), _Refuse))

    @property
    def url(self) -> str:
        """Return the address of the page, with the token."""
        return f"http://{ADDRESS}:{self._server.port}/{self.token}/"

    def run(self, browser: bool = False) -> None:
        """Serve pages until the process is told to stop.

        Args:
            browser: whether to open the page in the user's browser.
        """
        self._server.start()
        if browser:
            self._server.io_loop.call_later(0.2, lambda: webbrowser.open(self.url))
        try:
            self._server.io_loop.start()
        finally:
            self._server.stop()
            self._server._http.stop()


def _check_port(port: int) -> None:
    """Raise an error if a port is in use, or reserved for the system."""
    with socket.socket() as probe:
        if os.name == "posix":  # as the server does: a port that was closed a moment ago is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            fault = "in use" if error.errno == errno.EADDRINUSE else "reserved for the system"
            raise VaekitError(f"The port {port} is {fault}", mend="Choose another `port=`, or leave it out") from error
