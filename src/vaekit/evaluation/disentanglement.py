"""How far each code stands for one known factor of variation, and each factor for one code.

Four scores, of codes z, shape (n, d), against factors v that are known, shape (n, f). They ask different things and do
not replace one another: MIG and SAP want a factor to be in one code only, DCI disentanglement and the FactorVAE score
want a code to tell one factor only. None of them depends on the origin, the scale or the order of the codes. A code
that is constant changes nothing but completeness, in which a factor is then told by fewer of the codes. All four take
the factors to be independent in the rows given: where they are not, a code cannot be told from the other factors it
goes with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import entr, rel_entr

from vaekit.data import SeedStream
from vaekit.errors import DataError

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.floating[Any]]
Factors = npt.NDArray[np.integer[Any]]
BINS = 20
"""Bins of equal width, from a code's least value to its greatest, in which MIG counts."""
MOST_ROWS = 10_000
"""Rows of which classifiers see one half and are tested on the other; MIG and the FactorVAE score take all rows."""
TREES, LEAF = 50, 5
"""Trees of a forest, and the least rows in a leaf: smaller leaves spread importance over codes that tell nothing."""
VOTES, BATCH = 800, 64
"""Votes for learning and as many for testing, and the rows that each vote is cast by."""


@dataclass(frozen=True)
class Disentanglement:
    """The scores, each from 0 to 1, the higher the better.

    Args:
        mig: mutual information gap; 0 for codes that tell nothing.
        dci_disentanglement: whether a code tells one factor only; 0 if all alike.
        dci_completeness: whether a factor is told by one code only; 0 if by all alike.
        dci_informativeness: share of held-out factor values predicted; by guessing, that of the most frequent value.
        sap: separated attribute predictability; 1 − 1/k at most for a factor of k values, 0 for codes that tell nothing.
        factor_vae: share of held-out votes that name the factor held fixed; 1/f by guessing.
    """

    mig: float
    dci_disentanglement: float
    dci_completeness: float
    dci_informativeness: float
    sap: float
    factor_vae: float


def disentanglement(codes: Codes, factors: Factors, seed: int = 0) -> Disentanglement:
    """All scores of codes against known factors.

    Args:
        codes: shape (n, d), finite; posterior means as a rule.
        factors: shape (n, f) with f at least 2, integers, which are names of values: their order does not matter.
        seed: 0 or more; chooses the held-out rows, the forests and the votes.

    Returns:
        The scores, equal for equal arguments.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, a factor is not whole or takes one value only, there is
            one factor only, or no value of a factor occurs twice.

    References:
        Locatello et al., "Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations",
        2019, who compare them.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> scores = disentanglement(factors / 10, factors)
        >>> round(scores.mig, 6), round(scores.dci_disentanglement, 6), scores.factor_vae
        (1.0, 1.0, 1.0)
    """
    disentangled, complete, informative = dci(codes, factors, seed)
    voted = factor_vae(codes, factors, SeedStream.FACTOR_VOTES.rng(seed))
    return Disentanglement(mig(codes, factors), disentangled, complete, informative, sap(codes, factors, seed), voted)


def mig(codes: Codes, factors: Factors) -> float:
    """Mutual information gap: how much more the best code tells of a factor than the second best.

        MIG = (1/f) Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k)

    The information is that of the table of counts, with each code in 20 bins of equal width over its range. A factor of
    more than 20 values can therefore stay below 1, as can a code whose range is stretched by a few outliers.

    Args:
        codes: shape (n, d), finite; for d = 1 the second best is 0.
        factors: shape (n, f), integers.

    Returns:
        The gap, from 0 to 1, in units of the factor's entropy.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, or a factor is not whole or takes one value only.

    References:
        Chen, Li, Grosse and Duvenaud, "Isolating Sources of Disentanglement in Variational Autoencoders", 2018.

    Examples:
        >>> factors = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> round(mig(factors / 10, factors), 6)
        1.0
        >>> round(mig(factors @ np.array([[1.0, 1.0], [1.0, -1.0]]), factors), 6)
        0.0
    """
    scaled, values = _checked(codes, factors)
    binned = np.minimum((scaled * BINS).astype(np.int64), BINS - 1)
    information = np.array([[mutual_information(z, v) for v in values.T] for z in binned.T])
    entropy = np.array([entr(np.bincount(v) / len(v)).sum() for v in values.T])
    return float(np.mean(_gap(information, np.zeros(len(entropy))) / entropy))


