"""The FactorVAE score: whether the code that varies least reveals which factor is held fixed."""

from __future__ import annotations

import numpy as np

from vaekit.errors import DataError
from vaekit.evaluation.factors.checks import Array, Codes, Factors, Integers, check

VOTES, BATCH = 800, 64
"""Votes for learning (and as many for testing), and the rows behind each vote."""


def factor_vae(codes: Codes, factors: Factors, generator: np.random.Generator) -> float:
    """Measure the FactorVAE score: how often the code that varies least reveals which factor is held fixed.

        vote = argmin_j Var(z_j | v_k = value) / Var(z_j),   score = share of votes for which guess(vote) = k

    For each vote, a factor k is drawn, then one of its values, then 64 rows with this value, with replacement. The guess
    for code j is the factor that was fixed most often when j won, in 800 votes. The score is measured on 800 other votes
    from the same rows. If values occur in few rows, many uninformative codes can score above 1/f. Values that occur once
    are skipped.

    Args:
        codes: shape (n, d), finite; constant codes never win a vote.
        factors: shape (n, f) with f at least 2, integers.
        generator: draws the votes; the same state gives the same score.

    Returns:
        The share, from about 1/f (guessing) to 1.

    Raises:
        DataError: if the shapes do not match, a code is not finite, a factor is not an integer or is constant, there is
            only one factor, or no value of a factor occurs twice.

    References:
        Kim and Mnih, "Disentangling by Factorising", 2018.

    Examples:
        >>> factors = np.stack(np.divmod(np.arange(800) % 16, 4), axis=1)
        >>> factor_vae(factors / 10, factors, np.random.default_rng(0))
        1.0
    """
    scaled, values = check(codes, factors, least_factors=2)
    groups = [_groups(v, f"factors[:, {k}]") for k, v in enumerate(values.T)]
    learnt, held_out = (_votes(scaled, groups, generator) for _ in range(2))
    guess = learnt.argmax(axis=1)
    return float(held_out[np.arange(len(guess)), guess].sum() / VOTES)


def _groups(v: Integers, name: str) -> list[Integers]:
    """Return the row numbers for each value of a factor, leaving out values that occur only once."""
    order = np.argsort(v, kind="stable")
    groups = [rows for rows in np.split(order, np.cumsum(np.bincount(v))[:-1]) if len(rows) > 1]
    if not groups:
        raise DataError(
            "Each factor must have a value that occurs in two or more rows, so that it can be held fixed while others vary",
            f"{len(v)} different values in the {len(v)} rows of {name}",
            "Group its values into fewer classes",
        )
    return groups


def _votes(codes: Array, groups: list[list[Integers]], generator: np.random.Generator) -> Integers:
    """Count how often code j varied least while factor k was fixed, shape (d, f)."""
    spread = codes.var(axis=0)
    votes = np.zeros((codes.shape[1], len(groups)), dtype=np.int64)
    for k in generator.integers(len(groups), size=VOTES):
        rows = groups[k][generator.integers(len(groups[k]))]
        local = codes[rows[generator.integers(len(rows), size=BATCH)]].var(axis=0)
        votes[np.divide(local, spread, out=np.full_like(local, np.inf), where=spread > 0).argmin(), k] += 1
    return votes
