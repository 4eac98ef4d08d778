"""Calibration: do intervals hold their share, is the posterior that of the model, and do standard errors hold?"""

from vaekit.evaluation.calibration.cells import CellCalibration, recalibrate
from vaekit.evaluation.calibration.measure import measure_calibration
from vaekit.evaluation.calibration.recalibration import Recalibration
from vaekit.evaluation.calibration.record import Calibration, Verdict

__all__ = ["Calibration", "CellCalibration", "Recalibration", "Verdict", "measure_calibration", "recalibrate"]
