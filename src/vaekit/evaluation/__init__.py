"""Evaluation: held-out bounds with standard errors, the parts of the rate, simple models for comparison, and advice."""

from vaekit.evaluation.annealing import Annealed, anneal, annealed_bound, bracket, simulate
from vaekit.evaluation.baselines import Baselines, LinearBaselines, TableBaselines, measure_baselines
from vaekit.evaluation.bounds import Bounds, Errors, Measured, evaluating, first_row, measure, tile_rows, widest
from vaekit.evaluation.conformal import AlarmRate, alarm_interval, alarm_threshold, p_values, rows_needed
from vaekit.evaluation.decomposition import RateParts, active_units, decompose_rate
from vaekit.evaluation.diagnosis import diagnose, first_remedy
from vaekit.evaluation.estimate import Estimate, LogLikelihood
from vaekit.evaluation.factors import Disentanglement, dci, disentanglement, factor_vae, mig, sap
from vaekit.evaluation.figures import BoundFigures, ErrorFigures, FactorScores, Figures, MeasuredOn
from vaekit.evaluation.gap import GapFigures, InferenceGap, inference_gap
from vaekit.evaluation.rate_distortion import RateDistortionCurve, RatePoint, rate_distortion
from vaekit.evaluation.reading import Reading, Remedy
from vaekit.evaluation.shares import measure_shares
from vaekit.evaluation.summary import Evaluator, factorize
from vaekit.evaluation.tables import TableFigures, TableModel, measure_tables
from vaekit.evaluation.unfinished import Unfinished, unfinished

__all__ = [
    "AlarmRate",
    "Annealed",
    "Baselines",
    "BoundFigures",
    "Bounds",
    "Disentanglement",
    "ErrorFigures",
    "Errors",
    "Estimate",
    "Evaluator",
    "FactorScores",
    "Figures",
    "GapFigures",
    "InferenceGap",
    "LinearBaselines",
    "LogLikelihood",
    "Measured",
    "MeasuredOn",
    "RateDistortionCurve",
    "RateParts",
    "RatePoint",
    "Reading",
    "Remedy",
    "TableBaselines",
    "TableFigures",
    "TableModel",
    "Unfinished",
    "active_units",
    "alarm_interval",
    "alarm_threshold",
    "anneal",
    "annealed_bound",
    "bracket",
    "dci",
    "decompose_rate",
    "diagnose",
    "disentanglement",
    "evaluating",
    "factor_vae",
    "factorize",
    "first_remedy",
    "first_row",
    "inference_gap",
    "measure",
    "measure_baselines",
    "measure_shares",
    "measure_tables",
    "mig",
    "p_values",
    "rate_distortion",
    "rows_needed",
    "sap",
    "simulate",
    "tile_rows",
    "unfinished",
    "widest",
]
