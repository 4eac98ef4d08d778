"""Audits: is a function x ↦ log p(x), of any library, a log-likelihood or a lower bound on one?"""

from vaekit.auditing.audit import audit, run_checks
from vaekit.auditing.record import Audit, Finding, Measurement, Skipped
from vaekit.auditing.space import Cell, Space
from vaekit.auditing.subject import EVALUATIONS, Subject

__all__ = [
    "EVALUATIONS",
    "Audit",
    "Cell",
    "Finding",
    "Measurement",
    "Skipped",
    "Space",
    "Subject",
    "audit",
    "run_checks",
]
