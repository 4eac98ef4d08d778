"""Processes that have imported the package before they begin: an import of torch takes seconds, a fork none.

A server imports, and forks once for each line that it reads. What a process does stays its own, as in any other.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Ended:
    """How a process ended."""

    returncode: int
    stdout: str
    stderr: str


class Server:
    """Starts processes of Python, in which every warning is an error."""

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", __file__]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *words: object, cwd: Path) -> Ended:
        """Run `python WORDS` in a folder: a script, or `-m` and a module, with arguments."""
        with tempfile.TemporaryDirectory() as folder:
            texts = [Path(folder, name) for name in ("out", "err")]
            self.process.stdin.write(json.dumps([[str(word) for word in words], str(cwd), *map(str, texts)]) + "\n")
            self.process.stdin.flush()
            return Ended(int(self.process.stdout.readline()), *(text.read_text(encoding="utf-8") for text in texts))

    def close(self) -> None:
        """End the server."""
        self.process.communicate()


def begin(words: list[str], cwd: str, *texts: str) -> None:
    """Do what `python WORDS` does, with outputs to files."""
    os.chdir(cwd)
    for number, path in enumerate(texts, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    module = words[0] == "-m"
    sys.argv = words[module:]
    sys.path[0] = cwd if module else str(Path(words[0]).parent)
    if module:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


def serve() -> None:
    """Fork for each line of the input, and tell how the fork ended."""
    import torch  # noqa: F401

    import vaekit.cli.app
    import vaekit.training.loop  # noqa: F401

    for line in sys.stdin:
        if not (child := os.fork()):
            return begin(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


if __name__ == "__main__":
    serve()
