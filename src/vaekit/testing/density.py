"""Checks of a distribution's density, draws, mean and variance against sums over a grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from vaekit.evaluation.grid import Grid
from vaekit.testing.contract import ContractError, check_close, check_shape, write_numbers

Array = npt.NDArray[np.float64]

DRAWS = 20_000
"""Draws that are compared with a density."""
ERRORS = 5.0
"""Permitted error of a mean over draws, in standard errors. Chance alone exceeds it about once in a million times."""
EXACT, ROUGH = 1e-7, 0.02
"""Permitted error of an integral beyond the uncertainty of the grid, and the greatest permitted uncertainty."""
PACES = (0.5, 1.0, 2.0)
"""Frequencies ω, in radians per half interquartile range of the draws."""


@dataclass(frozen=True)
class Density:
    """A density on a grid, and draws that should follow it.

    Args:
        part: what is judged.
        grid: points of d numbers.
        log_p: log p at the points, shape (n,).
        draws: shape (m, d).
        name: what a point is called, `z` or `x`.
        given: the input that the distribution depends on, for messages; empty if there is none.
    """

    part: Any
    grid: Grid
    log_p: Array
    draws: Array
    name: str
    given: str = ""

    def check(self) -> None:
        """Check that the density sums to 1 and that the draws follow it.

        Raises:
            ContractError: if the total is not 1, or the draws do not follow the density.
        """
        self._check_numbers()
        self._check_total()
        self._check_draws()

    def _check_numbers(self) -> None:
        bad = np.isnan(self.log_p) | (self.log_p == np.inf)
        if bad.any():
            first = bad.argmax()
            at = f"{self.name} = {write_numbers(self.grid.points[first])}{self.given}"
            broken = f"log_prob is {self.log_p[first]:g} at {at}"
            raise ContractError(self.part, broken, "log_prob must be a number for every possible value")

    def _check_total(self) -> None:
        total, unsure = self.grid.integrate(np.exp(self.log_p))
        centre = write_numbers(np.median(self.draws, 0))
        where = (
            f"over all {self.name}, on a grid of {len(self.log_p):,} points around {self.name} = {centre}{self.given}"
        )
        if unsure > ROUGH * max(1.0, float(total)):
            broken = f"exp(log_prob) cannot be integrated {where}, because a third of the points gives {total - unsure:.4g} or {total + unsure:.4g} and all of them give {total:.4g}"
            raise ContractError(self.part, broken, "the density has jumps or spikes, or lies far from its own draws")
        if abs(total - 1) > EXACT + 3 * unsure:
            likely = "log_prob probably lacks a constant, or the determinant of a Jacobian"
            raise ContractError(self.part, f"exp(log_prob) sums to {total:.7g} instead of 1 {where}", likely)

    def _check_draws(self) -> None:
        """Compare means of cos ω·y and sin ω·y over the draws with means under the density, for several ω."""
        centre, scale = self._unit()
        dimensions = self.draws.shape[1]
        steps = [s for s in product((-1, 0, 1), repeat=dimensions) if s > (0,) * dimensions]
        frequencies = np.array([pace * np.array(s) for s in steps for pace in PACES])

        def waves(points: Array) -> Array:
            phase = (points - centre) / scale @ frequencies.T
            return np.concatenate([np.cos(phase), np.sin(phase)], 1)

        on_grid, found = waves(self.grid.points), waves(self.draws).mean(0)
        expected, unsure = self._expect(on_grid)
        spread = np.sqrt(np.maximum(self._expect(on_grid**2)[0] - expected**2, 0))
        error = spread / math.sqrt(len(self.draws))
        excess = np.abs(found - expected) / (error + (EXACT + 3 * unsure) / ERRORS)
        worst = int(excess.argmax())
        if not excess[worst] <= ERRORS:
            wave, frequency = ("cos", "sin")[worst // len(frequencies)], frequencies[worst % len(frequencies)]
            phase = f"{write_numbers(frequency)}·({self.name} − {write_numbers(centre)})/{write_numbers(scale)}"
            broken = (
                f"the mean of {wave}({phase}) is {found[worst]:.4g} over {len(self.draws):,} draws and "
                f"{expected[worst]:.4g} under exp(log_prob), {excess[worst]:.0f} standard errors apart{self.given}"
            )
            raise ContractError(self.part, broken, "drawing and log_prob probably use different parameters")

    def check_moments(self, mean: Callable[[], Any], variance: Callable[[], Any], moment_draws: int) -> None:
        """Check the mean and the variance, if the distribution has them.

        Args:
            mean: returns the mean of shape (d,), or raises NotImplementedError.
            variance: returns the variance of shape (d,), or raises NotImplementedError.
            moment_draws: number of draws from which the distribution estimates them; 0 for closed forms.

        Raises:
            ContractError: if one of them is wrong.
        """
        first, unsure = self._expect(self.grid.points)
        centred = self.grid.points - first
        second, unsure_second = self._expect(centred**2)
        fourth, _ = self._expect(centred**4)
        share = ERRORS / math.sqrt(moment_draws) if moment_draws else EXACT
        slack = share * np.sqrt(second) + 3 * unsure + 1e-9
        slack_second = share * (np.sqrt(np.maximum(fourth, 0)) if moment_draws else second) + 3 * unsure_second + 1e-9
        for what, moment, expected, tolerance in (
            ("the mean", mean, first, slack),
            ("the variance", variance, second, slack_second),
        ):
            try:
                found = np.asarray(moment(), dtype=np.float64)
            except (NotImplementedError, AttributeError):
                continue
            named = f"{what} of {self.name}{self.given}"
            check_shape(self.part, named, found.shape, expected.shape, "it must have the shape of an example")
            kept = np.isfinite(found)  # a distribution may have no variance, or no mean
            likely = f"the closed form of {what} does not belong to log_prob"
            check_close(self.part, named, found[kept], expected[kept], likely, tolerance[kept])

    def _expect(self, values: Array) -> tuple[Array, Array]:
        """Return the means of k functions under the density, and the errors of these means.

        Args:
            values: the functions' values on the grid, shape (n, k).
        """
        p = np.exp(self.log_p)
        total, doubt = self.grid.integrate(p)
        mean, unsure = self.grid.integrate(p[:, None] * values)
        return mean / total, (unsure + doubt * np.abs(mean / total)) / total

    def _unit(self) -> tuple[Array, Array]:
        low, centre, high = np.quantile(self.draws, [0.25, 0.5, 0.75], axis=0)
        scale = 0.5 * (high - low)
        return centre, np.where(scale > 0, scale, 1.0)
