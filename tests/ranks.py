"""Start several processes that train together, as a launcher does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str


def own_signals():
    """Give a child the usual handlers, which a shell takes from processes in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def start(arguments, count=2, server=None, **variables):
    """Start `count` processes of Python with these arguments, each with its rank; as forks, if there is a server of forks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "WORLD_SIZE": count,
        "LOCAL_WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        **variables,
    }
    processes = []
    for rank in range(count):
        own = {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()} | ALONE
        if server is not None:
            processes.append(server.start(*arguments, **own))
            continue
        processes.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env={**os.environ, **own},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                preexec_fn=own_signals,
            )
        )
    return processes


def end(processes, timeout=120):
    """Wait until all processes have ended."""
    try:
        said = [process.communicate(timeout=timeout) for process in processes]
        return [Ended(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]
    finally:
        for process in processes:
            process.kill()


def together(arguments, count=2, server=None, **variables):
    """Run a script in several processes, and wait until all have ended."""
    return end(start(arguments, count, server, **variables))
