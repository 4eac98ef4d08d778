"""Likelihood: the held-out likelihood of each recipe for MNIST, and its training time.

The figures are importance-weighted bounds with K = 5,000 draws on all 10,000 dynamically binarised test images. Each
row is reproduced by `vaekit train MNIST --recipe NAME` and `vaekit evaluate RUN`. This script runs both, continues where
it was interrupted, and writes the results. Published figures are for the same data, a similar estimate, and the network
that the recipe follows or a comparable one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import HERE, RESULTS, circumstances, data_folder, markdown_table, star, stopwatch
from trials import some_of

PUBLISHED = {
    "mnist": "86.76, VAE of Burda et al. 2016",
    "mnist-fast": "84.45, N(0, I); 82.09, exemplar prior (Norouzi et al. 2020)",
    "mnist-mlp": "84.45, N(0, I); 82.09, exemplar prior (Norouzi et al. 2020)",
    "mnist-iwae-1": "84.78, Burda et al. 2016",
    "mnist-iwae-2": "82.90, Burda et al. 2016",
    "mnist-best": "79.67, ConvHVAE with VampPrior (Tomczak and Welling 2018); 78.01, NVAE (Vahdat and Kautz 2020)",
}
"""−log p(x) in nats."""
FOLDER = RESULTS / "likelihood"


def vaekit(*words: object) -> str:
    """Run a command of the package and return what it prints."""
    command = [str(Path(sys.executable).with_name("vaekit")), *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


class Run:
    """The run of a recipe, with the seconds that its training took so far over all interruptions.

    Args:
        name: name of the recipe.
        runs: folder of the run folders.
    """

    def __init__(self, name: str, runs: Path) -> None:
        self.name, self.path, self.clock = name, runs / name, runs / f"{name}.json"
        self.state = json.loads(self.clock.read_text()) if self.clock.exists() else {"seconds": 0.0, "trained": False}

    def train(self) -> None:
        """Train the recipe, or resume its training."""
        if self.state["trained"]:
            return
        before, start = os.getloadavg(), time.perf_counter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        anew = [data_folder() / "mnist", "--recipe", self.name, "--out", self.path]
        try:
            vaekit("train", *(["--resume", self.path] if self.path.exists() else anew))
            self.state["trained"] = True
        finally:
            self.state["seconds"] += time.perf_counter() - start
            self.state["training"] = circumstances(before)
            self.clock.write_text(json.dumps(self.state))

    def measure(self, samples: int) -> dict[str, object]:
        """Return the figures of the run on the test images."""
        before = os.getloadavg()
        with stopwatch() as took:
            figures = json.loads(vaekit("evaluate", self.path, "--samples", samples, "--json"))
        found = figures["log_likelihood"]
        return {
            "recipe": self.name,
            "nll": -found["value"],
            "standard_error": found["standard_error"],
            "negative_elbo": -figures["elbo"],
            "active_units": figures["active_units"],
            "latent_dim": figures["latent_dim"],
            "samples": samples,
            "minutes": self.state["seconds"] / 60,
            "training": self.state["training"],
            "measuring_minutes": took["seconds"] / 60,
            **circumstances(before),
        }


def table(records: list[dict]) -> str:
    """Return a table with a row for each recipe, the best first."""
    rows = [
        [
            f"`{r['recipe']}`",
            f"{r['nll']:.2f} ± {r['standard_error']:.2f}",
            f"{r['negative_elbo']:.2f}",
            f"{r['active_units']} of {r['latent_dim']}",
            f"{r['samples']:,}",
            f"{r['minutes']:.0f}{star([r['training']])}",
            f"{r['measuring_minutes']:.0f}{star([r])}",
            PUBLISHED[r["recipe"]],
        ]
        for r in sorted(records, key=lambda r: r["nll"])
    ]
    head = ["recipe", "−log p(x) ≤", "−ELBO", "active units", "K", "minutes to train", "to measure", "published"]
    machines = "; ".join(sorted({c["machine"] for r in records for c in (r, r["training"])}))
    about = __doc__.split("\n", 2)[2].strip()
    mark = "A * marks times taken on one thread, or while the machine had other work: too long, not to be compared."
    return f"# Likelihood\n\n{about}\n\n{markdown_table(head, rows)}\n\n{mark}\n\nMachine: {machines}.\n"


def main() -> None:
    """Train and measure the recipes, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "recipes", nargs="*", type=some_of(PUBLISHED), metavar="RECIPE", help=f"some of {', '.join(PUBLISHED)}"
    )
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="folder of the run folders (benchmarks/runs)")
    parser.add_argument("--samples", type=int, default=5000, help="draws K (5,000)")
    chosen = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in itertools.chain.from_iterable(chosen.recipes):
        run = Run(name, chosen.runs)
        run.train()
        (FOLDER / f"{name}.json").write_text(json.dumps(run.measure(chosen.samples), indent=2) + "\n")
        shutil.copy(run.path / "metrics.csv", FOLDER / f"{name}.csv")
    records = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
    text = table(records)
    (RESULTS / "likelihood.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
