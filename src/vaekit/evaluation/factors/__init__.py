"""Measure whether each code stands for one known factor of variation, and each factor for one code.

Four scores compare codes z, shape (n, d), with known factors v, shape (n, f). They ask different things and do not replace
one another: MIG and SAP want each factor in one code only, DCI disentanglement and the FactorVAE score want each code to
know one factor only. The scores do not depend on the origin, the scale or the order of the codes. A constant code changes
only completeness, in which a factor is then predicted by a smaller share of the codes. All four assume that the factors are
independent in the rows given: otherwise a code for one factor is confused with the factors that go with it.
"""

from vaekit.evaluation.factors.forests import dci
from vaekit.evaluation.factors.gaps import mig, sap
from vaekit.evaluation.factors.scores import Disentanglement, disentanglement
from vaekit.evaluation.factors.votes import factor_vae

__all__ = ["Disentanglement", "dci", "disentanglement", "factor_vae", "mig", "sap"]
