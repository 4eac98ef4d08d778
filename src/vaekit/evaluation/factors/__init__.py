"""Disentanglement scores: does each code stand for one known factor of variation, and each factor for one code?

Four scores compare codes z, shape (n, d), with known factors v, shape (n, f). They measure different things: MIG and SAP
are high if only one code predicts each factor; DCI disentanglement and the FactorVAE score are high if each code predicts
only one factor. The scores do not depend on the origin, the scale or the order of the codes. A constant code changes only
completeness: a smaller share of the codes then predicts each factor. All four assume that the factors are independent in
the rows given. Otherwise, a code for one factor also predicts the factors that are associated with it.
"""

from vaekit.evaluation.factors.forests import dci
from vaekit.evaluation.factors.gaps import mig, sap
from vaekit.evaluation.factors.scores import Disentanglement, disentanglement
from vaekit.evaluation.factors.votes import factor_vae

__all__ = ["Disentanglement", "dci", "disentanglement", "factor_vae", "mig", "sap"]
