"""The distribution of a row of a mixed table whose cells depend on each other.

    p(x|z) = Π_j p(x_j | z, observed cells before j)          the cells in one fixed order

The same network gives p(x_j | z, given cells) for any given cells, from which missing cells are filled one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Protocol

import torch
from torch import Size, Tensor

from vaekit.distributions.table_cells import TableCells


class CellNetwork(Protocol):
    """Gives the distributions of cells from the sum of the vectors of other cells."""

    slots: Tensor
    """The cells that say what each number is: its score, and its choice of a point mass if it has one, shape (R, 2)."""
    masses: Tensor
    """How many point masses each number has, shape (R,)."""
    sources: Tensor
    """For each number, the numbers that give the values of `nearby`, shape (R, C)."""
    members: Tensor
    """The pairs of numbers that are often near each other, shape (P, 2)."""

    def vectors(self, cells: Tensor) -> Tensor:
        """Map cells (..., S) to vectors (..., S, H), 0 where a cell is NaN."""

    def pairs(self, cells: Tensor, only: list[int] | None = None) -> Tensor:
        """Map cells (..., S) to vectors of all pairs or of only some (..., P, H), 0 where a number is not there."""

    def vector(self, cell: int, value: Tensor) -> Tensor:
        """Map the values of one cell (...) to vectors (..., H)."""

    def nearby(self, cells: Tensor) -> Tensor:
        """Map cells (..., S) to values of other cells that each number may be near or equal to, shape (..., R, C)."""

    def cells(self, context: Tensor, decoded: Tensor, nearby: Tensor) -> TableCells:
        """Return the distribution of all cells from contexts (..., S, H), the decoder's output (..., H) and `nearby`."""

    def cell(self, cell: int, context: Tensor, decoded: Tensor, seen: Tensor) -> TableCells:
        """Return the distribution of one cell, as a row of one cell, from its context (..., H) and the cells seen."""

    def number(self, cell: int) -> tuple[int, bool]:
        """Return of which number a cell tells, or −1, and whether the cell is its score and not its choice of a point mass."""

    def pairs_with(self, number: int) -> list[int]:
        """Return the positions of the pairs with a number."""

    def settle(self, cell: int, value: Tensor) -> Tensor:
        """Round the values (...) of a cell to values that its column can have."""


