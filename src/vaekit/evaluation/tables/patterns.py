"""Compare two figures of a row with missing cells, when its cells depend on each other.

    factorised   log E_q[p(x_o|z) p(z)/q(z|x_o)],   p(x_o|z) = Π_o p(x_j | z, observed cells before j)
    marginal     log E[p(x_o, x_m|z) p(z)/(q(z|x_o) r(x_m|z, x_o))],   x_m ~ r, the distribution that fills missing cells

The first is what the model reports unless it is asked for the second: it sums to 1 over the rows of each pattern of missing
cells. The second is the marginal of the distribution of complete rows. A perfectly trained network gives the same number for
both, and so does any network if no cell is observed after a missing one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, Rows, RowStream
from vaekit.distributions import AutoregressiveCells
from vaekit.evaluation.bounds import evaluating
from vaekit.evaluation.tables.model import TableModel

Array = npt.NDArray[np.float64]


def measure_marginals(model: TableModel, rows: Rows) -> tuple[Array, Array]:
    """Estimate the factorised and the marginal log-probability of the observed cells of each row.

    Both are averages over K draws of z; the second is also one over draws of the missing cells. Both are lower bounds in
    expectation.

    Args:
        model: a trained model. If the cells of a row are independent given z, both figures are the same.
        rows: coded rows, NaN where a cell is missing.

    Returns:
        Two arrays of shape (n,), in nats.
    """
    found = []
    with evaluating(model.model) as device:
        for at, _, x, _, noise in model.tiles(rows):
            found.append(torch.stack(_measure_block(at, x.to(device), noise)).cpu().numpy())
    factorised, marginal = np.concatenate(found, 1)[:, : len(rows)]
    return factorised, marginal


def _measure_block(at: TableModel, x: Tensor, noise: RowNoise) -> tuple[Tensor, Tensor]:
    count, slots = at.samples, at.cells.layout.slots
    epsilon = noise.normal((count, at.model.prior().event_shape[0]), RowStream.POSTERIOR).movedim(1, 0)
    joint = at.model.draw(x, noise=epsilon.to(x.device))
    cells, observed = joint.likelihood.base_dist, x[:, :slots]
    log_weights = joint.log_weights().double()
    if not isinstance(cells, AutoregressiveCells) or not cells.has_gaps(observed):
        return (log_weights.logsumexp(0) - math.log(count),) * 2
    uniform = noise.uniform((count, slots, 2), RowStream.FILL).movedim(1, 0).float().to(x.device)
    filled, missing = cells.draw(uniform, observed), torch.isnan(observed)  # (K, B, S), (B, S)
    codes = at.cells.inverse(filled.cpu()).numpy()
    rebuilt = at.see(codes.reshape(-1, codes.shape[-1])).unflatten(0, codes.shape[:2]).to(x)
    complete = torch.where(missing.repeat(1, 2), rebuilt, x)
    listed = slice(0, len(at.cells.layout.sizes))
    changed = complete[..., listed] != filled[..., listed]  # the category of values that no training row has
    impossible = (changed & missing[:, listed]).any(-1)
    proposed = cells.with_first(observed).log_prob(complete).masked_fill(~missing, 0.0)
    summed = log_weights - joint.log_likelihood + cells.log_prob(complete).sum(-1) - proposed.sum(-1)
    summed = summed.masked_fill(impossible, -torch.inf)
    return tuple(w.logsumexp(0) - math.log(count) for w in (log_weights, summed))  # type: ignore[return-value]
