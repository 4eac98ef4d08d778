"""The address of an explorer, in a process of its own as a user starts it, asked by strangers; and in a browser."""

import contextlib
import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("panel", reason="the page of the explorer needs panel (pip install 'vaekit[explore]')")

BROWSERS = [Path("/usr/bin/chromium"), Path("/usr/bin/chromium-browser"), Path("/usr/bin/google-chrome")]
BROWSER = next((str(path) for path in BROWSERS if path.exists()), None)
OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def process(digits_run):
    command = [sys.executable, "-m", "vaekit", "explore", str(digits_run.path), "--no-browser"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield started
    started.kill()
    started.communicate()


@pytest.fixture(scope="module")
def address(process):
    """Host, port and token."""
    said = process.stdout.readline()
    found = re.fullmatch(r"The explorer is at http://(127\.0\.0\.1):(\d+)/([\w-]{32})/ \(Ctrl-C ends it\)\n", said)
    return found[1], int(found[2]), found[3]


def ask(address, path, **headers):
    host, port, token = address
    connection = http.client.HTTPConnection(host, port, timeout=60)
    given = {name.replace("_", "-"): value.format(port=port) for name, value in headers.items()}
    connection.request("GET", path.format(token=token), headers=given)
    answer = connection.getresponse()
    connection.close()
    return answer.status


SOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "MTIzNDU2Nzg5MDEyMzQ1Ng==",
}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/{token}/", {}, 200),
        ("/{token}/", {"Host": "localhost:{port}"}, 200),
        ("/{token}/", {"Host": "localhost:1234"}, 200),  # the other end of a tunnel
        ("/{token}/", {"Origin": "http://127.0.0.1:{port}"}, 200),
        ("/{token}/static/js/bokeh.min.js", {}, 200),
        ("/", {}, 403),
        ("/ws", SOCKET, 403),
        ("/static/js/bokeh.min.js", {}, 403),
        ("/favicon.ico", {}, 403),
        ("/{token}x/", {}, 403),
        ("/x/{token}/", {}, 403),
        ("/%C3%A4/", {}, 403),
        ("/{token}/", {"Host": "attacker.example"}, 403),  # DNS rebinding
        ("/{token}/", {"Host": "attacker.example:{port}"}, 403),
        ("/{token}/", {"Host": "127.0.0.1.attacker.example"}, 403),
        ("/{token}/", {"Origin": "http://attacker.example"}, 403),
        ("/{token}/", {"Origin": "null"}, 403),
        ("/{token}/", {"Origin": "http://127.0.0.1:1"}, 403),  # another program of this machine
        ("/{token}/ws", SOCKET | {"Origin": "http://attacker.example"}, 403),
        ("/{token}/ws", SOCKET | {"Origin": "http://127.0.0.1:1"}, 403),
    ],
)
def test_only_who_has_the_token_is_let_in(address, path, headers, status):
    assert ask(address, path, **headers) == status


def test_other_machines_cannot_connect(address):
    for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.2")):  # another address of this machine
        with socket.socket(family) as other:
            other.settimeout(10)
            with pytest.raises(OSError, match=r"refused|unavailable|not available|not supported|unreachable"):
                other.connect((host, address[1]))


def test_a_port_in_use_is_said_in_a_sentence(address, digits_run, call):
    outcome = call("explore", digits_run.path, "--no-browser", "--port", address[1])
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == f"vaekit: The port {address[1]} is in use. Choose another `--port`, or leave it out.\n"


def test_without_panel_it_says_what_to_install(digits_run, call, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("vaekit.explorer.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "panel", None)
    outcome = call("explore", digits_run.path)
    assert outcome.code == 2
    assert (
        outcome.err
        == "vaekit: The package panel, which the explorer needs, is not installed. Run: pip install 'vaekit[explore]'.\n"
    )


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="a browser is driven by playwright (pip install playwright)"
    )
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield started
        started.close()


@pytest.mark.parametrize("width", [1400, 400])
def test_in_a_browser_a_click_and_a_slider_change_the_picture(address, browser, width):
    from playwright.sync_api import expect

    host, port, token = address
    page = browser.new_page(viewport={"width": width, "height": 900})
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"http://{host}:{port}/{token}/")
    picture = page.locator("img[alt='decoded picture']")
    picture.wait_for(timeout=60_000)
    page.locator(".bk-Figure").wait_for()

    def change(act):
        """Do something until the picture changes: a page may not listen yet when it shows its first picture."""
        before = picture.get_attribute("src")
        for _ in range(20):
            act()
            with contextlib.suppress(AssertionError):
                expect(picture).not_to_have_attribute("src", before, timeout=3000)
                return
        raise AssertionError("the picture stays as it was")

    frame = page.locator(".bk-Figure").bounding_box()
    for x, y in ((0.4, 0.35), (0.6, 0.6)):
        at = frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]
        change(lambda at=at: page.mouse.click(*at))
    handle = page.locator(".noUi-handle").first
    handle.focus()
    change(lambda: handle.press("PageUp"))
    page.locator(".bk-tab", has_text="Strangest rows").click()
    page.get_by_text("log p(x) ≥").first.wait_for(timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert asked != []
    assert [
        url
        for url in asked
        if not url.startswith((f"http://{host}:{port}/{token}/", "data:", f"blob:http://{host}:{port}/"))
    ] == []
    page.goto(f"http://{host}:{port}/")
    assert "has a token" in page.content()
    page.close()


def test_it_ends_without_a_word_on_control_c(address, process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
