"""Objectives, which map draws from a model to a loss, a distortion and a rate for each example.

A model does not depend on an objective, and an objective does not depend on an optimiser.
"""

from vaekit.objectives.base import Loss, Objective, Terms
from vaekit.objectives.capacity import Capacity
from vaekit.objectives.dreg import DoublyReparameterizedIWAE
from vaekit.objectives.elbo import NegativeELBO
from vaekit.objectives.factor import FactorPenalty
from vaekit.objectives.free_bits import FreeBits
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.iwae import NegativeIWAE
from vaekit.objectives.mixed_bounds import NegativeCIWAE, NegativeMIWAE
from vaekit.objectives.mmd import MMDPenalty
from vaekit.objectives.piwae import NegativePIWAE
from vaekit.objectives.reconstruction import ReconstructionError
from vaekit.objectives.renyi import NegativeRenyi
from vaekit.objectives.stl import StickingTheLanding
from vaekit.objectives.total_correlation import TotalCorrelation
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = [
    "Capacity",
    "DoublyReparameterizedIWAE",
    "FactorPenalty",
    "FreeBits",
    "Loss",
    "MMDPenalty",
    "NegativeCIWAE",
    "NegativeELBO",
    "NegativeIWAE",
    "NegativeMIWAE",
    "NegativePIWAE",
    "NegativeRenyi",
    "Objective",
    "ReconstructionError",
    "StickingTheLanding",
    "Terms",
    "TotalCorrelation",
    "log_mean_exp",
]
