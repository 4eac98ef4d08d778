"""The optimisers, one in each file."""

from vaekit.parts import import_parts
from vaekit.training.optimizers.base import Optimizer, StepOptimizer
from vaekit.training.optimizers.muon import Muon, orthogonal

import_parts(__name__, __path__)

__all__ = ["Muon", "Optimizer", "StepOptimizer", "orthogonal"]
