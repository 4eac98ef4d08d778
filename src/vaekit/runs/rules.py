"""Rows of a run that obey rules: new rows, new rows given some cells, and filled cells."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaekit.data import RowNoise, Rows, RowStream, SeedStream, seeded
from vaekit.data.tables.rules import RuleSet
from vaekit.data.tables.rules.base import Truth
from vaekit.data.tables.rules.rule_set import Blank, round_of
from vaekit.errors import DataError, shorten
from vaekit.evaluation import TableModel, evaluating
from vaekit.evaluation.tables.proposals import SHARED

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Tiles = Callable[[torch.Tensor, Indices], Iterator[tuple[Indices, Any, torch.Tensor]]]
Emptier = Callable[[Array, Indices], Array]
"""A function that empties the cells that stay empty in codes (n, C) of the rows with given numbers."""
CHUNK = 512
"""Rows whose z are drawn together; always as many, so that a row does not depend on the number of rows."""
FILLINGS, AT_ONCE = 30, 10
"""How often cells are filled before they are constructed, and the draws that are made at once for a row."""


def draw_new(model: TableModel, rules: RuleSet, numbers: Indices, seed: int, tiles: Tiles, blank: Blank) -> Array:
    """Draw new rows that obey rules; the noise of row i depends on the seed, i and the attempt alone.

    Args:
        model: the model of the table.
        rules: the rules.
        numbers: numbers of the rows, which increase, shape (n,).
        seed: the same seed gives the same rows.
        tiles: divides latent vectors of rows with given positions into tiles, and yields positions, a model that is
            conditioned on the context of its rows, and latent vectors.
        blank: empties cells of the rows.

    Returns:
        Codes, shape (n, C), NaN where a cell is missing.

    Raises:
        DataError: if rows cannot be made to obey.
    """
    columns = model.schema.modelled

    def draw(rows: Indices, attempt: int, start: Array) -> Array:
        noise = RowNoise.of_attempt(numbers[rows], attempt, seed)
        uniform = noise.uniform((model.cells.layout.slots, 2), RowStream.RULE_CELLS).float()
        given, made = model.see(start)[:, : model.cells.layout.slots], []
        with evaluating(model.model):
            for chosen, own, z in tiles(_draw_codes(model, numbers[rows], seed, round_of(attempt)), rows):
                common = own.decoder(z).base_dist.plain.common()
                drawn = common.draw(uniform[chosen].to(z.device), given[chosen].to(z.device))
                made.append(model.cells.inverse(drawn.cpu()))
        rare = noise.uniform((len(columns),), RowStream.RULE_RARE)
        codes = model.cells.draw_rare(torch.cat(made)[: len(rows)], rare).numpy()
        return np.where(np.isnan(start), codes, start)

    free = np.full((len(numbers), len(columns)), np.nan)
    codes, broken = rules.draw(draw, free, lambda rows: _mend_noise(numbers[rows, None], rules, seed), blank)
    if broken.any():
        told = f"{broken.any(0).sum()} of {len(numbers)} rows that the model draws cannot be made to obey"
        raise _refuse(rules, broken, told, "Train longer, or leave the rule out")
    return codes


def _draw_codes(model: TableModel, rows: Indices, seed: int, attempt: int) -> torch.Tensor:
    """Draw z of rows, whose numbers increase, from the prior, in whole chunks of rows."""
    found = []
    with evaluating(model.model):
        for chunk in np.unique(rows // CHUNK).tolist():
            with seeded(int(SeedStream.RULE_CODES.rng(seed, attempt, chunk).integers(2**62))):
                z = model.model.prior().sample((CHUNK,))
            found.append(z[torch.from_numpy(rows[rows // CHUNK == chunk] % CHUNK)])
    return torch.cat(found)


def condition(
    model: TableModel,
    rules: RuleSet,
    row: Array,
    numbers: Indices,
    seed: int,
    context: torch.Tensor | None,
    blank: Blank,
) -> tuple[Array, float]:
    """Draw rows given some cells that obey rules; row i is a function of the seed and i.

    Args:
        model: the model of the table.
        rules: the rules.
        row: codes of the given cells, NaN elsewhere, shape (C,).
        numbers: numbers of the rows, which increase, shape (n,).
        seed: the same seed gives the same rows.
        context: c, the same for all rows, shape (1, ...); None if the model is not conditional.
        blank: empties cells of the rows.

    Returns:
        Codes, shape (n, C), NaN where a cell is missing, and the effective sample size of all proposals.

    Raises:
        DataError: if the given cells break a rule, or leave no way to obey it.
    """
    mend = "Give other values, or train without the rule"
    if (broken := rules.broken_by(row[None])).any():
        raise _refuse(rules, broken, "The given values break", mend)
    found, size = [], 0.0
    for chunk in np.unique(numbers // SHARED).tolist():
        places, given = np.flatnonzero(numbers // SHARED == chunk), model.propose(row, seed, chunk, context)
        own = numbers[places]
        codes, broken = rules.draw(
            lambda rows, attempt, start, own=own, given=given: given.draw(own[rows], seed, attempt, start),  # type: ignore[misc]
            np.tile(row, (len(own), 1)),
            lambda rows, own=own: _mend_noise(own[rows, None], rules, seed),  # type: ignore[misc]
            lambda codes, rows, attempt, places=places: blank(codes, places[rows], attempt),  # type: ignore[misc]
        )
        if broken.any():
            raise _refuse(rules, broken, "The given values leave no way to obey", mend)
        found.append(codes)
        size += given.size
    return np.concatenate(found), size


def fill_means(rules: RuleSet, codes: Array, given: Array) -> Array:
    """Make filled cells obey rules: columns are computed, numbers moved to the nearest ones in order.

    Args:
        rules: the rules.
        codes: codes of the rows with all cells filled, shape (n, C).
        given: the same before cells were filled, NaN where a cell was.

    Returns:
        Codes, shape (n, C).

    Warns:
        UserWarning: if given cells break a rule.
    """
    settled, broken = rules.settle(codes, given)
    _warn(rules, broken)
    return settled


def fill_draws(
    rules: RuleSet, model: TableModel, rows: Rows, draws: int, seed: int, ids: Indices, empty: Emptier
) -> Array:
    """Fill missing cells with draws that obey rules: p(missing cells | given cells, the row obeys).

    A row that breaks a rule is filled anew, all cells together.

    Args:
        rules: the rules.
        model: the model of the table.
        rows: coded rows, NaN where a cell is missing.
        draws: number of tables M.
        seed: the same seed gives the same draws.
        ids: an identifier of each row, shape (n,); draws of rows with equal cells differ if these do.
        empty: empties the cells that stay empty in codes of some rows.

    Returns:
        Codes, shape (M, n, C).

    Warns:
        UserWarning: if given cells break a rule.
    """
    if not rules.rules:
        return model.draw(rows, draws, seed, ids)
    given = np.asarray(rows.part.take(0, len(rows)), np.float64)
    n, more = len(given), max(1, min(AT_ONCE, 100 // draws))
    kept = np.empty((0, 0, 0)), np.empty(0, np.int64)

    def draw(chosen: Indices, attempt: int, _: Array) -> Array:
        """Draw cells number table · n + row; further draws are made for several attempts at once."""
        nonlocal kept
        own, use = np.unique(chosen % n), max(attempt - 1, 0) % more
        if not use:
            some = Rows(replace(rows.part, index=rows.part.index[own]), rows.transform, rows.seed)
            kept = model.draw(some, draws * (more if attempt else 1), _seed_again(seed, attempt), ids[own]), own
        made, there = kept
        return made[use * draws + chosen // n, np.searchsorted(there, chosen % n)]

    def uniform(chosen: Indices) -> Array:
        return _mend_noise(np.column_stack([given[chosen % n], chosen // n, ids[chosen % n].view(float)]), rules, seed)

    def blank(codes: Array, chosen: Indices, _: int) -> Array:
        return empty(codes, chosen % n)

    codes, broken = rules.draw(draw, np.tile(given, (draws, 1)), uniform, blank, FILLINGS)
    _warn(rules, np.logical_or.reduce(broken.reshape(-1, draws, n), 1))
    return codes.reshape(draws, *given.shape)


def _mend_noise(rows: npt.NDArray[np.generic], rules: RuleSet, seed: int) -> Array:
    found: Array = RowNoise(rows, seed).uniform((len(rules.rules),), RowStream.RULE_MEND).numpy()
    return found


def _seed_again(seed: int, attempt: int) -> int:
    """Return the seed of an attempt; the first one has the user's own."""
    return int(SeedStream.RULE_AGAIN.rng(seed, attempt).integers(2**31)) if attempt else seed


def _refuse(rules: RuleSet, broken: Truth, told: str, mend: str) -> DataError:
    texts = [f"'{rule.text}'" for rule, own in zip(rules.rules, broken, strict=True) if own.any()]
    return DataError(f"{told} {' and '.join(texts)}", mend=mend)


def _warn(rules: RuleSet, broken: Truth) -> None:
    """Warn of rows whose given cells do not fit a rule."""
    if not broken.any():
        return
    parts = [f"'{rule.text}' in {own.sum():,}" for rule, own in zip(rules.rules, broken, strict=True) if own.any()]
    told = f"In {broken.any(0).sum():,} of {broken.shape[1]:,} rows the given cells do not fit the rules, which stay broken: "
    warnings.warn(told + shorten(", ".join(parts)), stacklevel=4)
