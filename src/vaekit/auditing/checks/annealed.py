"""Whether log p(x) lies below the upper bound of annealed importance sampling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vaekit.auditing.check import Check, confirmed
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject
from vaekit.evaluation.annealing import bracket, simulate
from vaekit.evaluation.estimate import Estimate

EXAMPLES, CHAINS, TEMPERATURES = 40, 4, 10
"""Rows that the model simulates, chains for each row, and temperatures."""


class Annealed(Check):
    """Compare log p(x) with an upper bound on rows that the model simulates.

    Such a row comes with a draw of its true posterior, from which chains run backwards; see `evaluation/annealing.py`.

    References:
        Grosse, Ancha and Roy, "Measuring the Reliability of MCMC Inference with Bidirectional Monte Carlo", 2016.
    """

    name = "annealing"
    question = "Does log p(x) lie below the upper bound of annealed importance sampling?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if log p(x) of simulated rows is above the upper bound."""
        model = subject.decoder
        if model is None:
            needs = "`vaekit.audit(…, model=…)` takes a torch module with `encoder`, `decoder` and `prior`, which return distributions."
            yield self.skipped(subject.obstacle, needs)
            return
        context = None if subject.context is None else subject.context.expand(EXAMPLES, *subject.context.shape[1:])
        kept = {}

        def excess(first: int) -> Estimate:
            seed = subject.seed + first
            _, x = simulate(model, EXAMPLES, seed, context)
            rows = x.double().cpu().numpy()
            kept["lower"], kept["upper"] = bracket(model, EXAMPLES, CHAINS, TEMPERATURES, seed, context)
            kept["own"] = subject.repeats(rows, first, function=subject.inner).mean(0)
            return Estimate.of(kept["own"] - kept["upper"])

        size, guilty = confirmed(excess)
        lower, upper, own = (float(np.mean(kept[name])) for name in ("lower", "upper", "own"))
        told = f"On {EXAMPLES} rows simulated by the model, log p(x) is {own:.2f} nats, and annealing brackets it between {lower:.2f} and {upper:.2f}"
        yield self.found(f"{told}: it is above the upper bound.", size) if guilty else self.measured(f"{told}.")
