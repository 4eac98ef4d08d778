"""The distribution of a row of a mixed table, cell by cell.

A cell holds a category or the normal score of a number. A column has one cell, or two if it mixes point masses with
other numbers: the first cell chooses a point mass or "none of them", the second holds the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaekit.distributions.logistic_mixture import LogisticMixture


@dataclass(frozen=True)
class CategoryGroup:
    """Neighbouring cells with similar numbers of categories, computed together.

    Args:
        cells: the k cells.
        log_probs: log-probability of each category, shape (..., k, n) for at most n categories; −∞ where a cell has fewer.
        log_drawable: log of the share of each category whose value may be written into new rows, shape (k, n); 0 by default.
    """

    cells: slice
    log_probs: Tensor
    log_drawable: Tensor | None = None

    @property
    def common(self) -> Tensor:
        """Return the log-probabilities of the categories, given that the value is one for new rows."""
        return self.log_probs if self.log_drawable is None else (self.log_probs + self.log_drawable).log_softmax(-1)


@dataclass(frozen=True)
class NumberGroup:
    """Neighbouring cells of normal scores, computed together; all lie on a grid, or all are real.

    Args:
        cells: the r cells.
        mixture: their distribution, batch shape (..., r).
        edges: normal scores of the least and the greatest grid value, shape (2, r); None for reals.
    """

    cells: slice
    mixture: LogisticMixture
    edges: Tensor | None


class TableCells(Distribution):
    """Independent cells of a row. A NaN cell is unobserved and adds nothing to the log-probability.

        log p(x) = Σ_categories [log π_x + ℓ] + Σ_reals [log f(y) + ℓ] + Σ_grid log P(y ± e^ℓ/2)

    `log_prob` takes S cells followed by the logarithms ℓ of their S measures. Draws are the S cells alone.

    Args:
        categories: groups of cells that hold categories, in order.
        numbers: groups of cells that hold normal scores, in order; they follow the categories.
        count: number S of cells.
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = False

    def __init__(self, categories: Sequence[CategoryGroup], numbers: Sequence[NumberGroup], count: int) -> None:
        self.categories, self.numbers, self.count = categories, numbers, count
        self.plain = self
        batch = (categories[0].log_probs if categories else numbers[0].mixture.location).shape[:-2]
        super().__init__(Size([*batch, count]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-probability of each cell in nats, or 0 if the cell is unobserved.

        Args:
            value: the S cells, then the logarithms of their S measures, shape (..., 2S).

        Returns:
            One log-probability for each cell, shape (..., S).
        """
        cells, measure = value[..., : self.count], value[..., self.count :]
        observed = ~torch.isnan(cells)
        cells, measure = torch.where(observed, cells, 0.0), torch.where(observed, measure, 0.0)
        parts = []
        for group in self.categories:
            category = cells[..., group.cells].long().unsqueeze(-1)
            # a single vector of probabilities may serve many rows
            both = torch.broadcast_shapes(category.shape[:-1], group.log_probs.shape[:-1])
            log_probs, category = group.log_probs.expand(*both, -1), category.expand(*both, 1)
            parts.append(log_probs.gather(-1, category).squeeze(-1) + measure[..., group.cells])
        for number in self.numbers:
            y, own = cells[..., number.cells], measure[..., number.cells]
            if number.edges is None:
                parts.append(number.mixture.log_density(y) + own)
            else:
                parts.append(number.mixture.log_interval(y, own.exp(), *number.edges))
        return torch.where(observed, torch.cat(parts, -1), 0.0)

    def draw(self, uniform: Tensor, given: Tensor | None = None) -> Tensor:
        """Map uniform numbers to a draw of every cell by its quantile function.

        Args:
            uniform: two numbers in (0, 1) for each cell, shape (..., S, 2); the leading dimensions include the batch.
            given: cells that stay as they are, NaN elsewhere, shape (..., S); none by default.

        Returns:
            Cells, shape (..., S).
        """
        drawn = uniform.new_empty(uniform.shape[:-1])
        for group in self.categories:
            cumulative = group.log_probs.double().exp().cumsum(-1)
            u = uniform[..., group.cells, :1].double().clamp(max=1 - 1e-12)
            category = (cumulative <= u * cumulative[..., -1:]).sum(-1)  # never a category of probability 0
            drawn[..., group.cells] = category.to(drawn.dtype)
        for number in self.numbers:
            drawn[..., number.cells] = number.mixture.draw(uniform[..., number.cells, :])
        return drawn if given is None else torch.where(torch.isnan(given), drawn, given)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw every cell of new rows at random, as `common` gives them."""
        with torch.no_grad():
            like = self.categories[0].log_probs if self.categories else self.numbers[0].mixture.location
            return self.common().draw(torch.rand([*sample_shape, *self.batch_shape, 2], device=like.device))

    def common(self) -> TableCells:
        """Return the distribution of new rows, without categories that too few rows have to be written into them."""
        categories = [replace(group, log_probs=group.common) for group in self.categories]
        return TableCells(categories, self.numbers, self.count)

    def given(self, cells: Tensor) -> TableCells:  # noqa: ARG002 - for cells that depend on each other
        """Return p(x_j | z, the given cells) for every cell, as independent cells; here the others do not matter."""
        return self

    def of_missing(self) -> TableCells:
        """Return p(x_j|z, cell j missing) for every cell. This is p(x_j|z), since missingness does not depend on x_j here."""
        return self

    @property
    def mean(self) -> Tensor:
        """Return a typical row, shape (..., S): each cell's most probable common category or mean normal score."""
        like = self.categories[0].log_probs if self.categories else self.numbers[0].mixture.location
        typical = like.new_empty(self.batch_shape)
        for group in self.categories:
            typical[..., group.cells] = group.common.argmax(-1).to(typical.dtype)
        for number in self.numbers:
            typical[..., number.cells] = number.mixture.mean
        return typical
