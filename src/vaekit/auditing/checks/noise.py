"""Whether figures can be repeated."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vaekit.auditing.check import Check
from vaekit.auditing.record import Verdict
from vaekit.auditing.subject import Subject, differences
from vaekit.evaluation.estimate import Estimate


class Noise(Check):
    """Call the function twice with the same seed, and compare."""

    name = "noise"
    question = "Does the same noise give the same number?"

    def judge(self, subject: Subject) -> Iterator[Verdict]:
        """Yield a finding if the same seed gives other numbers."""
        first, again = subject.values(subject.few), subject.values(subject.few)
        if not subject.repeatable:
            size = float(np.abs(differences(first, again)).max())
            text = (
                "The same rows have other numbers in a second call, though the generators of torch, NumPy and Python were "
                "seeded alike; a generator of its own should be seeded by a parameter `seed`."
            )
            yield self.found(text, Estimate(size, None))
        elif subject.random:
            other = subject.values(subject.few, 1)
            spread = float(np.abs(differences(first, other)).mean())
            yield self.measured(
                f"The same seed gives the same numbers; two seeds differ by {spread:.2g} nats on average."
            )
        else:
            yield self.measured("The same numbers in every call, whatever the seed.")
