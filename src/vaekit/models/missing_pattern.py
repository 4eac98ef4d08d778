"""The pattern of missing cells of a row of a mixed table.

p(m|x) = Π_j p(m_j | x_complete, (m_k, x_k where observed) for k < j)

The product is over the columns that have missing cells, in one fixed order; m_j = 1 if the cell of column j is missing,
and x_complete are the cells of all other columns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaekit.data import Cells
from vaekit.networks.cell_context import CellVectors

WIDTH = 32
"""Length of the vectors, and units of the network."""
BLOCK = 4096
"""Rows that are seen at a time, where all are counted."""


class MissingPattern(nn.Module):
    """The probability of the pattern of missing cells given the cells of a row.

    Each conditional depends on what a row with missing cells shows: the cells of complete columns, and for each earlier
    column either its cell or the fact that it is missing. So the probabilities of all patterns of a row sum to one, rows
    with missing cells determine every conditional, and a pattern is drawn column after column. Cells are seen as a sum of
    learned vectors; a network maps the sum to the logit of each column, to which every earlier column adds a weight of its
    own. Where a rule says that a cell is a structural blank, its logit is a single number.

    Args:
        cells: the transform from codes of cells to the model's inputs.
        order: the columns with missing cells, in the order of the product.
        rules: for some of these columns, another column and the categories of it with which the cell is a structural blank.
            Columns of the context are counted after those of `cells`. The other column has no missing cells, or comes
            earlier in the order.
        context: the transform of the context (covariates); None if the model has no context.

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator", 2014, for conditionals from sums of vectors;
        Chow and Liu, "Approximating Discrete Probability Distributions with Dependence Trees", 1968, for the start;
        Little and Rubin, "Statistical Analysis with Missing Data", 2019, for factoring p(x, m) into p(x) and p(m|x).

    Examples:
        >>> from vaekit.data.tables.cells import Categories
        >>> cells = Cells(columns=(Categories(n_categories=3, known=2, log_share=(0.0, 0.0, 0.0)),))
        >>> pattern = MissingPattern(cells, [0])
        >>> pattern.log_prob(torch.tensor([[1.0, 0.0], [torch.nan, torch.nan]])).exp().sum().item()
        1.0
    """

    first: Tensor
    last: Tensor
    complete: Tensor
    earlier: Tensor
    rates: Tensor

    def __init__(
        self,
        cells: Cells,
        order: Sequence[int],
        rules: Mapping[int, tuple[int, Sequence[int]]] | None = None,
        context: Cells | None = None,
    ) -> None:
        super().__init__()
        self.order, count = tuple(order), len(order)
        columns = cells.slot_columns.tolist()
        last = [len(columns) - 1 - columns[::-1].index(column) for column in self.order]
        self.register_buffer("first", torch.tensor([columns.index(column) for column in self.order]), persistent=False)
        self.register_buffer("last", torch.tensor(last), persistent=False)
        complete = torch.tensor([float(column not in self.order) for column in columns])
        self.register_buffer("complete", complete, persistent=False)
        self.register_buffer("earlier", torch.ones(count, count).tril(-1), persistent=False)
        self.seen = CellVectors(cells.layout, WIDTH)
        self.given = None if context is None else CellVectors(context.layout, WIDTH)
        self.gone = nn.Parameter(0.3 * torch.randn(count, WIDTH))
        self.own = nn.Parameter(0.3 * torch.randn(count, WIDTH))
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.heads = nn.Parameter(torch.zeros(count, WIDTH))
        self.links = nn.Parameter(torch.zeros(count, count))
        self.offset = nn.Parameter(torch.zeros(count))
        self.ruled = nn.Parameter(torch.zeros(count))
        self.register_buffer("rates", torch.full((count,), 0.5))
        beyond = [] if context is None else (len(cells.columns) + context.slot_columns).tolist()
        both = [*columns, *beyond]
        self.rules = {
            self.order.index(column): (both.index(other), torch.tensor(list(values)).float())
            for column, (other, values) in (rules or {}).items()
        }

    @torch.no_grad()
    def start(self, x: Tensor, context: Tensor | None = None, weights: Tensor | None = None) -> None:
        """Start with columns that depend on their rule, and on the one earlier column that tells most about them.

        The logits are those of the counts in training rows, each plus ½. So columns that are always missing together start
        almost equal.

        Args:
            x: training rows, shape (n, 2S).
            context: their context, as in `forward`.
            weights: their weights, shape (n,); 1 by default.
        """
        n, count = len(x), len(self.order)
        weight = torch.ones(n, dtype=torch.float64) if weights is None else weights * n / weights.sum()
        totals, table = torch.zeros(2, count, dtype=torch.float64), torch.zeros(2, 2, count, count, dtype=torch.float64)
        for some in (slice(start, start + BLOCK) for start in range(0, n, BLOCK)):
            gone = self.missing(x[some]).double()
            ruled = self._ruled(self._shown(x[some], None if context is None else context[some])).double()
            states, free = torch.stack([1 - gone, gone]), weight[some, None] * (1 - ruled)
            totals += weight[some] @ torch.stack([gone, ruled])
            table += (free * states).mT.unsqueeze(1) @ states  # [a, b, j, k]: rows with m_j = a and m_k = b
        self.rates.copy_((totals[0] + 0.5) / (n + 1))
        self.ruled.copy_(((totals[1] + 0.5) / 0.5).log())
        table += 0.5
        for j in range(count):
            self.offset[j] = (table[1, 1, j, j] / table[0, 0, j, j]).log()
            if j:
                pairs = table[:, :, j, :j]
                logits, share = (pairs[1] / pairs[0]).log(), pairs / pairs.sum((0, 1))
                told = (share * (share / (share.sum(0, keepdim=True) * share.sum(1, keepdim=True))).log()).sum((0, 1))
                k = int(told.argmax())
                self.links[j, k] = (logits[1, k] - logits[0, k]) / 2
                self.offset[j] = (logits[1, k] + logits[0, k]) / 2

    def missing(self, x: Tensor) -> Tensor:
        """Return whether the cell of each column is missing, shape (B, K), from rows (B, 2S)."""
        return torch.isnan(x[:, self.first])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the logit of p(m_j = 1 | what is seen before) of each column.

        Args:
            x: rows as the model sees them, NaN where a cell is missing, shape (B, 2S).
            context: context of the rows as the networks see it; None for a model without context.

        Returns:
            Shape (B, K).
        """
        shown, gone = self._shown(x, context), self.missing(x).to(x.dtype)
        complete, own = self._vectors(shown)
        own = own + gone.unsqueeze(-1) * self.gone
        before = complete.unsqueeze(1) + own.cumsum(1) - own
        linked = (2 * gone - 1) @ (self.links * self.earlier).T
        logits = (self._features(before + self.own) * self.heads).sum(-1) + linked + self.offset
        return torch.where(self._ruled(shown), self.ruled, logits) if self.rules else logits

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return log p(m|x) of each row in nats, shape (B,); for the arguments see `forward`."""
        logits = self(x, context)
        return -F.binary_cross_entropy_with_logits(logits, self.missing(x).to(logits), reduction="none").sum(-1)

    def log_independent(self, x: Tensor) -> Tensor:
        """Return log p(m) of each row in nats, shape (B,), if cells went missing independently, at the rates of training."""
        return torch.where(self.missing(x), self.rates.log(), torch.log1p(-self.rates)).sum(-1)

    @torch.no_grad()
    def draw(
        self, x: Tensor, uniform: Tensor, context: Tensor | None = None, kept: Collection[int] = frozenset()
    ) -> Tensor:
        """Draw a pattern for each complete row, column after column. Structural blanks are always missing.

        Args:
            x: complete rows as the model sees them, shape (B, 2S).
            uniform: numbers in (0, 1), shape (B, K).
            context: context of the rows, as in `forward`.
            kept: columns whose cells are never missing.

        Returns:
            Whether each cell is missing, shape (B, K).
        """
        shown = self._shown(x, context).clone()
        seen, own = self._vectors(shown)
        gone, links = torch.zeros_like(uniform, dtype=torch.bool), self.links * self.earlier
        for j, column in enumerate(self.order):
            linked = (2 * gone[:, :j].to(x.dtype) - 1) @ links[j, :j]
            logit = (self._features(seen + self.own[j]) * self.heads[j]).sum(-1) + linked + self.offset[j]
            if column not in kept:
                gone[:, j] = (uniform[:, j] < logit.sigmoid()) | self._is_ruled(j, shown)
            shown[gone[:, j], self.first[j]] = torch.nan
            seen = seen + torch.where(gone[:, j : j + 1], self.gone[j], own[:, j])
        return gone

    def _shown(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Return the cells of rows, followed by those of their context, without their measures."""
        parts = [x] if context is None else [x, context]
        return torch.cat([part[:, : part.shape[1] // 2] for part in parts], 1)

    def _ruled(self, shown: Tensor) -> Tensor:
        """Return which cells are structural blanks, shape (B, K)."""
        return torch.stack([self._is_ruled(j, shown) for j in range(len(self.order))], 1)

    def _is_ruled(self, j: int, shown: Tensor) -> Tensor:
        """Return whether the cell of one column is a structural blank, shape (B,)."""
        if j not in self.rules:
            return torch.zeros(len(shown), dtype=torch.bool)
        cell, values = self.rules[j]
        return torch.isin(shown[:, cell], values)

    def _vectors(self, shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of the vectors of complete columns (B, H), and the vector of each other column (B, K, H)."""
        slots = len(self.complete)
        vectors = self.seen(shown[:, :slots])
        complete = self.complete @ vectors
        if self.given is not None:
            complete = complete + self.given(shown[:, slots:]).sum(1)
        two = (self.first != self.last).to(vectors.dtype).unsqueeze(-1)  # a category and a number
        return complete, vectors[:, self.first] + two * vectors[:, self.last]

    def _features(self, seen: Tensor) -> Tensor:
        shown = F.silu(seen)
        return shown + F.silu(self.inner(shown))
