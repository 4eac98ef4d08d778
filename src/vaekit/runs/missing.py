"""The missing cells of drawn rows: a model of their pattern is fitted to the training rows, and drawn rows obey it."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import BatchOrder, Cells, Part, Rows, Schema, Split, Transform, seeded, tile_positions
from vaekit.data.blanks import blank_rules
from vaekit.models.missing_pattern import BLOCK, MissingPattern
from vaekit.training.optimizers.adamw import FusedAdamW

Array = npt.NDArray[np.float64]
Inputs = tuple[Tensor, Tensor | None]
"""Rows as a model sees them, and their context."""
MOST_NUMBERS, BATCH_NUMBERS, BATCH = 1 << 23, 1 << 14, 256
"""Most numbers in the rows that a pattern is fitted to, most in a batch, and most rows in a batch."""
BATCHES = 16
"""Most batches of validation rows."""
RATES = (1e-2, 1e-3)
"""Learning rates."""
EVERY, PATIENCE, MOST_STEPS = 25, 4, 800
"""Steps between validations; validations without a gain, and steps, after which a learning rate ends."""
PRIOR = {"offset": 0.0, "ruled": 0.0, "links": 0.01}
"""Weight of ‖θ − start‖² in −log of the prior of parameters; `OTHERS` of all others, so that few rows do not overfit."""
OTHERS = 20.0
TILE = 1024
"""Drawn rows that go through it at a time; always as many, so that a row's cells do not depend on other rows."""
NEWTON = 8
"""Steps of Newton's method."""


def order_columns(part: Part) -> list[int]:
    """Return the columns of encoded training rows that have missing cells, those with fewest missing cells first."""
    missing = sum((np.isnan(block).sum(0) for _, block in part.blocks()), start=np.zeros(part.event_shape[0], int))
    return sorted(np.flatnonzero(missing).tolist(), key=lambda j: (missing[j], j))


def make_pattern(schema: Schema, transform: Transform, order: Sequence[int], seed: int = 0) -> MissingPattern:
    """Make an untrained model of the pattern of missing cells.

    Args:
        schema: the columns of a mixed table.
        transform: their transform.
        order: the columns with missing cells.
        seed: determines the weights.
    """
    if transform.cells is None:
        raise TypeError("only the rows of a mixed table have missing cells")
    place = {column: i for i, column in enumerate(order)}
    rules = {
        column: (other, values)
        for column, (other, values) in blank_rules(schema.table).items()
        if column in place and place.get(other, -1) < place[column]
    }
    context = next((step for step in transform.context if isinstance(step, Cells)), None)
    with seeded(seed):
        return MissingPattern(transform.cells, order, rules, context)


def fit_pattern(split: Split, schema: Schema, transform: Transform, seed: int) -> MissingPattern | None:
    """Fit a model of the pattern of missing cells to training rows; validation rows choose the weights.

    Args:
        split: the rows. Without validation rows, a tenth of the training rows chooses the weights.
        schema: the columns of a mixed table.
        transform: their transform.
        seed: determines the weights and the batches.

    Returns:
        The model; None if no training row has missing cells.
    """
    if not (order := order_columns(split.train)):
        return None
    pattern, part, choosing = make_pattern(schema, transform, order, seed), split.train, split.divide_validation()[0]
    if not len(choosing):
        tenth = max(1, len(part) // 10)
        part, choosing = part.crop(tenth, len(part)), part.crop(0, tenth)
    numbers = part.event_shape[0] + len(order)
    batch = max(BATCH // 8, min(BATCH, BATCH_NUMBERS // numbers))
    rows = Rows(part.subset(max(BATCH, MOST_NUMBERS // numbers), seed), transform, seed)
    chosen = Rows(choosing.subset(BATCHES * batch, seed), transform, seed)
    weights = rows.part.weight()
    train, validation = ((each.tensor(), each.context()) for each in (rows, chosen))
    pattern.start(*train, None if weights is None else torch.from_numpy(weights).double())
    _maximise(pattern, train, validation, BatchOrder(len(rows), batch, seed, weights))
    _fit_offsets(pattern, train, np.ones(len(rows)) if weights is None else weights * len(rows) / weights.sum())
    return pattern


def _maximise(pattern: MissingPattern, train: Inputs, validation: Inputs, batches: BatchOrder) -> None:
    """Maximise Σ log p(m|x) + log prior over training rows; the weights that are best for the validation rows stay."""
    named = dict(pattern.named_parameters())
    parameters, start = list(named.values()), {name: value.detach().clone() for name, value in named.items()}
    best, weights, first = _mean(pattern, validation), copy.deepcopy(pattern.state_dict()), 0
    for rate in RATES:
        optimizer, last = FusedAdamW(parameters, rate, 0.0), first
        for step in range(first, first + MOST_STEPS):
            index = batches.index(step)
            x, context = train[0][index], None if train[1] is None else train[1][index]
            fit = pattern.log_prob(x, context).mean()
            penalty = sum(PRIOR.get(name, OTHERS) * (named[name] - start[name]).square().sum() for name in named)
            gradients = torch.autograd.grad(penalty / batches.rows - fit, parameters)
            with torch.no_grad():
                optimizer.update(parameters, gradients, list(optimizer.state.values()), rate)
            if (step + 1) % EVERY == 0 and (found := _mean(pattern, validation)) > best:
                best, last, weights = found, step, copy.deepcopy(pattern.state_dict())
            if step - last >= PATIENCE * EVERY:
                break
        first = step + 1
        pattern.load_state_dict(weights)


@torch.no_grad()
def _fit_offsets(pattern: MissingPattern, rows: Inputs, weights: Array) -> None:
    """Shift the logit of each column by Newton's method, so that its mean probability is its rate in training rows."""
    x, weight = rows[0], torch.from_numpy(weights).float()
    logits = torch.cat([
        pattern(x[some], None if rows[1] is None else rows[1][some])
        for some in (slice(start, start + BLOCK) for start in range(0, len(x), BLOCK))
    ])  # fmt: skip
    shift, gone = torch.zeros(len(pattern.order)), pattern.missing(x).float()
    for _ in range(NEWTON):
        p = (logits + shift).sigmoid()
        shift = shift + weight @ (gone - p) / (weight @ (p * (1 - p)) + 1)
    pattern.offset.add_(shift)


@torch.no_grad()
def _mean(pattern: MissingPattern, rows: Inputs) -> float:
    return float(pattern.log_prob(*rows).double().mean())


def blank_rows(
    pattern: MissingPattern,
    transform: Transform,
    codes: Array,
    context: Array | None,
    uniform: Array,
    kept: Collection[int] = frozenset(),
) -> Array:
    """Draw which cells of complete rows are missing.

    Args:
        pattern: p(m|x).
        transform: the transform of the run.
        codes: drawn rows, shape (n, C).
        context: codes of their context, shape (n, columns of the context); None without a context.
        uniform: numbers in (0, 1), shape (n, K) for K columns with missing cells.
        kept: columns whose cells are never missing.

    Returns:
        The codes, NaN where a cell is missing.
    """
    found = []
    for some in tile_positions(len(codes), TILE):
        x = transform.forward(torch.from_numpy(codes[some])).float()
        c = None if context is None else transform.encode_context(torch.from_numpy(context[some])).float()
        found.append(pattern.draw(x, torch.from_numpy(uniform[some]), c, kept).numpy())
    codes, order = codes.copy(), list(pattern.order)
    codes[:, order] = np.where(np.concatenate(found)[: len(codes)], np.nan, codes[:, order])
    return codes
