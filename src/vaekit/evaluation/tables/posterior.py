"""Draw z given the observed cells of a row, with importance weights that correct for the encoder's error.

    z_k ~ q(z|x_o),   w_k ∝ p(x_o|z_k) p(z_k)/q(z_k|x_o),   Σ w_k = 1
    p(x_m|x_o) ≈ Σ_k w_k p(x_m|z_k)          self-normalised importance sampling, exact as K grows

The noise for a row is a function of the row and a seed, so a repeated measurement gives the same result.

References:
    Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, Rows, RowStream, Schema
from vaekit.data.tables.cells import Cells
from vaekit.distributions import TableCells
from vaekit.evaluation.bounds import first_row, tile_rows, widest
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Weighted:
    """Hold K draws of z for each of B rows, with importance weights that sum to one for each row.

    Args:
        z: shape (K, B, latent_dim).
        log_weights: log w_k, shape (K, B).
        likelihood: p(x_j|z_k, x_o) of each cell, batch shape (K, B, S).
        observed: the observed cells x_o, NaN elsewhere, shape (B, S).
    """

    z: Tensor
    log_weights: Tensor
    likelihood: TableCells
    observed: Tensor

    def log_prob(self, seen: Tensor, columns: npt.NDArray[np.int64]) -> Tensor:
        """Return the log-probability of each cell given the observed cells, estimated by log Σ_k w_k p(x_j|z_k).

        Args:
            seen: the cells as the model sees them, shape (B, 2S).
            columns: the column of each of the S parts of a row, shape (S,).

        Returns:
            Nats, shape (B, C), 0 where a cell is missing.
        """
        own = sum_by_column(self.likelihood.log_prob(seen).double(), columns)
        return torch.logsumexp(self.log_weights.unsqueeze(-1) + own, 0)


@dataclass(frozen=True)
class TablePosterior:
    """Draw z given the observed cells of each row of a mixed table.

    Args:
        model: the model.
        schema: the columns of the table.
        cells: the transform from codes of cells to the model's inputs.
        samples: K, the number of draws of z for each row.
    """

    model: VariationalAutoEncoder
    schema: Schema
    cells: Cells
    samples: int

    def tiles(self, rows: Rows) -> Iterator[tuple[Self, npt.NDArray[np.int64], Tensor, Array, RowNoise]]:
        """Yield the posterior, positions, inputs, codes and noise of each tile of rows (`Rows.tiles`), as a tuple."""
        if not len(rows):
            return
        width = widest(self.model, *first_row(rows), draws=self.samples)
        for positions, x, noise, context in rows.tiles(tile_rows(width, self.samples)):
            codes = rows.part.values[rows.part.index[positions]]
            yield replace(self, model=self.model.given(context)), positions, x, codes, noise

    def draw_weighted(self, x: Tensor, noise: RowNoise, device: torch.device, hidden: bool = False) -> Weighted:
        """Draw z for each row of a block, with importance weights, from the noise of these rows; the rest as in `weigh`."""
        latent_dim = self.model.prior().event_shape[0]
        epsilon = noise.normal((self.samples, latent_dim), RowStream.POSTERIOR).movedim(1, 0)
        return self.weigh(x.to(device), epsilon.to(device), hidden)

    def weigh(self, x: Tensor, epsilon: Tensor, hidden: bool = False) -> Weighted:
        """Draw z for each row of a block, with importance weights.

        Args:
            x: rows as the model sees them, NaN where a cell is missing, shape (B, 2S).
            epsilon: standard normal noise, shape (K, B, latent_dim).
            hidden: whether cells were hidden on purpose; the pattern of missing cells is then ignored.

        Returns:
            K weighted draws for each row.
        """
        joint = self.model.draw(x, noise=epsilon)
        likelihood = joint.likelihood.base_dist
        if not isinstance(likelihood, TableCells):
            raise TypeError(f"the likelihood must be TableCells, not {type(likelihood).__name__}")
        log_weights = joint.log_weights()
        if hidden and likelihood.plain is not likelihood:
            likelihood = likelihood.plain
            log_weights = log_weights - joint.log_likelihood + likelihood.log_prob(x).sum(-1)
        observed = x[:, : self.cells.layout.slots]
        return Weighted(joint.z, log_weights.double().log_softmax(0), likelihood.given(observed), observed)

    def see(self, codes: Array) -> Tensor:
        """Convert coded rows of shape (n, C) to the model's inputs of shape (n, 2S)."""
        return self.cells.forward(torch.from_numpy(codes))


def sum_by_column(parts: Tensor, columns: npt.NDArray[np.int64]) -> Tensor:
    """Sum the values of the parts that belong to the same column.

    Args:
        parts: values of the parts, shape (…, S).
        columns: the column of each part, shape (S,).

    Returns:
        Shape (…, C).

    Examples:
        >>> sum_by_column(torch.tensor([1.0, 2.0, 4.0]), np.array([0, 1, 0])).tolist()
        [5.0, 2.0]
    """
    total = parts.new_zeros(*parts.shape[:-1], int(columns.max()) + 1)
    return total.index_add(-1, torch.from_numpy(columns).to(parts.device), parts)
