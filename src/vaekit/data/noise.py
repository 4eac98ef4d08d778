"""Noise that is a function of the bytes of a row, so that evaluation is deterministic.

The numbers are those of `vaekit.row_noise`. So a row has the same noise in every call, at every position and in every
batch: `score(x)` is a function of x.

`RowStream` lists all streams of noise for a row, `SeedStream` all streams from a seed alone. Each use has its own
number. The noise of training is not listed: it depends on seed, step and process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum, unique
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.row_noise import UInt, row_keys, row_uniform


@unique
class RowStream(IntEnum):
    """Lists the uses of a row's noise, each with a fixed number that no other use may have."""

    TRANSFORM = 0
    """Binarises and dequantises in evaluation."""
    POSTERIOR = 1
    """Draws ε of z ~ q(z|x)."""
    FILL = 2
    """Draws values of cells from p(x|z)."""
    CHOICE = 3
    """Chooses the z from which the missing cells of a row are filled."""
    RARE = 4
    """Chooses a rare value in place of the shared category of a column."""
    AGGREGATE = 5
    """Draws ε of z ~ q(z), for the decomposition of the rate."""
    RULE_CELLS = 6
    """Draws values of cells from p(x|z) of new rows that obey rules."""
    RULE_RARE = 7
    """Chooses rare categories of new rows that obey rules."""
    RULE_MEND = 8
    """Chooses differences and combinations of rows that break a rule in every draw."""
    TUNE_MOVES = 10
    """Draws starts and momenta of the chains that tune annealing."""
    TUNE_ACCEPTANCE = 11
    """Accepts moves of the chains that tune annealing."""
    FORWARD_MOVES = 13
    """Draws starts and momenta of the chains from q(z|x) to p(x, z)."""
    FORWARD_ACCEPTANCE = 14
    """Accepts moves of the chains from q(z|x) to p(x, z)."""
    BACKWARD_MOVES = 16
    """Draws momenta of the chains from p(x, z) back to q(z|x)."""
    BACKWARD_ACCEPTANCE = 17
    """Accepts moves of the chains from p(x, z) back to q(z|x)."""
    GAP_FIT = 20
    """Draws ε to fit a posterior to each row."""
    GAP_MEASURE = 21
    """Draws ε to evaluate the posterior fitted to each row."""
    BLUR = 22
    """Draws the noise that is added to numbers of validation rows."""
    REPLACE = 23
    """Replaces categories of validation rows."""
    GIVEN_CHOICE = 30
    """Chooses the z of new rows with given cells."""
    GIVEN_CELLS = 31
    """Draws values of the other cells of new rows with given cells."""
    GIVEN_RARE = 32
    """Chooses rare categories of new rows with given cells."""
    SAMPLE_RARE = 33
    """Chooses rare categories of new rows."""
    SAMPLE_MISSING = 34
    """Draws which cells of new rows are missing."""


