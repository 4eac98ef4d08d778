"""Objectives: a model and a batch to the terms of its loss, one number per example.

A model knows no loss beyond the document's own, a loss knows no optimiser. The next objective is one file here and
one line in the table.
"""

from collections.abc import Callable
from typing import Any

from vaekit.objectives.elbo import NegativeELBO
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.iwae import NegativeIWAE
from vaekit.objectives.reconstruction import ReconstructionError
from vaekit.objectives.terms import Terms

OBJECTIVES: dict[str, Callable[..., Any]] = {
    "elbo": NegativeELBO,
    "iwae": NegativeIWAE,
    "reconstruction": ReconstructionError,
}

__all__ = ["OBJECTIVES", "NegativeELBO", "NegativeIWAE", "ReconstructionError", "Terms", "log_mean_exp"]
