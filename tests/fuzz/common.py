"""What the fuzzers share: numbered cases, each seeded by its number, tried in a child process with bounds on time and memory.

A fuzzer is a script that ends in `fuzz(check)`. `python tests/fuzz/fuzz_x.py --cases 3000 --seed 0` tries all of them,
`--only 17` one, with its traceback.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from vaekit.errors import VaekitError

Check = Callable[[np.random.Generator, Path], str]
FAULT = "FAULT"
"""How the name of an outcome begins that must never be seen."""
MEGABYTE = 1 << 20
MOST_SHOWN = 25


def fuzz(check: Check, memory_mb: int = 2048, seconds: float = 60.0) -> None:
    """Try numbered cases, print how often each outcome was seen, and end with 1 if one of them was a fault.

    Args:
        check: given the random numbers of a case and an empty folder, tries one input and names what came of it. A refusal
            (`VaekitError`) may be raised; any other exception is a fault, as is a name that begins with `FAULT`.
        memory_mb: how much more than at the start the process may hold in a case.
        seconds: how long a case may take.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=3000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="the same seed tries the same cases")
    parser.add_argument("--only", type=int, help="try this case alone, and show its traceback")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.only is not None:
        print(_outcome(check, options.seed, options.only, show=True))
        return
    outcomes = _outcomes(check, options.cases, options.seed, memory_mb, seconds)
    counts = collections.Counter(outcome.partition(":")[0] for outcome in outcomes)
    for name, count in sorted(counts.items()):
        print(f"{count:7,} {name}")
    faults = [(case, outcome) for case, outcome in enumerate(outcomes) if outcome.startswith(FAULT)]
    for case, outcome in faults[:MOST_SHOWN]:
        print(f"case {case}: {outcome}")
    sys.exit(bool(faults))


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with one fault in them: bits flipped, a piece cut out, doubled or overwritten, or the end missing."""
    if not content:
        return content
    made = bytearray(content)
    start = int(rng.integers(len(made)))
    end = min(len(made), start + int(rng.geometric(0.05)))
    kind = rng.integers(6)
    if kind < 2:
        for place in rng.integers(0, len(made), 1 if kind == 0 else 8):
            made[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        del made[start:]
    elif kind == 3:
        del made[start:end]
    elif kind == 4:
        made[start:start] = made[start:end]
    else:
        made[start:end] = rng.bytes(end - start)
    return bytes(made)


def _outcomes(check: Check, cases: int, seed: int, memory_mb: int, seconds: float) -> list[str]:
    """The outcome of each case; a child that hangs or dies costs its case, and another goes on."""
    context = multiprocessing.get_context("fork")  # what the fuzzer has prepared is there at once
    found: list[str] = []
    while len(found) < cases:
        ours, theirs = context.Pipe(duplex=False)
        arguments = (check, range(len(found), cases), seed, memory_mb * MEGABYTE, theirs)
        child = context.Process(target=_work, args=arguments)
        child.start()
        theirs.close()
        while len(found) < cases:
            try:
                if not ours.poll(seconds):
                    found.append(f"{FAULT} hang: over {seconds:g} seconds")
                    break
                found.append(ours.recv())
            except EOFError:
                child.join()
                found.append(f"{FAULT} crash: exit code {child.exitcode}")
                break
        child.kill()
        child.join()
    return found


def _work(check: Check, cases: range, seed: int, memory: int, results: Connection) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + memory, used + memory))
    for case in cases:
        results.send(_outcome(check, seed, case))


def _outcome(check: Check, seed: int, case: int, show: bool = False) -> str:
    with tempfile.TemporaryDirectory(prefix="vaekit-fuzz-") as folder:
        try:
            return check(np.random.default_rng([seed, case]), Path(folder))
        except VaekitError as error:
            return f"refused: {error}"
        except MemoryError:
            return f"{FAULT} memory"
        except BaseException as error:
            if show:
                traceback.print_exc()
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{FAULT} {type(error).__name__}: {str(error)[:200]} ({place.filename}:{place.lineno})"
