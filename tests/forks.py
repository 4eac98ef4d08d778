"""Processes that have imported the package before they begin: an import of torch takes seconds, a fork none.

A server imports, and forks once for each process that it is asked for. What a process does stays its own, as in any other.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any


class Process:
    """A fork of the server, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, server: Server, pid: int, folder: tempfile.TemporaryDirectory) -> None:
        self.server, self.pid, self.folder = server, pid, folder
        self.returncode: int | None = None

    def communicate(self, timeout: float = 300) -> tuple[str, str]:
        """Wait until it has ended; return what it wrote."""
        last = time.monotonic() + timeout
        while (code := self.server.ask(wait=self.pid)) is None:
            if time.monotonic() > last:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.02)
        self.returncode = code
        out, err = (Path(self.folder.name, name).read_text(encoding="utf-8") for name in ("out", "err"))
        self.folder.cleanup()
        return out, err

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


class Server:
    """Forks processes of Python, in which every warning is an error."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", __file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request: Any) -> Any:
        """Send a request to the server, and return its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, *words: object, cwd: Path | None = None, **variables: object) -> Process:
        """Start `python WORDS` in a folder: a script, or `-m` and a module, with arguments.

        Args:
            words: the words of the command.
            cwd: the folder; the current one by default.
            variables: variables of its environment.
        """
        folder = tempfile.TemporaryDirectory()
        own = {name: str(value) for name, value in variables.items()}
        pid = self.ask(words=[str(word) for word in words], cwd=str(cwd or Path.cwd()), env=own, folder=folder.name)
        return Process(self, pid, folder)

    def run(self, *words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Start a process, and wait until it has ended."""
        process = self.start(*words, cwd=cwd)
        out, err = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def close(self) -> None:
        """End the server."""
        self.process.communicate()


def begin(words: list[str], cwd: str, env: dict[str, str], folder: str) -> None:
    """Do what `python WORDS` does, with outputs to files, and with the usual handlers of signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(env)
    os.chdir(cwd)
    for number, name in enumerate(("out", "err"), 1):
        os.dup2(os.open(Path(folder, name), os.O_WRONLY | os.O_CREAT), number)
    module = words[0] == "-m"
    sys.argv = words[module:]
    sys.path[0] = cwd if module else str(Path(words[0]).parent)
    if module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def serve() -> None:
    """Answer each line of the input: a fork with its number, a wait with the status, or null while it runs."""
    import accelerate  # noqa: F401
    import torch  # noqa: F401

    import vaekit.cli.app
    import vaekit.training.loop  # noqa: F401

    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            print(json.dumps(os.waitstatus_to_exitcode(status) if pid else None), flush=True)
            continue
        with warnings.catch_warnings(
            action="ignore", category=DeprecationWarning
        ):  # an idle thread of pyarrow may be there
            child = os.fork()
        if not child:
            return begin(**request)
        print(child, flush=True)
    return None


if __name__ == "__main__":
    serve()