@unique
class SeedStream(IntEnum):
    """Lists the uses of a seeded random generator, each with a fixed number that no other use may have."""

    SPLIT = 1
    """Divides the rows into training, validation and test."""
    BATCHES = 2
    """Shuffles the rows of an epoch."""
    SUBSET = 4
    """Chooses a subset of the rows."""
    BASELINE = 5
    """Dequantises training rows and held-out rows for the linear baselines."""
    HIDE = 7
    """Chooses the cells that the report hides and predicts."""
    FACTOR_ROWS = 8
    """Chooses rows for scoring codes against known factors."""
    FACTOR_VOTES = 9
    """Draws the votes of the FactorVAE score."""
    RULE_CODES = 11
    """Draws z of new rows that obey rules."""
    RULE_AGAIN = 12
    """Chooses the seed with which rows that break a rule are drawn again, given some of their cells."""
    PRIVACY_RARE = 13
    """Chooses rare categories of generated rows that are compared with training rows."""
    CALIBRATION_HIDE = 15
    """Hides cells at random to measure and to set the coverage of intervals."""
    CALIBRATION_MISSING = 16
    """Hides cells as they are missing in training rows, for the same."""
    CALIBRATION_BORDER = 17
    """Draws the borders of intervals and sets of values that have probability."""
    CALIBRATION_OUTCOME = 18
    """Draws outcomes with given probabilities, to see which calibration error is due to chance."""
    CALIBRATION_ROWS = 19
    """Resamples test sets, to see whether standard errors hold."""
    CALIBRATION_CODES = 20
    """Draws codes and rows from the model, to judge the posterior."""
    BUFFER = 21
    """Mixes the rows of some blocks of a large file."""
    SAMPLE_CODES = 30
    """Draws z and x of new rows."""
    GIVEN_CODES = 31
    """Draws the proposals of z for new rows with given cells."""
    AUDIT_ROWS = 40
    """Makes up rows for an audit, and orders them."""
    AUDIT_PROPOSAL = 41
    """Draws rows for an audit by importance sampling."""
    AUDIT_REFIT = 42
    """Draws linear-Gaussian data, on which an audited model is trained again."""

    def rng(self, seed: int, *more: int) -> np.random.Generator:
        """Make a random generator from a seed and the number of this stream.

        Args:
            seed: the same seed gives the same numbers.
            more: further numbers that select a generator, such as the epoch.

        Examples:
            >>> bool(SeedStream.SPLIT.rng(0).random() == SeedStream.BATCHES.rng(0).random())
            False
        """
        return np.random.default_rng([seed, self, *more])


_GENERATOR = threading.RLock()
"""Lock held by the thread that draws from torch's global generator."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's global random generator within a `with` block, and restore its state afterwards.

    All layers and distributions of torch draw from this generator. Other threads wait, so that each draws the same
    numbers as if it ran alone.

    Args:
        seed: the same seed gives the same draws.

    Examples:
        >>> def draw():
        ...     with seeded(3):
        ...         return float(torch.rand(()))
        >>> draw() == draw()
        True
    """
    cuda = torch.cuda.is_initialized()
    with _GENERATOR, torch.random.fork_rng([torch.cuda.current_device()] if cuda else []):
        torch.default_generator.manual_seed(seed)  # much faster than torch.manual_seed
        if cuda:
            torch.cuda.manual_seed(seed)
        yield


class RowNoise:
    """Makes uniform and normal noise for each row of a batch, as a function of the row's bytes and a seed.

    Args:
        rows: data as given, shape (B, ...); only their bytes matter.
        seed: chooses the family of streams; the same seed gives the same noise.

    Examples:
        >>> X = np.arange(6.0).reshape(3, 2)
        >>> forwards, backwards = RowNoise(X, seed=0).normal((4,), RowStream.POSTERIOR), RowNoise(X[::-1], seed=0).normal((4,), RowStream.POSTERIOR)
        >>> bool((forwards == backwards.flip(0)).all())
        True
    """

    def __init__(self, rows: npt.NDArray[np.generic], seed: int = 0) -> None:
        self.keys: UInt = row_keys(rows, seed)

    @classmethod
    def of_attempt(cls, numbers: npt.NDArray[np.int64], attempt: int, seed: int) -> Self:
        """Return the noise of rows with given numbers, shape (B,), for one attempt at drawing them."""
        return cls(np.stack([numbers, np.full(len(numbers), attempt)], 1), seed)

    def uniform(self, shape: Sequence[int], stream: RowStream, start: int = 0) -> Tensor:
        """Return uniform noise in the open interval (0, 1) for each row, shape (B, *shape), float64.

        Args:
            shape: shape of the noise for one row.
            stream: purpose of the noise; different streams are independent.
            start: how many numbers of the stream to skip.
        """
        return torch.from_numpy(row_uniform(self.keys, shape, stream, start))

    def normal(self, shape: Sequence[int], stream: RowStream, start: int = 0) -> Tensor:
        """Return standard normal noise for each row, shape (B, *shape), float32; for the arguments see `uniform`."""
        return torch.special.ndtri(self.uniform(shape, stream, start)).float()
