"""The checks of an audit, in the order in which they are made."""

from vaekit.auditing.check import Check
from vaekit.auditing.checks.annealed import Annealed
from vaekit.auditing.checks.batches import Batches
from vaekit.auditing.checks.jacobian import Jacobian
from vaekit.auditing.checks.modes import Modes
from vaekit.auditing.checks.noise import Noise
from vaekit.auditing.checks.precision import Precision
from vaekit.auditing.checks.refinement import Refinement
from vaekit.auditing.checks.refit import Refit
from vaekit.auditing.checks.total import Total
from vaekit.auditing.checks.units import Units

CHECKS: tuple[type[Check], ...] = (
    *(Noise, Precision, Batches, Modes),
    *(Total, Refinement, Refit, Annealed),
    *(Units, Jacobian),
)
"""All checks; `Total` builds on the finding of `Batches`."""

__all__ = ["CHECKS"]
