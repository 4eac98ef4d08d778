"""Whether a bound holds when it is computed with more work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.auditing.check import Check, confirmed
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import LogProb, Subject, rounding, takes_seed
from vaekit.evaluation.estimate import Estimate

Array = npt.NDArray[np.float64]

TIMES = (1, 4, 16)
"""Factors of the work."""
ROWS = 64
"""Most rows that the bound is computed for."""
APART = 10_000
"""Seeds of different factors are this far apart."""


class Refinement(Check):
    """Compute the bound with k times as many integration points or draws.

    A lower bound from an integral must not fall when the integral is computed more finely, and in expectation

        E[IWAE_K] ≤ E[IWAE_L] for K ≤ L.

    So a fall shows that the bound was too high.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016.
    """

    name = "refinement"
    question = "Does the bound hold with finer integration, or with more draws?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if the bound falls as k grows."""
        if subject.refine is None:
            needs = "`vaekit.audit(…, refine=…)` takes (rows, k) ↦ the bound with k times as many points or draws."
            yield self.skipped("The bound was not computed with more work.", needs)
            return
        refine = subject.refine
        rows = subject.few if subject.rows is None else subject.rows[:ROWS]
        kept: dict[tuple[int, int], Array] = {}

        def bound(k: int, first: int) -> Array:
            if (k, first) not in kept:
                kept[k, first] = subject.repeats(rows, first + APART * k, function=_with_work(refine, k))
            return kept[k, first]

        tolerance = float(rounding(bound(1, 0)).mean())
        falls = []
        for k, more in combinations(TIMES, 2):
            size, guilty = confirmed(partial(_fall, bound, k, more), tolerance)
            if guilty:
                falls.append((size.value, k, more, size))
        means = ", ".join(f"{bound(k, 0).mean():.4g} at k = {k}" for k in TIMES)
        if falls:
            _, k, more, size = max(falls)
            text = f"The bound falls from k = {k} to k = {more}, so it was too high: {means}."
            yield self.found(text, size)
        else:
            yield self.measured(f"The bound does not fall with more work: {means} nats.")


def _with_work(refine: LogProb, k: int) -> LogProb:
    """Return the refined function with k fixed; it has a parameter `seed` if the given one has."""

    def plain(X: Any) -> Any:
        return refine(X, k)

    def seeded(X: Any, seed: int) -> Any:
        return refine(X, k, seed=seed)

    return seeded if takes_seed(refine) else plain


def _fall(bound: Callable[[int, int], Array], k: int, more: int, first: int) -> Estimate:
    """Return by how much the mean over rows falls from k to more; its error comes from the seeds, or from the rows."""
    before, after = bound(k, first), bound(more, first)
    apart = before - after
    value = float(apart.mean())
    per = apart.mean(1) if len(apart) > 1 else apart[0]
    return Estimate(value, float(per.std(ddof=1) / math.sqrt(len(per))) if len(per) > 1 else None)