def mutual_information(first: Integers, second: Integers) -> float:
    """Mutual information of two columns of whole numbers, from the table of their counts.

        I = Σ p(a, b) log[p(a, b) / (p(a) p(b))]

    Args:
        first: shape (n,), 0 or more.
        second: likewise.

    Returns:
        Nats, 0 or more; too large on average by about (A − 1)(B − 1)/(2n) for A and B values that are independent.

    References:
        Cover and Thomas, "Elements of Information Theory", 2006.

    Examples:
        >>> round(mutual_information(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])), 6)  # log 2
        0.693147
    """
    shape = int(first.max()) + 1, int(second.max()) + 1
    joint = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape) / len(first)
    return max(float(rel_entr(joint, np.outer(joint.sum(1), joint.sum(0))).sum()), 0.0)


def dci(codes: Codes, factors: Factors, seed: int = 0) -> tuple[float, float, float]:
    """Disentanglement, completeness and informativeness, from how much a forest uses each code to predict each factor.

        D = Σ_j ρ_j [1 − H_f(P_j·)],       P_jk = R_jk / Σ_k R_jk,   ρ_j = Σ_k R_jk / Σ_jk R_jk
        C = (1/f) Σ_k [1 − H_d(Q_·k)],     Q_jk = R_jk / Σ_j R_jk

    R is the importance matrix; H_f and H_d are entropies to the base f and d. Informativeness is the accuracy on held-out
    rows, averaged over the factors.

    Args:
        codes: shape (n, d), finite; for d = 1 completeness is 1 where the code tells anything.
        factors: shape (n, f) with f at least 2, integers.
        seed: 0 or more; chooses the held-out rows and the forests.

    Returns:
        Disentanglement, completeness and informativeness, each from 0 to 1.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, a factor is not whole or takes one value only, or there
            is one factor only.

    References:
        Eastwood and Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", 2018, whose
        informativeness is an error of regression.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> [round(score, 6) for score in dci(factors / 10, factors)]
        [1.0, 1.0, 1.0]
    """
    scaled, values = _checked(codes, factors, least_factors=2)
    importance, accuracy = importances(scaled, values, seed)
    return *concentration(importance), accuracy


