"""Evaluation: held-out bounds with standard errors, the parts of the rate, baselines, and what to make of them."""

from vaekit.evaluation.annealing import annealed_bound, bracket
from vaekit.evaluation.baselines import BASELINES, measure_baselines
from vaekit.evaluation.bounds import Measured, block_rows, evaluating, measure, measure_autoencoder
from vaekit.evaluation.decomposition import RateParts, active_units, decompose_rate
from vaekit.evaluation.diagnosis import Reading, Remedy, diagnose, first_remedy
from vaekit.evaluation.factors import Disentanglement, dci, disentanglement, factor_vae, mig, sap
from vaekit.evaluation.gap import InferenceGap, inference_gap
from vaekit.evaluation.rate_distortion import RatePoint, rate_distortion
from vaekit.evaluation.summary import Evaluation, Evaluator
from vaekit.evaluation.tables import TableFigures, TableModel, measure_tables

__all__ = [
    "BASELINES",
    "Disentanglement",
    "Evaluation",
    "Evaluator",
    "InferenceGap",
    "Measured",
    "RateParts",
    "RatePoint",
    "Reading",
    "Remedy",
    "TableFigures",
    "TableModel",
    "active_units",
    "annealed_bound",
    "block_rows",
    "bracket",
    "dci",
    "decompose_rate",
    "diagnose",
    "disentanglement",
    "evaluating",
    "factor_vae",
    "first_remedy",
    "inference_gap",
    "measure",
    "measure_autoencoder",
    "measure_baselines",
    "measure_tables",
    "mig",
    "rate_distortion",
    "sap",
]
