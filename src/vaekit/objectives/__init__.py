"""Objectives: a model and a batch to the terms of its loss, one number per example.

A model knows no loss beyond the document's own, a loss knows no optimiser. The next objective is one file here and
one line in the table. What it learns besides the model, it holds as modules of its own: they are trained in the same
step and saved in the training state, and are no part of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaekit.objectives.capacity import Capacity
from vaekit.objectives.dreg import DoublyReparameterizedIWAE
from vaekit.objectives.elbo import NegativeELBO
from vaekit.objectives.factor import FactorPenalty
from vaekit.objectives.free_bits import FreeBits
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.iwae import NegativeIWAE
from vaekit.objectives.mixed_bounds import NegativeCIWAE, NegativeMIWAE
from vaekit.objectives.mmd import MMDPenalty
from vaekit.objectives.options import ObjectiveOptions
from vaekit.objectives.piwae import NegativePIWAE
from vaekit.objectives.reconstruction import ReconstructionError
from vaekit.objectives.renyi import NegativeRenyi
from vaekit.objectives.stl import StickingTheLanding
from vaekit.objectives.terms import Terms
from vaekit.objectives.total_correlation import TotalCorrelation


@dataclass(frozen=True)
class Objective:
    """A line of the table.

    Args:
        make: from the model, the `objective` section and the number of training rows to the module.
        draws: of z by default, where the objective needs several; it then raises the importance-weighted bound, which
            chooses the model.
        bounds: whether minus the loss is a lower bound of log p(x) in expectation, with these options.
        beta: the weight of the rate in the loss, with these options; None where it has none of its own.
    """

    make: Callable[[Any, ObjectiveOptions, int], nn.Module]
    draws: int = 1
    bounds: Callable[[ObjectiveOptions], bool] = lambda options: options.kl_weight == 1
    beta: Callable[[ObjectiveOptions], float | None] = lambda options: options.kl_weight

    @property
    def importance_weighted(self) -> bool:
        """Whether the bound that it raises is the one with several draws."""
        return self.draws > 1


def _heavy(options: ObjectiveOptions) -> bool:
    """With β > 1, D + βR is above −ELBO."""
    return options.kl_weight >= 1


def _ordered(options: ObjectiveOptions) -> bool:
    return options.kl_weight == 1 and options.alpha >= 0


def _never(_options: ObjectiveOptions) -> bool:
    return False


OBJECTIVES: dict[str, Objective] = {
    "elbo": Objective(lambda model, _options, _rows: NegativeELBO(model), bounds=_heavy),
    "stl": Objective(lambda model, _options, _rows: StickingTheLanding(model), bounds=_heavy),
    "free_bits": Objective(
        lambda model, options, _rows: FreeBits(model, options.free_bits, options.free_together), bounds=_heavy
    ),
    "capacity": Objective(
        lambda model, options, _rows: Capacity(model, options.kl_weight, options.capacity),
        bounds=_never,
        beta=lambda _options: None,
    ),
    "tc": Objective(lambda model, _options, rows: TotalCorrelation(model, rows), beta=lambda _options: 1.0),
    "factor": Objective(lambda model, options, _rows: FactorPenalty(model, options.tc_weight), bounds=_never),
    "mmd": Objective(lambda model, options, _rows: MMDPenalty(model, options.mmd_weight), bounds=_never),
    "iwae": Objective(lambda model, _options, _rows: NegativeIWAE(model), draws=8),
    "dreg": Objective(lambda model, _options, _rows: DoublyReparameterizedIWAE(model), draws=8),
    "ciwae": Objective(lambda model, options, _rows: NegativeCIWAE(model, options.elbo_share), draws=8),
    "miwae": Objective(lambda model, options, _rows: NegativeMIWAE(model, options.groups), draws=8),
    "piwae": Objective(lambda model, options, _rows: NegativePIWAE(model, options.groups), draws=8),
    "renyi": Objective(lambda model, options, _rows: NegativeRenyi(model, options.alpha), draws=8, bounds=_ordered),
    "reconstruction": Objective(lambda model, _options, _rows: ReconstructionError(model), bounds=_never),
}
"""The objective by its name in a recipe."""

__all__ = [
    "OBJECTIVES",
    "Capacity",
    "DoublyReparameterizedIWAE",
    "FactorPenalty",
    "FreeBits",
    "MMDPenalty",
    "NegativeCIWAE",
    "NegativeELBO",
    "NegativeIWAE",
    "NegativeMIWAE",
    "NegativePIWAE",
    "NegativeRenyi",
    "Objective",
    "ObjectiveOptions",
    "ReconstructionError",
    "StickingTheLanding",
    "Terms",
    "TotalCorrelation",
    "log_mean_exp",
]
