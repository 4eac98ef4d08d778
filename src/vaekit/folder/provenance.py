"""The schema of provenance.json."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Text = Annotated[str, StringConstraints(pattern=r"\A[^\x00]*\z", max_length=100_000)]
Digest = Annotated[str, StringConstraints(pattern=r"\A[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0, lt=1 << 53)]


NOT_SHARED = "not shared"
"""Stands for the source of the rows in a run that was shared."""


class RowCounts(BaseModel):
    """The number of rows in each part of the data.

    Args:
        train: rows that trained the model.
        validation: rows that chose the weights.
        test: held-out rows.
    """

    train: Count
    validation: Count
    test: Count


class Provenance(BaseModel):
    """The content of provenance.json; unknown keys are ignored.

    Args:
        format: version of the folder's format.
        source: where the rows came from; `not shared` in a run that was shared.
        test_source: where separate held-out rows came from.
        fingerprint: digest of the training rows; None in a run that was shared, as are the other two.
        validation_fingerprint: digest of the validation rows.
        test_fingerprint: digest of the held-out rows.
        rows: number of rows in each part.
        threads: number of threads when training began.
        processes: number of processes when training began.
        launch: name of the launcher's work, by which restarted processes know their run.
        choices: sentences on what was chosen for `auto`, and why.
        command: the command that trained the model.
        versions: versions of the packages.
        start: path of the run that gave the initial weights.
        library: library of the data frame that an estimator was fitted to.
        pattern: digest of row.parquet.
        blunted: of a shared run, the number of rows that lie at or beyond each extreme; 0 if extremes were not moved.
        incomplete: names of the columns with missing cells in training, in the order of missing.safetensors.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    format: Annotated[int, Field(ge=1)]
    source: Text
    test_source: Text | None
    fingerprint: Digest | None
    validation_fingerprint: Digest | None
    test_fingerprint: Digest | None = None
    rows: RowCounts
    threads: Annotated[int, Field(ge=1, lt=1 << 20)] = 1
    processes: Annotated[int, Field(ge=1, lt=1 << 20)] = 1
    launch: Text | None = None
    choices: list[Text]
    command: list[Text] = []
    versions: dict[Text, Text] = {}
    start: Text | None = None
    library: Annotated[str, StringConstraints(max_length=40)] | None = None
    pattern: Text | None = None
    incomplete: list[Text] = []
    blunted: Count = 0
