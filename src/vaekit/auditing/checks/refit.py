"""Whether a model that is trained again beats the distribution that the data came from."""

from __future__ import annotations

import math
from collections.abc import Iterator

from vaekit.auditing.check import Check, accuses
from vaekit.auditing.record import Verdict, write_nats
from vaekit.auditing.subject import Subject
from vaekit.data import SeedStream
from vaekit.evaluation.estimate import Estimate
from vaekit.models import ProbabilisticPCA

ROWS = 2000
"""Training rows, and as many test rows."""
LATENT = 2
"""Most latent dimensions of the data."""


class Refit(Check):
    """Train the model on linear-Gaussian data, of which log p(x) is known, and compare on fresh rows.

        E_p[log q(x)] ≤ E_p[log p(x)] for every density q,

    so a mean log-likelihood above the exact one is impossible, whatever was trained and however well.

    References:
        Tipping and Bishop, "Probabilistic Principal Component Analysis", 1999.
    """

    name = "refit"
    question = "On data of which log p(x) is known, does the model stay below it?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if the trained model is above the exact value by more than four standard errors."""
        if subject.fit is None:
            needs = "`vaekit.audit(…, kind='real', fit=…)` takes training rows ↦ log_prob of a model trained on them."
            yield self.skipped("The model was not trained on data of which log p(x) is known.", needs)
            return
        if not all(cell.real and not cell.values for cell in subject.space.cells):
            needs = "It takes `kind='real'` and an event of the same shape."
            yield self.skipped("Linear-Gaussian data are real numbers, but the rows are not.", needs)
            return
        rng, d = SeedStream.AUDIT_REFIT.rng(subject.seed), len(subject.space.cells)
        truth = ProbabilisticPCA(rng.normal(size=(d, min(LATENT, max(1, d - 1)))), rng.normal(size=d), 0.3)
        k = truth.weight.shape[1]
        noise = rng.normal(size=(2 * ROWS, k)) @ truth.weight.T + math.sqrt(truth.variance) * rng.normal(
            size=(2 * ROWS, d)
        )
        rows = (truth.bias + noise).reshape(-1, *subject.space.shape)
        train, test = rows[:ROWS], rows[ROWS:]
        found = subject.other(subject.fit(subject.encode(train)), module=None, rows=test)
        apart = found.repeats(test).mean(0) - truth.log_prob(test.reshape(ROWS, d))
        excess = Estimate.of(apart)
        exact = f"the exact {truth.log_prob(test.reshape(ROWS, d)).mean():.2f} nats on {ROWS:,} fresh rows"
        if accuses(excess):
            text = f"Trained on linear-Gaussian data, log p(x) is on average above {exact}, which no likelihood can be."
            yield self.found(text, excess)
        else:
            error = 0.0 if excess.standard_error is None else excess.standard_error
            yield self.measured(
                f"Trained on linear-Gaussian data, log p(x) is {write_nats(-excess.value, error)} below {exact}."
            )
