"""The contract that a part does not change when it is saved to a run folder and loaded from it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vaekit.networks import Network
from vaekit.parts import PartOptions
from vaekit.runs.load import load
from vaekit.runs.train import train
from vaekit.testing.contract import ContractError

TINY: dict[str, Any] = {
    "encoder": "mlp",
    "decoder": "mlp",
    "encoder.hidden": [8],
    "decoder.hidden": [8],
    "latent_dim": 2,
    "training.epochs": 1,
    "training.validations": 1,
    "evaluation.samples": 4,
}
"""A recipe that trains in a second."""


def check_round_trip(
    options: PartOptions, source: object = "digits", settings: Mapping[str, Any] | None = None, *, seed: int = 0
) -> None:
    """Train a tiny model with a part for one epoch, load it from its folder, and compare weights and scores bit for bit.

    Args:
        options: options of the part, whose class determines the part. A network is used both as encoder and as decoder.
        source: suitable data for the part, in any form that `vaekit.train` takes.
        settings: dotted keys and values of the recipe that the part needs, such as `data.binarize`.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the loaded run differs from the trained one.
        VaekitError: if the part cannot be used with the data or the rest of the recipe.

    Examples:
        >>> from vaekit.models import GaussianMixture
        >>> check_round_trip(GaussianMixture.Options(components=3))
    """
    part = options.part
    sections = ("encoder", "decoder") if issubclass(part, Network) else (part.section,)
    recipe = {key: value for key, value in TINY.items() if key.partition(".")[0] not in sections}
    recipe |= dict.fromkeys(sections, options) | dict(settings or {})
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        run = train(source, settings=recipe, out=folder, seed=seed)
        again = load(folder)
        for section in sections:
            kept = getattr(again.recipe, section)
            if kept != getattr(run.recipe, section):
                broken = f"the recipe of the run says {section}: {kept} after loading, and {getattr(run.recipe, section)} before"
                raise ContractError(part, broken, "an option is not saved as it was given")
        _compare(part, run, again, source)


def _compare(part: type[Any], run: Any, again: Any, source: object) -> None:
    before, after = run.model.state_dict(), again.model.state_dict()
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            raise ContractError(part, f"{name} is missing after loading", "build must make the same modules")
        if not torch.equal(before[name], after[name]):
            off = float((before[name].double() - after[name].double()).abs().max())
            raise ContractError(
                part, f"{name} differs by {off:.3g} after loading", "it is not saved, or loading changes it"
            )
    for name, one, other in (
        ("sample", run.sample(5, seed=1), again.sample(5, seed=1)),
        ("score_samples", run.score_samples(source), again.score_samples(source)),
        ("encode", run.encode(source), again.encode(source)),
    ):
        if not _same(one, other):
            likely = "a number of the part is neither a parameter nor a buffer, or is drawn when it is built"
            raise ContractError(part, f"{name} of the loaded run differs from that of the trained one", likely)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool(np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    return bool(one.equals(other))
