"""Normalizing flows as priors and as posteriors."""

from vaekit.models.flows.posteriors import FlowPosterior, InverseAutoregressivePosterior
from vaekit.models.flows.priors import AutoregressiveFlowPrior, CouplingPrior, SplinePrior
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = [
    "AutoregressiveFlowPrior",
    "CouplingPrior",
    "FlowPosterior",
    "InverseAutoregressivePosterior",
    "SplinePrior",
]
