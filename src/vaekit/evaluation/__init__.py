"""Evaluation: held-out bounds with standard errors, the parts of the rate, baselines, and what to make of them."""

from vaekit.evaluation.annealing import annealed_bound, bracket
from vaekit.evaluation.baselines import BASELINES, measure_baselines
from vaekit.evaluation.bounds import Measured, block_rows, evaluating, measure, measure_autoencoder
from vaekit.evaluation.decomposition import RateParts, active_units, decompose_rate
from vaekit.evaluation.diagnosis import Reading, diagnose
from vaekit.evaluation.missing import TableModel
from vaekit.evaluation.summary import Evaluation, Evaluator

__all__ = [
    "BASELINES",
    "Evaluation",
    "Evaluator",
    "Measured",
    "RateParts",
    "Reading",
    "TableModel",
    "active_units",
    "annealed_bound",
    "block_rows",
    "bracket",
    "decompose_rate",
    "diagnose",
    "evaluating",
    "measure",
    "measure_autoencoder",
    "measure_baselines",
]
