"""Compute all disentanglement scores of codes, as one record."""

from __future__ import annotations

from dataclasses import dataclass

from vaekit.data import SeedStream
from vaekit.evaluation.factors.checks import Codes, Factors
from vaekit.evaluation.factors.forests import dci
from vaekit.evaluation.factors.gaps import mig, sap
from vaekit.evaluation.factors.votes import factor_vae


@dataclass(frozen=True)
class Disentanglement:
    """Hold the disentanglement scores of codes, each from 0 to 1; higher is better.

    Args:
        mig: mutual information gap; 0 for uninformative codes.
        dci_disentanglement: whether each code predicts only one factor; 0 if it predicts all factors equally.
        dci_completeness: whether only one code predicts each factor; 0 if all codes predict it equally.
        dci_informativeness: accuracy for held-out factor values; a guess reaches the share of the most frequent value.
        sap: separated attribute predictability; 0 for uninformative codes, at most 1 − 1/k for a factor with k values.
        factor_vae: share of held-out votes that name the factor held fixed; a guess gets 1/f.
    """

    mig: float
    dci_disentanglement: float
    dci_completeness: float
    dci_informativeness: float
    sap: float
    factor_vae: float


def disentanglement(codes: Codes, factors: Factors, seed: int = 0) -> Disentanglement:
    """Compute all disentanglement scores of codes, given the true factors of each row.

    Args:
        codes: shape (n, d), finite; usually posterior means.
        factors: shape (n, f) with f at least 2, integers that stand for values; their order does not matter.
        seed: 0 or more; chooses the held-out rows, the forests and the votes.

    Returns:
        The scores; the same arguments give the same scores.

    Raises:
        DataError: if the shapes do not match, a code is not finite, a factor is not an integer or is constant, there is
            only one factor, or no value of a factor occurs twice.

    References:
        Locatello et al., "Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations",
        2019, compare the scores.

    Examples:
        >>> import numpy as np
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> scores = disentanglement(factors / 10, factors)
        >>> round(scores.mig, 6), round(scores.dci_disentanglement, 6), scores.factor_vae
        (1.0, 1.0, 1.0)
    """
    disentangled, complete, informative = dci(codes, factors, seed)
    voted = factor_vae(codes, factors, SeedStream.FACTOR_VOTES.rng(seed))
    return Disentanglement(mig(codes, factors), disentangled, complete, informative, sap(codes, factors, seed), voted)
