"""The blur of rows: noise on numbers and replaced categories, with a scale that rows left out choose.

    y ← y + σ·ε for a score,  P(replaced) = σ²/(1 + σ²) for a category, the share of the noise in the variance of a score

The density of blurred rows gives meaning to distances, and point masses do not stand out in it. The density of the n
blurred training rows themselves is the kernel estimate p_σ(x) = (1/n) Σ_i k_σ(x, x_i).

References:
    Parzen, "On Estimation of a Probability Density Function and Mode", 1962;
    Habbema, Hermans and van den Broek, "A Stepwise Discriminant Analysis Program Using Density Estimation", 1974, for
    the choice by rows left out;
    Aitchison and Aitken, "Multivariate Binary Discrimination by the Kernel Method", 1976, for categories.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaekit.data.tables.cells import Layout

SCALES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""The scales among which rows left out choose."""
MOST_ROWS = 1000
"""Most rows that choose a scale."""
BLOCK = 1 << 22
"""Most pairs of rows at a time."""


def replaced_share(scale: float) -> float:
    """Return σ²/(1 + σ²), the probability that a category is replaced.

    Examples:
        >>> replaced_share(0.5)
        0.2
    """
    return scale**2 / (1 + scale**2)


def blur(x: Tensor, layout: Layout, scale: float, normal: Tensor, uniform: Tensor) -> Tensor:
    """Blur the cells of rows; missing cells stay missing.

    Args:
        x: slots and measures, shape (B, 2S).
        layout: the K categories and R scores of a row.
        scale: σ, the standard deviation of the noise.
        normal: standard normal noise, shape (B, R).
        uniform: noise in (0, 1), shape (B, 2K): whether a category is replaced, and by which.
    """
    sizes = torch.tensor(layout.sizes, dtype=x.dtype, device=x.device)
    count = len(sizes)
    categories, scores, measures = x.split([count, layout.slots - count, layout.slots], 1)
    drawn = (uniform[:, count:] * sizes).floor().minimum(sizes - 1)
    replaced = (uniform[:, :count] < replaced_share(scale)) & ~categories.isnan()
    return torch.cat([torch.where(replaced, drawn, categories), scores + scale * normal, measures], 1)


def choose_scale(x: Tensor, layout: Layout) -> float:
    """Return the scale under which each row is likeliest among the blurred others.

        argmax_σ Σ_i log (1/(n − 1)) Σ_{j≠i} k_σ(x_i, x_j), over the columns that vary

    Args:
        x: slots of rows, shape (n, S); the first rows are used.
        layout: the K categories and R scores of a row.

    Returns:
        One of `SCALES`.
    """
    x = x[:MOST_ROWS].double()
    x = torch.where((x == x[:1]).all(0), math.nan, x)  # a constant column would choose the least scale
    return max(SCALES, key=lambda scale: float(BlurredRows(x, layout, scale).log_density(x).sum()))


class BlurredRows:
    """The density of blurred rows, a kernel estimate over the cells that a row has.

        log k(x, x_i) = Σ_numbers log N(y; y_i, σ²) + Σ_categories log ((1 − ρ) 1[c = c_i] + ρ/C),  ρ = σ²/(1 + σ²)

    A cell that only x_i lacks is drawn from N(0, 1 + σ²), or evenly from all C categories.

    Args:
        rows: slots of the rows x_i, shape (n, S), NaN where a cell is missing.
        layout: the K categories and R scores of a row.
        scale: σ > 0.

    Examples:
        >>> layout = Layout(sizes=(), on_grid=(False,), edges=((-math.inf, math.inf),))
        >>> blurred = BlurredRows(torch.tensor([[0.0], [0.0], [4.0]]), layout, scale=1.0)
        >>> round(float(blurred.log_density(torch.tensor([[2.0]]))), 4)  # log N(2; 0, 1)
        -2.9189
    """

    def __init__(self, rows: Tensor, layout: Layout, scale: float) -> None:
        self.rows, self.layout, self.scale = rows.double(), layout, scale
        self._features = self._of_rows()

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p_σ(x) of each row; a row that is one of the x_i is compared with the others only.

        Args:
            x: slots, shape (m, S).

        Returns:
            Shape (m,), double precision.
        """
        blocks = x.double().split(max(1, BLOCK // len(self.rows)))
        return torch.cat([self._block(block) for block in blocks])

    def _block(self, x: Tensor) -> Tensor:
        pairs = self._of_new(x) @ self._features.T
        nearest = pairs.argmax(1)
        own = ((x == self.rows[nearest]) | (x.isnan() & self.rows[nearest].isnan())).all(1) & (len(self.rows) > 1)
        pairs[own, nearest[own]] = -math.inf
        return pairs.logsumexp(1) - torch.log(len(self.rows) - own.double())

    def _of_new(self, x: Tensor) -> Tensor:
        """Return the features u(x), with u(x)·v(x_i) = log k(x, x_i)."""
        y, seen, categories = self._split(x)
        lacking = -0.5 * (y**2 / (1 + self.scale**2) + math.log(2 * math.pi * (1 + self.scale**2)))
        return torch.cat([y**2 * seen, y * seen, seen, lacking * seen, *categories], 1)

    def _of_rows(self) -> Tensor:
        """Return the features v(x_i) of the rows."""
        y, seen, categories = self._split(self.rows)
        precision, share = 1 / self.scale**2, replaced_share(self.scale)
        constant = -0.5 * (y**2 * precision + math.log(2 * math.pi * self.scale**2))
        places = []
        for known in categories:
            even = math.log(share / known.shape[1])
            same = math.log(1 - share + share / known.shape[1]) - even
            here = known.sum(1, keepdim=True)
            places.append(known * same + here * even - (1 - here) * math.log(known.shape[1]))
        return torch.cat([-0.5 * precision * seen, y * precision * seen, constant * seen, 1 - seen, *places], 1)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return scores with 0 where they are missing, 1 where they are not, and the indicators of each category."""
        count = len(self.layout.sizes)
        scores, categories = x[:, count : self.layout.slots], []
        for slot, size in enumerate(self.layout.sizes):
            cell = x[:, slot]
            categories.append(one_hot(cell.nan_to_num(size).long(), size + 1)[:, :size].double())
        return scores.nan_to_num(0.0), (~scores.isnan()).double(), categories
