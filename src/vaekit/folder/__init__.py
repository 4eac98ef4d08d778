"""The run folder: recipe, schema, weights, metrics and provenance on disk. Reading it runs no code.

recipe.toml           the complete recipe, with every default written out
schema.json           description of the data, and the transform that was fitted to them
weights.safetensors   the best weights
rows.safetensors      hashes of the training rows
missing.safetensors   the model of the pattern of missing cells, if training rows have missing cells
intervals.json        recalibrated levels of intervals of missing cells, if enough validation rows were left for them
outliers.safetensors  for a detector of outliers: training rows, units of its score, and scores of held-out rows
state/                everything that resuming needs
metrics.csv           a row for each validation
provenance.json       versions, seed, command, choices with their reasons, and a fingerprint of the data
row.parquet           one row of an estimator's training data
report.html
manifest.json         of a shared run: the SHA-256 digest of each of its files
README.md             of a shared run: its model card

Each file is written atomically, so training may be interrupted at any time. Each file has its own digest, so damage is
detected.
"""

from vaekit.folder.fetched import FetchedFolder
from vaekit.folder.manifest import SHARED, check_manifest, write_manifest
from vaekit.folder.provenance import NOT_SHARED, Count, Provenance
from vaekit.folder.run_folder import (
    CARD,
    COPY,
    FORMAT,
    INTERVALS,
    KNOWN,
    MANIFEST,
    METRICS,
    MISSING,
    OUTLIERS,
    REPORT,
    ROW,
    WEIGHTS,
    RunFolder,
)

__all__ = [
    "CARD",
    "COPY",
    "FORMAT",
    "INTERVALS",
    "KNOWN",
    "MANIFEST",
    "METRICS",
    "MISSING",
    "NOT_SHARED",
    "OUTLIERS",
    "REPORT",
    "ROW",
    "SHARED",
    "WEIGHTS",
    "Count",
    "FetchedFolder",
    "Provenance",
    "RunFolder",
    "check_manifest",
    "write_manifest",
]
