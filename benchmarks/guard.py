"""Check that training has not become slower: `python guard.py`, or `python guard.py --write` to set the marks.

Times of different days are never compared. vaekit and a hand-written loop train the same network in interleaved
rounds of one run. The median ratio of neighbours is compared with the mark in `guard.json`. A ratio below nine tenths
of its mark is a failure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from common import HERE
from speed import Case, ratio, say, write_pictures

WATCHED = [("small", 64, ""), ("small", 512, "-bf16"), ("residual", 512, "-bf16")]
ALLOWED = 0.9


def measure(rounds: int) -> dict[str, float]:
    """Return the ratio of vaekit's speed to the speed of the hand-written loop, for each case."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder))
        for network, batch, kind in WATCHED:
            names = [f"vaekit{kind}", f"hand{kind}"]
            records = Case(network, batch).compete(names, rounds, pictures)
            by_name = {record["name"]: record | {"run": "this"} for record in records}
            found[f"{network}, batch {batch}{kind}"] = ratio(by_name, *names)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="save the measured ratios as the new marks")
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    path, found = HERE / "guard.json", measure(chosen.rounds)
    if chosen.write:
        path.write_text(json.dumps({name: round(value, 3) for name, value in found.items()}, indent=1) + "\n")
    marks = json.loads(path.read_text())
    slower = [name for name, value in found.items() if not value >= ALLOWED * marks[name]]
    for name, value in found.items():
        say(f"{name}: {value:.3f} (mark {marks[name]:.3f}){' SLOWER' if name in slower else ''}")
    raise SystemExit(1 if slower else 0)


if __name__ == "__main__":
    main()
