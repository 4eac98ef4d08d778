"""Metrics for the columns of a mixed table: marginals, associations, hidden cells, missing cells, privacy."""

from vaekit.evaluation.tables.associations import Associations
from vaekit.evaluation.tables.figures import MissingCells, PatternFit, TableFigures, measure_tables
from vaekit.evaluation.tables.hidden import HiddenCells
from vaekit.evaluation.tables.marginals import MarginalDistance
from vaekit.evaluation.tables.model import TableModel
from vaekit.evaluation.tables.posterior import TablePosterior
from vaekit.evaluation.tables.privacy import Privacy

__all__ = [
    "Associations",
    "HiddenCells",
    "MarginalDistance",
    "MissingCells",
    "PatternFit",
    "Privacy",
    "TableFigures",
    "TableModel",
    "TablePosterior",
    "measure_tables",
]