class AutoregressiveCells(TableCells):
    """Cells of a row, each dependent on the observed cells before it.

    Args:
        network: gives the distributions of the cells.
        decoded: the decoder's output, shape (..., H).
        count: number S of cells.
        orders: places of the cells in an order of each row's own, shape (B, S); by default the cells' own order.
        alone: whether the cells of a row see no other cells, shape (B, 1, 1); by default they do.

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator", 2014.
    """

    def __init__(
        self,
        network: CellNetwork,
        decoded: Tensor,
        count: int,
        orders: Tensor | None = None,
        alone: Tensor | None = None,
    ) -> None:
        torch.distributions.Distribution.__init__(self, Size([*decoded.shape[:-1], count]), validate_args=False)
        self.network, self.decoded, self.count = network, decoded, count
        self.orders, self.alone, self.only_common = orders, alone, False
        self.plain = self

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_j | z, observed cells before j) of each cell in nats, or 0 if the cell is unobserved.

        Args:
            value: the S cells, then the logarithms of their S measures, shape (..., 2S).
        """
        cells, network = value[..., : self.count], self.network
        places = torch.arange(self.count, device=cells.device) if self.orders is None else self.orders
        known = self._known_at(cells, places)
        sees = places.unsqueeze(-2) < places.unsqueeze(-1)  # (..., S, S): whether a cell sees another one
        sees_pair = known[..., network.members].amax(-1).unsqueeze(-2) < places.unsqueeze(-1)  # (..., S, P)
        sees_source = known[..., network.sources] < places[..., network.slots[:, :1]]  # (..., R, C)
        if self.alone is not None:
            sees, sees_pair, sees_source = (each & ~self.alone for each in (sees, sees_pair, sees_source))
        vectors = network.vectors(cells)
        context = sees.to(vectors.dtype) @ vectors + sees_pair.to(vectors.dtype) @ network.pairs(cells)
        nearby = torch.where(sees_source, network.nearby(cells), torch.nan)
        return network.cells(context, self.decoded, nearby).log_prob(value)

    def _known_at(self, cells: Tensor, places: Tensor) -> Tensor:
        """Return the place in the order at which each number is known, shape (..., R): a point mass as soon as it is chosen."""
        own, choice = (places[..., slots] for slots in self.network.slots.unbind(-1))
        return torch.where(self._at_point_mass(cells), choice, torch.maximum(own, choice))

    def _at_point_mass(self, cells: Tensor) -> Tensor:
        """Return whether each number of rows (..., S) is one of its column's point masses, shape (..., R)."""
        own, choice = self.network.slots.unbind(-1)
        return (choice != own) & (cells[..., choice] < self.network.masses)

    def given(self, cells: Tensor) -> TableCells:
        """Return p(x_j | z, the other given cells) for every cell, as independent cells.

        Args:
            cells: the given cells, NaN elsewhere, shape (..., S).
        """
        vectors, own = self.network.vectors(cells), torch.arange(self.count, device=cells.device)
        without = (self.network.slots[self.network.members] != own[:, None, None, None]).all(-1).all(-1)  # (S, P)
        context = vectors.sum(-2, keepdim=True) - vectors + without.to(vectors.dtype) @ self.network.pairs(cells)
        return self.network.cells(context, self.decoded, self.network.nearby(cells))

    def with_first(self, given: Tensor) -> AutoregressiveCells:
        """Return the same cells in another order: first the given ones, shape (..., S), and then those that are NaN there."""
        order = torch.isnan(given).to(torch.uint8).argsort(dim=-1, stable=True)
        return AutoregressiveCells(self.network, self.decoded, self.count, order.argsort(-1))

    def draw(self, uniform: Tensor, given: Tensor | None = None) -> Tensor:
        """Draw cell after cell, each given z, the given cells and those drawn before it.

        Args:
            uniform: two numbers in (0, 1) for each cell, shape (..., S, 2).
            given: cells that stay as they are, NaN elsewhere, shape (..., S); none by default.
        """
        return self._in_order(uniform.shape[:-2], given, lambda one, cell: one.draw(uniform[..., cell : cell + 1, :]))

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw every cell at random, categories included."""
        return self.common().draw(torch.rand([*sample_shape, *self.batch_shape, 2]).to(self.decoded))

    def common(self) -> TableCells:
        """Return the distribution of new rows, whose categories are all common."""
        found = copy(self)
        found.only_common = True
        return found

    @property
    def mean(self) -> Tensor:
        """Return a typical row, shape (..., S): in order, each cell's most probable category or mean normal score."""
        return self._in_order(self.batch_shape[:-1], None, lambda one, _: one.mean)

    @torch.no_grad()
    def _in_order(self, shape: Size, given: Tensor | None, choose: Callable[[TableCells, int], Tensor]) -> Tensor:
        network = self.network
        found = self.decoded.new_full((*shape, self.count), torch.nan)
        if given is not None:
            found = given.to(found).expand_as(found).clone()
        numbers = self._at_point_mass(found) | ~torch.isnan(found[..., network.slots[:, 0]])
        context = network.vectors(found).sum(-2) + network.pairs(found).sum(-2)
        for cell in range(self.count):
            known = ~torch.isnan(found[..., cell])
            if given is not None and bool(known.all()):
                continue
            one = network.cell(cell, context, self.decoded, found)
            one = one.common() if self.only_common else one
            value = network.settle(cell, choose(one, cell)[..., 0].to(found))
            found[..., cell] = torch.where(known, found[..., cell], value)
            number, own = network.number(cell)
            if number >= 0:
                at_mass = self._at_point_mass(found)[..., number]
                if own:  # the number is not there where a point mass was chosen
                    value = value.masked_fill(at_mass, torch.nan)
                new = (at_mass | own) & ~numbers[..., number]
                completed = network.pairs(found, network.pairs_with(number)).sum(-2)  # 0 where the other is not known
                context, numbers[..., number] = context + new.unsqueeze(-1) * completed, numbers[..., number] | new
            context = context + torch.where(known.unsqueeze(-1), 0.0, network.vector(cell, value))
        return found
