"""MIG and SAP: how far the best code for a factor is above the second best, in information or in accuracy."""

from __future__ import annotations

import numpy as np
from scipy.stats import entropy

from vaekit.evaluation.factors.checks import Array, Codes, Factors, Integers, best_gap, check, halves

BINS = 20
"""Equal-width bins into which MIG divides the range of a code."""


def mig(codes: Codes, factors: Factors) -> float:
    """Measure the mutual information gap: how much more the best code reveals about a factor than the second best code.

        MIG = (1/f) Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k)

    The information is computed from counts, with each code in 20 equal-width bins over its range. MIG can therefore stay
    below 1 for a factor with more than 20 values, or if a few outliers stretch the range of a code.

    Args:
        codes: shape (n, d), finite; with a single code, the information of the second best is 0.
        factors: shape (n, f), integers.

    Returns:
        The gap, from 0 to 1, in units of the factor's entropy.

    Raises:
        DataError: if the shapes do not match, a code is not finite, or a factor is not an integer or is constant.

    References:
        Chen, Li, Grosse and Duvenaud, "Isolating Sources of Disentanglement in Variational Autoencoders", 2018.

    Examples:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(mig(factors / 10, factors), 6)
        1.0
        >>> round(mig(factors @ np.array([[1.0, 1.0], [1.0, -1.0]]), factors), 6)
        0.0
    """
    from sklearn.metrics import mutual_info_score

    scaled, values = check(codes, factors)
    binned = np.minimum((scaled * BINS).astype(np.int64), BINS - 1)
    information = np.array([[mutual_info_score(z, v) for v in values.T] for z in binned.T])
    entropies = np.array([entropy(np.bincount(v)) for v in values.T])
    return float(np.mean(best_gap(information, np.zeros(len(entropies))) / entropies))


def sap(codes: Codes, factors: Factors, seed: int = 0) -> float:
    """Measure separated attribute predictability: how much better the best code predicts a factor than the second best.

        SAP = (1/f) Σ_k [S_(1)k − S_(2)k],   S_jk = balanced accuracy of v_k predicted from z_j alone

    As in the paper's version for classes, thresholds on z_j predict v_k: those of a decision tree with balanced weights and
    k leaves for k values. Linear classifiers, another common choice, can only separate the smallest and the largest values
    of a code from the rest. Accuracies are measured on held-out rows.

    Args:
        codes: shape (n, d), finite; with a single code, the second best is a guess.
        factors: shape (n, f), integers.
        seed: 0 or more; chooses the held-out rows.

    Returns:
        The gap, from 0 to 1 − 1/k for a factor with k values, since the accuracy of a guess is 1/k.

    Raises:
        DataError: if the shapes do not match, a code is not finite, or a factor is not an integer or is constant.

    References:
        Kumar, Sattigeri and Balakrishnan, "Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations", 2018.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> 0.65 < sap(factors / 10, factors) <= 0.8
        True
    """
    scaled, values = check(codes, factors)
    train, test = halves(len(scaled), seed)
    accuracy = [[_predictability(z[train], z[test], v[train], v[test]) for v in values.T] for z in scaled.T]
    return float(np.mean(best_gap(np.array(accuracy), 1 / (values.max(axis=0) + 1))))


def _predictability(z_train: Array, z_test: Array, v_train: Integers, v_test: Integers) -> float:
    """Predict a factor by thresholds on one code, and return the balanced accuracy on held-out rows."""
    from sklearn.metrics import recall_score
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(len(np.unique(v_train)), 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
    predicted = tree.fit(z_train[:, None], v_train).predict(z_test[:, None])
    return float(recall_score(v_test, predicted, labels=np.unique(v_test), average="macro"))
