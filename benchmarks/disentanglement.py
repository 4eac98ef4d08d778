"""Disentanglement: whether objectives that aim at it separate the known factors of drawn pictures.

A white rectangle on black, 16 × 16 pixels, at each of 10 × 10 places in each of 3 × 3 sizes: 900 pictures of four
independent factors, log 900 = 6.8 nats in all. Each objective trains the same perceptron (128, 128) with six latent
dimensions for 300 epochs (the weights kept are those of the best held-out ELBO, as always), and the posterior means of all
pictures are scored. Penalties have the weights of the recipes, except the capacity, which is the information to encode.
The last two rows give the cost: bound and rate, with weight 1, of all pictures, most of which trained the model.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from common import Measure, Trials, arguments, cell, markdown_table

import vaekit
from vaekit.reporters import Reporter

SIDE, PLACES, SIZES = 16, 10, (2, 4, 6)
OBJECTIVES: dict[str, dict[str, object]] = {
    "elbo": {},
    "beta-vae": {"objective.kl_weight": 4.0},
    "beta-tc-vae": {"objective": "tc", "objective.kl_weight": 6.0},
    "factor-vae": {"objective": "factor", "objective.tc_weight": 10.0},
    "capacity-vae": {
        "objective": "capacity",
        "objective.kl_weight": 100.0,
        "objective.capacity": 6.8,
        "training.kl_warmup": 0.8,
    },
}
MEASURES = [
    Measure("mig", "MIG"),
    Measure("sap", "SAP"),
    Measure("dci_disentanglement", "DCI disentanglement"),
    Measure("dci_completeness", "DCI completeness"),
    Measure("dci_informativeness", "DCI informativeness"),
    Measure("factor_vae", "FactorVAE score"),
    Measure("elbo", "ELBO", 2),
    Measure("rate", "rate", 2),
]


def rectangles() -> tuple[np.ndarray, np.ndarray]:
    """Draw pictures, shape (900, 16, 16), 0 or 1, with their factors: left edge, upper edge, width, height."""
    factors = np.array(list(itertools.product(range(PLACES), range(PLACES), range(len(SIZES)), range(len(SIZES)))))
    pictures = np.zeros((len(factors), SIDE, SIDE), dtype=np.uint8)
    for picture, (x, y, width, height) in zip(pictures, factors, strict=True):
        picture[y : y + SIZES[height], x : x + SIZES[width]] = 1
    return pictures, factors


def trial(_table: str, method: str, seed: int) -> dict:
    pictures, factors = rectangles()
    settings = {
        "encoder.hidden": [128, 128],
        "decoder.hidden": [128, 128],
        "latent_dim": 6,
        "training.epochs": 300,
        "training.batch_size": 128,
        "training.learning_rate": 1e-3,
        "training.patience": 0,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = vaekit.train(
            pictures,
            settings=settings | OBJECTIVES[method],
            seed=seed,
            out=Path(folder) / "run",
            reporter=Reporter(),
        )
        figures = run.evaluate(pictures, samples=1, factors=factors)
    return asdict(figures.disentanglement) | {"elbo": figures.elbo, "rate": figures.rate}


def report(trials: Trials) -> str:
    """Return a table with a row for each score and a column for each objective."""
    methods = trials.methods(OBJECTIVES)
    rows = [[m.heading, *(cell(trials.of("rectangles", method), m) for method in methods)] for m in MEASURES]
    rows.append(["seeds", *(str(len(trials.of("rectangles", method))) for method in methods)])
    return f"# Disentanglement\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{markdown_table(['', *methods], rows)}\n"


def main() -> None:
    chosen = arguments(__doc__, ["rectangles"], OBJECTIVES).parse_args()
    trials = Trials("disentanglement", chosen)
    trials.run(trial)
    trials.write(report(trials))


if __name__ == "__main__":
    main()
