"""DCI scores: random forests measure whether each code predicts only one factor and each factor needs one code."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import entr

from vaekit.evaluation.factors.checks import Array, Codes, Factors, check, halves

TREES, LEAF = 50, 5
"""Trees per forest, and the fewest rows in a leaf: smaller leaves give importance to uninformative codes."""


def dci(codes: Codes, factors: Factors, seed: int = 0) -> tuple[float, float, float]:
    """Measure the DCI scores of codes (disentanglement, completeness, informativeness) with random forests.

        D = Σ_j ρ_j [1 − H_f(P_j·)],       P_jk = R_jk / Σ_k R_jk,   ρ_j = Σ_k R_jk / Σ_jk R_jk
        C = (1/f) Σ_k [1 − H_d(Q_·k)],     Q_jk = R_jk / Σ_j R_jk

    R is the importance matrix; H_f and H_d are entropies to the base f and d. Informativeness is the accuracy on held-out
    rows, averaged over the factors.

    Args:
        codes: shape (n, d), finite; with a single code, completeness is 1 if it predicts any factor.
        factors: shape (n, f) with f at least 2, integers.
        seed: 0 or more; chooses the held-out rows and the forests.

    Returns:
        Disentanglement, completeness and informativeness, each from 0 to 1.

    Raises:
        DataError: if the shapes do not match, a code is not finite, a factor is not an integer or is constant, or there
            is only one factor.

    References:
        Eastwood and Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", 2018. Their
        informativeness is a regression error.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> [round(score, 6) for score in dci(factors / 10, factors)]
        [1.0, 1.0, 1.0]
    """
    scaled, values = check(codes, factors, least_factors=2)
    importance, accuracy = importances(scaled, values, seed)
    return *concentration(importance), accuracy


def importances(codes: Codes, factors: Factors, seed: int = 0) -> tuple[Array, float]:
    """Measure how much random forests use each code to predict each factor.

        R_jk = the decrease of Gini impurity by splits at z_j in the forest for v_k, as a share of all decreases

    Args:
        codes: shape (n, d), finite.
        factors: shape (n, f), integers.
        seed: 0 or more; chooses the held-out rows and the forests.

    Returns:
        R, shape (d, f), and the accuracy on the held-out half of the rows, averaged over the factors. Each column of R
        sums to 1, or to 0 if no split helps.

    Raises:
        DataError: if the shapes do not match, a code is not finite, or a factor is not an integer or is constant.

    References:
        Breiman, "Random Forests", 2001.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> importances(factors[:, ::-1] / 10, factors)[0].round(6).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    from sklearn.ensemble import RandomForestClassifier

    scaled, values = check(codes, factors)
    order = np.lexsort(
        scaled[::-1]
    )  # otherwise ties between splits depend on the order of codes, and on constant codes
    order = order[scaled[:, order].any(axis=0) | (not scaled.any())]
    train, test = halves(len(scaled), seed)
    importance, right = np.zeros((scaled.shape[1], values.shape[1])), []
    for k, v in enumerate(values.T):
        # every split may use all codes: a tree without the code it needs would use others, and raise their importance
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=None, random_state=seed % 2**32)
        forest.fit(scaled[np.ix_(train, order)], v[train])
        importance[order, k] = forest.feature_importances_
        right.append(np.mean(forest.predict(scaled[np.ix_(test, order)]) == v[test]))
    return importance, float(np.mean(right))


def concentration(importance: Array) -> tuple[float, float]:
    """Compute disentanglement and completeness from an importance matrix, by the equations of `dci`.

    Args:
        importance: R, shape (d, f), 0 or more.

    Returns:
        Disentanglement and completeness, each from 0 to 1; both are 0 for a matrix of zeros.

    References:
        Eastwood and Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", 2018.

    Examples:
        >>> scores = concentration(np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]]))  # two codes share a factor
        >>> [round(score, 3) for score in scores]  # (1 + 1 − log 2 / log 3) / 2
        [1.0, 0.685]
    """
    total = importance.sum()
    weight = importance.sum(axis=1) / total if total > 0 else np.zeros(len(importance))
    return min(float(weight @ _focus(importance)), 1.0), float(_focus(importance.T).mean())


def _focus(importance: Array) -> Array:
    """Return 1 − H for each row of importances, where H is the row's normalised entropy; 0 for a row of zeros."""
    total = importance.sum(axis=1, keepdims=True)
    shares = np.divide(importance, total, out=np.zeros_like(importance), where=total > 0)
    entropy = entr(shares).sum(axis=1) / math.log(max(importance.shape[1], 2))
    return np.where(total[:, 0] > 0, np.maximum(1 - entropy, 0.0), 0.0)
