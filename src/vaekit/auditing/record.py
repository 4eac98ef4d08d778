"""The record of an audit: findings, what was measured, and what could not be checked."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vaekit.evaluation.record import Record

MOST_NATS = 1e4
"""Larger sizes are written in powers of ten."""


def write_nats(size: float, error: float | None = None) -> str:
    """Write a size in nats, with its standard error if it has one.

    Examples:
        >>> write_nats(2.9381), write_nats(0.00021), write_nats(0.12, 0.01)
        ('2.94 nats', '0.00021 nats', '0.12 ± 0.01 nats')
    """
    if not math.isfinite(size) or abs(size) >= MOST_NATS:
        return f"{size:.3g} nats"
    shown = f"{size:.2f}" if abs(size) >= 0.01 else f"{size:.2g}"
    return f"{shown} nats" if not error else f"{shown} ± {error:.2g} nats"


@dataclass(frozen=True)
class Finding(Record):
    """Hold a fault that a check found.

    Args:
        check: the name of the check.
        text: what is wrong, in a sentence.
        size: its size in nats, > 0: by how much a figure is too high, or by how much it changes where it must not.
        standard_error: standard error of the size; None if nothing was drawn at random.
    """

    check: str
    text: str
    size: float
    standard_error: float | None = None

    def __str__(self) -> str:
        return f"{self.check}: {self.text} Size: {write_nats(self.size, self.standard_error)}."


@dataclass(frozen=True)
class Skipped(Record):
    """Hold what a check could not judge.

    Args:
        check: the name of the check.
        text: what was not checked, and why, in a sentence.
        needs: what the check would need, as an instruction.
    """

    check: str
    text: str
    needs: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text} {self.needs}"


@dataclass(frozen=True)
class Measurement(Record):
    """Hold what a check measured without finding a fault.

    Args:
        check: the name of the check.
        text: the figure, in a sentence.
    """

    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


Verdict = Finding | Skipped | Measurement


@dataclass(frozen=True, repr=False)
class Audit(Record):
    """Hold the result of an audit.

    Args:
        subject: what was audited, in words.
        findings: the faults, each with its size in nats.
        skipped: what could not be checked, and what it would need.
        measured: what was checked without a finding. A figure that was estimated by sampling is no proof of correctness.
    """

    subject: str
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    measured: tuple[Measurement, ...]

    @property
    def passed(self) -> bool:
        """Return whether there are no findings; `skipped` tells what this does not cover."""
        return not self.findings

    def __str__(self) -> str:
        lines = [f"Audit of {self.subject}"]
        for sign, verdicts in (("!", self.findings), ("+", self.measured), ("·", self.skipped)):
            lines += [f"{sign} {verdict}" for verdict in verdicts]
        return "\n".join([*lines, self.summary()])

    __repr__ = __str__

    def summary(self) -> str:
        """Return the result in one sentence."""
        checked = f"{len(self.measured)} measured without one, {len(self.skipped)} not checked"
        if not self.findings:
            return f"No finding: {checked}."
        largest = max(finding.size for finding in self.findings)
        count = f"{len(self.findings)} finding{'s' if len(self.findings) > 1 else ''}"
        return f"{count}, the largest of {write_nats(largest)}; {checked}."
