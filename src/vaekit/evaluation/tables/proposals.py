"""Draw complete rows of a mixed table given the values of some cells, by importance resampling.

    z_p ~ ½ q(z|x_o) + ½ p(z),   w_p ∝ p(x_o, z_p) / [½ q(z_p|x_o) + ½ p(z_p)],   Σ w_p = 1

Row i chooses one z_p by its weight, and draws its other cells from p(x|z_p). `SHARED` neighbouring rows share `PROPOSALS`
proposals, which are a function of the seed and the number of this chunk of rows. The choice and the draws are a function of
the seed and i. So row i is a function of the seed and i, whatever the number of rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, RowStream, seeded, tile_positions
from vaekit.data.tables.cells import Cells
from vaekit.data.tables.rules.rule_set import round_of
from vaekit.evaluation.bounds import BUDGET, evaluating, tile_rows, widest
from vaekit.models import VariationalAutoEncoder

Array = npt.NDArray[np.float64]

PROPOSALS, SHARED = 20_000, 5_000
"""Proposals of z, and the rows that share them: four for each row, and many for the first ones."""


@dataclass(frozen=True)
class Proposals:
    """Hold proposals of z for rows with given cells.

    Args:
        model: the model, given the context of the rows.
        cells: the transform from codes of cells to the model's inputs.
        row: codes of the given cells, NaN elsewhere, shape (C,).
        z: the proposals, shape (P, latent_dim).
        reached: cumulative weights, which end at 1, shape (P,).
        size: effective sample size (Σ w)²/Σ w².
        tile: how many rows go through the model at a time.
    """

    model: VariationalAutoEncoder
    cells: Cells
    row: Array
    z: Tensor
    reached: Tensor
    size: float
    tile: int

    def draw(self, rows: npt.NDArray[np.int64], seed: int, attempt: int = 0, start: Array | None = None) -> Array:
        """Draw complete rows.

        Args:
            rows: numbers of the rows, shape (n,).
            seed: the same seed gives the same rows.
            attempt: another attempt gives other cells, and one of another round (`round_of`) also another z.
            start: codes of the cells that stay, NaN elsewhere, shape (n, C); by default the given cells.

        Returns:
            Codes, shape (n, C).
        """
        noise, choice = (RowNoise.of_attempt(rows, which, seed) for which in (attempt, round_of(attempt)))
        slots, found = self.cells.layout.slots, []
        uniform = noise.uniform((slots, 2), RowStream.GIVEN_CELLS).float()
        position = choice.uniform((), RowStream.GIVEN_CHOICE).to(self.reached.device)
        chosen = torch.searchsorted(self.reached, position, right=True).clamp(max=len(self.z) - 1)
        start = np.tile(self.row, (len(rows), 1)) if start is None else start
        given = self.cells.forward(torch.from_numpy(start))[:, :slots]
        with evaluating(self.model) as device:
            for own in tile_positions(len(rows), self.tile):
                common = self.model.decoder(self.z[chosen[own]]).base_dist.plain.common()
                drawn = common.draw(uniform[own].to(device), given[own].to(device))
                found.append(self.cells.inverse(drawn.cpu()))
        made = torch.cat(found)[: len(rows)]
        codes = self.cells.draw_rare(made, noise.uniform((made.shape[1],), RowStream.GIVEN_RARE)).numpy()
        return np.where(np.isnan(start), codes, start)


def propose(
    model: VariationalAutoEncoder, cells: Cells, row: Array, seed: int, context: Tensor | None = None
) -> Proposals:
    """Draw proposals of z for rows with given cells, and weigh them.

    Args:
        model: the model.
        cells: the transform from codes of cells to the model's inputs.
        row: codes of the given cells, NaN elsewhere, shape (C,).
        seed: the same seed gives the same proposals.
        context: c, the same for all rows, shape (1, ...); None if the model is not conditional.
    """
    with evaluating(model) as device, seeded(seed):
        x, at = cells.forward(torch.from_numpy(row[None])).to(device), model.given(context)
        posterior, prior, width = at.encoder(x), at.prior(), widest(model, x, context)
        own = posterior.sample((PROPOSALS // 2,)).squeeze(1)
        z = torch.cat([own, prior.sample((PROPOSALS - len(own),))])
        parts = z.split(max(1, BUDGET // width))
        log_prior = torch.cat([prior.log_prob(part) for part in parts])
        mixture = torch.logaddexp(posterior.log_prob(z.unsqueeze(1)).squeeze(1), log_prior) - math.log(2)
        likelihood = torch.cat([at.decoder(part).base_dist.plain.log_prob(x).sum(-1) for part in parts])
        weights = (likelihood.double() + log_prior - mixture).softmax(0)
    reached = weights.cumsum(0)
    size = float(1 / weights.square().sum())
    return Proposals(at, cells, row, z, reached / reached[-1], size, tile_rows(width))
