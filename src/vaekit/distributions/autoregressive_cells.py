"""The distribution of a row of a mixed table whose cells depend on each other.

    p(x|z) = Π_j p(x_j | z, observed cells before j)          the cells in one fixed order (`Layout.order`)

The distribution of a number is conditional on its being at no point mass, which a cell before it decides.
The same network gives p(x_j | z, given cells) for any given cells, from which missing cells are filled one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import NamedTuple, Protocol

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
    columns: Tensor
    """The column of each cell, as the index of one of its cells, shape (S,)."""
    order: tuple[int, ...]
    """The cells in their order."""
    places: Tensor
    """The place of each cell in the order, shape (S,)."""

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

    def number(self, cell: int) -> tuple[int, int]:
        """Return of which number a cell tells, or −1, and which cell chooses its point mass, or −1."""

    def pairs_with(self, number: int) -> list[int]:
        """Return the positions of the pairs with a number."""

    def settle(self, cell: int, value: Tensor) -> Tensor:
        """Round the values (...) of a cell to values that its column can have."""


class Subsets(NamedTuple):
    """Which cells the cells of each row see in training.

    Args:
        ordered: whether a cell sees the cells before it, shape (B, 1, 1), and not those of the subset.
        cells: the subset, shape (B, S), which has all cells of a column or none; a cell sees those of other columns.
    """

    ordered: Tensor
    cells: Tensor


class Seen(NamedTuple):
    """What each cell sees.

    Args:
        cells: whether it sees other cells, shape (..., S, S).
        pairs: whether it sees pairs of numbers, shape (..., S, P).
        sources: whether a number sees the numbers that it may be near, shape (..., R, C).
    """

    cells: Tensor
    pairs: Tensor
    sources: Tensor


class AutoregressiveCells(TableCells):
    """Cells of a row, each dependent on the observed cells before it.

    Args:
        network: gives the distributions of the cells.
        decoded: the decoder's output, shape (..., H).
        count: number S of cells.
        places: places of the cells in an order of each row's own, shape (B, S); by default those of the network.
        subsets: in training, which rows see a random subset of the cells; by default, all rows see the cells before.

    References:
        Uria, Murray and Larochelle, "A Deep and Tractable Density Estimator", 2014.
    """

    def __init__(
        self,
        network: CellNetwork,
        decoded: Tensor,
        count: int,
        places: Tensor | None = None,
        subsets: Subsets | None = None,
    ) -> None:
        torch.distributions.Distribution.__init__(self, Size([*decoded.shape[:-1], count]), validate_args=False)
        self.network, self.decoded, self.count = network, decoded, count
        self.places = network.places if places is None else places
        self.subsets, self.only_common = subsets, False
        self.plain = self

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log p(x_j | z, observed cells that cell j sees) of each cell in nats, or 0 if the cell is unobserved.

        Args:
            value: the S cells, then the logarithms of their S measures, shape (..., 2S).
        """
        cells = value[..., : self.count]
        seen = self._before(cells)
        if self.subsets is not None:
            ordered, kept = self.subsets
            seen = Seen(*(torch.where(ordered, a, b) for a, b in zip(seen, self._within(kept), strict=True)))
        return self._see(cells, seen).log_prob(value)

    def given(self, cells: Tensor) -> TableCells:
        """Return p(x_j | z, the given cells of other columns) for every cell, as independent cells.

        Args:
            cells: the given cells, NaN elsewhere, shape (..., S).
        """
        return self._see(cells, self._within(torch.ones(self.count, dtype=torch.bool, device=cells.device)))

    def _see(self, cells: Tensor, seen: Seen) -> TableCells:
        """Return the distribution of every cell from what it sees."""
        vectors, nearby = self.network.vectors(cells), torch.where(seen.sources, self.network.nearby(cells), torch.nan)
        context = seen.cells.to(vectors.dtype) @ vectors + seen.pairs.to(vectors.dtype) @ self.network.pairs(cells)
        return self.network.cells(context, self.decoded, nearby)

    def _before(self, cells: Tensor) -> Seen:
        """Return what cells see if they see the cells before them."""
        places, known = self.places, self._known_at(cells)
        own = places.unsqueeze(-1)
        pairs = known[..., self.network.members].amax(-1)
        sources = known[..., self.network.sources] < places[..., self.network.slots[:, :1]]
        return Seen((places.unsqueeze(-2) < own) & self._different(), pairs.unsqueeze(-2) < own, sources)

    def _within(self, kept: Tensor) -> Seen:
        """Return what cells see if they see a subset of the cells (..., S), as in `Subsets`."""
        different, numbers = self._different(), self.network.slots[:, 0]
        members, sources = numbers[self.network.members], numbers[self.network.sources]
        pairs = kept[..., members].all(-1).unsqueeze(-2) & different[:, members].all(-1)
        return Seen(kept.unsqueeze(-2) & different, pairs, kept[..., sources])

    def _different(self) -> Tensor:
        """Return whether two cells are of different columns, shape (S, S)."""
        return self.network.columns.unsqueeze(-1) != self.network.columns

    def _known_at(self, cells: Tensor) -> Tensor:
        """Return the place in the order at which each number is known, shape (..., R): a point mass as soon as it is chosen."""
        own, choice = (self.places[..., slots] for slots in self.network.slots.unbind(-1))
        return torch.where(self._at_point_mass(cells), choice, torch.maximum(own, choice))

    def _at_point_mass(self, cells: Tensor) -> Tensor:
        """Return whether each number of rows (..., S) is one of its column's point masses, shape (..., R)."""
        own, choice = self.network.slots.unbind(-1)
        return (choice != own) & (cells[..., choice] < self.network.masses)

    def has_gaps(self, given: Tensor) -> bool:
        """Return whether a row of the given cells (..., S) has one that comes after a missing cell."""
        own, choice = self.network.slots.unbind(-1)
        known = ~torch.isnan(given)
        known[..., own] |= known[..., choice]  # a number at a point mass has no cell of its own
        known = known[..., self.network.order]
        return bool((known[..., 1:] & ~known[..., :-1]).any())

    def with_first(self, given: Tensor) -> AutoregressiveCells:
        """Return the same cells in another order: first the given ones, shape (..., S), and then those that are NaN there."""
        late = torch.isnan(given) * self.count + self.network.places
        return AutoregressiveCells(self.network, self.decoded, self.count, late.argsort(-1).argsort(-1))

    def draw(self, uniform: Tensor, given: Tensor | None = None) -> Tensor:
        """Draw cell after cell, each given z, the given cells and those drawn before it.

        Args:
            uniform: two numbers in (0, 1) for each cell, shape (..., S, 2).
            given: cells that stay as they are, NaN elsewhere, shape (..., S); none by default. A number is given with its
                choice of a point mass.
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
        for cell in network.order:
            known = ~torch.isnan(found[..., cell])
            if given is not None and bool(known.all()):
                continue
            number, choice = network.number(cell)
            has_choice = choice not in (-1, cell)  # the cell is a number; it does not see that it is at no point mass
            seen = context - network.vector(choice, found[..., choice]) if has_choice else context
            one = network.cell(cell, seen, self.decoded, found)
            one = one.common() if self.only_common else one
            value = network.settle(cell, choose(one, cell)[..., 0].to(found))
            found[..., cell] = torch.where(known, found[..., cell], value)
            if number >= 0:
                at_mass = self._at_point_mass(found)[..., number]
                if has_choice:  # the number is not there where a point mass was chosen
                    value = value.masked_fill(at_mass, torch.nan)
                new = (at_mass | (cell != choice)) & ~numbers[..., number]
                numbers[..., number] |= new
                if pairs := network.pairs_with(number):
                    completed = network.pairs(found, pairs).sum(-2)  # 0 where the other number is not known
                    context = context + new.unsqueeze(-1) * completed
            context = context + torch.where(known.unsqueeze(-1), 0.0, network.vector(cell, value))
        return found