def importances(codes: Codes, factors: Factors, seed: int = 0) -> tuple[Array, float]:
    """How much each code serves to predict each factor, by random forests.

        R_jk = the decrease of Gini impurity by splits at z_j in the forest for v_k, as a share of all decreases

    Args:
        codes: shape (n, d), finite.
        factors: shape (n, f), integers.
        seed: 0 or more; chooses the held-out rows and the forests.

    Returns:
        R, shape (d, f), whose columns add up to 1 (or are 0 where no split helps), and the accuracy on the held-out half
        of the rows, averaged over the factors.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, or a factor is not whole or takes one value only.

    References:
        Breiman, "Random Forests", 2001.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> importances(factors[:, ::-1] / 10, factors)[0].round(6).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    from sklearn.ensemble import RandomForestClassifier

    scaled, values = _checked(codes, factors)
    order = np.lexsort(scaled[::-1])  # equally good splits would go by the order of the codes, and by constant ones
    order = order[scaled[:, order].any(axis=0) | (not scaled.any())]
    train, test = _halves(len(scaled), seed)
    importance, right = np.zeros((scaled.shape[1], values.shape[1])), []
    for k, v in enumerate(values.T):
        # all codes at every split: a tree that is refused the code it needs uses others, which raises their importance
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=None, random_state=seed % 2**32)
        forest.fit(scaled[np.ix_(train, order)], v[train])
        importance[order, k] = forest.feature_importances_
        right.append(np.mean(forest.predict(scaled[np.ix_(test, order)]) == v[test]))
    return importance, float(np.mean(right))


def concentration(importance: Array) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix, by the equations of `dci`.

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
    """1 − H of the shares in each row, entropies in units of their greatest value; 0 for a row of zeros."""
    total = importance.sum(axis=1, keepdims=True)
    shares = np.divide(importance, total, out=np.zeros_like(importance), where=total > 0)
    entropy = entr(shares).sum(axis=1) / math.log(max(importance.shape[1], 2))
    return np.where(total[:, 0] > 0, np.maximum(1 - entropy, 0.0), 0.0)


def sap(codes: Codes, factors: Factors, seed: int = 0) -> float:
    """Separated attribute predictability: how much better the best code predicts a factor than the second best.

        SAP = (1/f) Σ_k [S_(1)k − S_(2)k],   S_jk = balanced accuracy of v_k predicted from z_j alone

    As in the paper's form for classes, v_k is predicted by thresholds on z_j: for k values, those of a decision tree
    with k leaves and balanced weights. Linear classifiers, which others use, tell no more than the least and the
    greatest values from the rest, one code being a line. Accuracies are those on held-out rows.

    Args:
        codes: shape (n, d), finite; for d = 1 the second best is a guess.
        factors: shape (n, f), integers.
        seed: 0 or more; chooses the held-out rows.

    Returns:
        The gap, from 0 to 1 − 1/k for a factor of k values, since a guess is right in one of k.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, or a factor is not whole or takes one value only.

    References:
        Kumar, Sattigeri and Balakrishnan, "Variational Inference of Disentangled Latent Concepts from Unlabeled
        Observations", 2018.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> 0.65 < sap(factors / 10, factors) <= 0.8
        True
    """
    scaled, values = _checked(codes, factors)
    train, test = _halves(len(scaled), seed)
    accuracy = [[_predictability(z[train], z[test], v[train], v[test]) for v in values.T] for z in scaled.T]
    return float(np.mean(_gap(np.array(accuracy), 1 / (values.max(axis=0) + 1))))


def _predictability(z_train: Array, z_test: Array, v_train: Integers, v_test: Integers) -> float:
    """Balanced accuracy on held-out rows of thresholds on one code."""
    from sklearn.tree import DecisionTreeClassifier

    leaves = max(len(np.unique(v_train)), 2)
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, class_weight="balanced", random_state=0)
    right = tree.fit(z_train[:, None], v_train).predict(z_test[:, None]) == v_test
    return float(np.mean([right[v_test == value].mean() for value in np.unique(v_test)]))


def factor_vae(codes: Codes, factors: Factors, generator: np.random.Generator) -> float:
    """The FactorVAE score: whether the code that varies least tells which factor is held fixed.

        vote = argmin_j Var(z_j | v_k = value) / Var(z_j),   score = share of votes for which guess(vote) = k

    For each vote a factor k is drawn, then one of its values, then 64 rows that have it, with replacement. The guess is
    the factor that was most often fixed when code j won, in 800 votes; the score is that of 800 others from the same
    rows: where values occur in few rows, many codes that tell nothing score above 1/f. A value that occurs once is
    passed over.

    Args:
        codes: shape (n, d), finite; constant codes have no vote.
        factors: shape (n, f) with f at least 2, integers.
        generator: draws the votes; the same state gives the same score.

    Returns:
        The share, from about 1/f (guessing) to 1.

    Raises:
        DataError: if the shapes do not fit, a code is not finite, a factor is not whole or takes one value only, there is
            one factor only, or no value of a factor occurs twice.

    References:
        Kim and Mnih, "Disentangling by Factorising", 2018.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> factor_vae(factors / 10, factors, np.random.default_rng(0))
        1.0
    """
    scaled, values = _checked(codes, factors, least_factors=2)
    groups = [_groups(v, f"factors[:, {k}]") for k, v in enumerate(values.T)]
    learnt, held_out = (_votes(scaled, groups, generator) for _ in range(2))
    guess = learnt.argmax(axis=1)
    return float(held_out[np.arange(len(guess)), guess].sum() / VOTES)


def _groups(v: Integers, name: str) -> list[Integers]:
    """For each value of a factor that occurs twice or more, the rows that have it."""
    order = np.argsort(v, kind="stable")
    groups = [rows for rows in np.split(order, np.cumsum(np.bincount(v))[:-1]) if len(rows) > 1]
    if not groups:
        raise DataError(
            "A value of each factor must occur in two rows or more, to be held fixed while the rest varies",
            f"{len(v)} different values in the {len(v)} rows of {name}",
            "Put its values into fewer classes",
        )
    return groups


def _votes(codes: Array, groups: list[list[Integers]], generator: np.random.Generator) -> Integers:
    """How often code j varied least while factor k was fixed, shape (d, f)."""
    spread = codes.var(axis=0)
    votes = np.zeros((codes.shape[1], len(groups)), dtype=np.int64)
    for k in generator.integers(len(groups), size=VOTES):
        rows = groups[k][generator.integers(len(groups[k]))]
        local = codes[rows[generator.integers(len(rows), size=BATCH)]].var(axis=0)
        votes[np.divide(local, spread, out=np.full_like(local, np.inf), where=spread > 0).argmin(), k] += 1
    return votes


def _gap(scores: Array, floor: Array) -> Array:
    """Best less second best of each column, shape (f,); a single code is compared with the floor, what a constant gets."""
    ranked = np.sort(scores, axis=0)
    return np.maximum(ranked[-1] - (ranked[-2] if len(ranked) > 1 else floor), 0.0)


def _halves(rows: int, seed: int) -> tuple[Integers, Integers]:
    """Rows to learn from and rows to test on; rows are often sorted by their factors."""
    order = SeedStream.FACTOR_ROWS.rng(seed).permutation(rows)[:MOST_ROWS]
    return order[: len(order) // 2], order[len(order) // 2 :]


def _checked(codes: Codes, factors: Factors, least_factors: int = 1) -> tuple[Array, Integers]:
    """Codes from 0 to 1 (constant ones 0), and factors with their values numbered from 0."""
    codes, factors = np.asarray(codes), np.asarray(factors)
    fits = codes.ndim == factors.ndim == 2 and len(codes) == len(factors)
    if not fits or 0 in codes.shape or 0 in factors.shape:
        raise DataError(
            "Codes and factors must be tables with as many rows, (n, d) and (n, f)",
            f"shapes {codes.shape} and {factors.shape}",
            "A single factor is given as `factors[:, None]`",
        )
    if codes.dtype.kind not in "fiu" or not np.isfinite(codes).all():
        wrong = codes.dtype if codes.dtype.kind not in "fiu" else f"{(~np.isfinite(codes)).sum()} that are not"
        raise DataError("Codes must be finite numbers", str(wrong), "Leave out the rows that have no code")
    if factors.dtype.kind not in "iub":
        mend = "Number the values of each column with `np.unique(column, return_inverse=True)`"
        raise DataError("Factors must be integers", f"an array of {factors.dtype}", mend)
    if factors.shape[1] < least_factors:
        mend = "Give another factor, or take `mig` or `sap`, which need one only"
        raise DataError("There must be at least two factors to tell apart", "one", mend)
    constant = np.flatnonzero((factors == factors[0]).all(axis=0))
    if len(constant):
        raise DataError(
            "Each factor must take at least two values, for there is nothing to tell of a constant",
            f"{factors[0, constant[0]]} in all {len(factors)} rows of factors[:, {constant[0]}]",
            "Leave that column out",
        )
    half = codes.astype(np.float64) / 2  # the range of codes near the greatest float stays finite
    low, width = half.min(axis=0), np.ptp(half, axis=0)
    scaled = np.divide(half - low, width, out=np.zeros_like(half), where=width > 0)
    return scaled, np.stack([np.unique(v, return_inverse=True)[1] for v in factors.T], axis=1)
