"""What a model of a mixed table says of cells that are not there, given those that are.

    z_k ~ q(z|x_o),   w_k ∝ p(x_o|z_k) p(z_k)/q(z_k|x_o),   Σ w_k = 1
    p(x_m|x_o) ≈ Σ_k w_k p(x_m|z_k)          self-normalised importance sampling, exact as K grows

The noise is a function of the row, as everywhere in evaluation.

References:
    Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, Rows, RowStream, Schema, SeedStream, seeded
from vaekit.data.tables.cells import Cells, Places
from vaekit.data.tables.coding import draw_rare
from vaekit.distributions import Slots
from vaekit.evaluation.bounds import BUDGET, block_rows, evaluating, first_row, widest
from vaekit.models import VariationalAutoEncoder

VALUES_PER_DRAW = 4
"""Values drawn from p(x|z) for each z, where an average over them is taken."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Weighted:
    """Draws of z for a block of rows, with weights that sum to one.

    Args:
        z: shape (K, B, latent_dim).
        log_weights: log w_k, shape (K, B).
        slots: p(x|z_k), batch shape (K, B, S).
    """

    z: Tensor
    log_weights: Tensor
    slots: Slots


@dataclass(frozen=True)
class TableModel:
    """A model of a mixed table with what it takes to speak of cells.

    Args:
        model: the model.
        schema: its columns.
        cells: how cells become slots.
        samples: K, draws of z for each row.
    """

    model: VariationalAutoEncoder
    schema: Schema
    cells: Cells
    samples: int

    def _blocks(self, rows: Rows) -> Iterator[tuple[TableModel, Tensor, Array, RowNoise]]:
        """Rows as the model sees them and as codes, with their noise, a few at a time; before them the model given their context."""
        width = widest(self.model, *first_row(rows))
        size = max(1, min(block_rows(width), BUDGET // (8 * self.samples * width)))
        start = 0
        for x, noise, context in rows.blocks(size):
            codes = rows.part.take(start, start + len(x))
            start += len(x)
            yield replace(self, model=self.model.given(context)), x, codes, noise

    def _posterior(self, x: Tensor, noise: RowNoise, device: torch.device, hidden: bool = False) -> Weighted:
        """Weighted draws of z; cells that were hidden on purpose say nothing of why cells are missing."""
        latent_dim = self.model.prior().event_shape[0]
        epsilon = noise.normal((self.samples, latent_dim), RowStream.POSTERIOR).movedim(1, 0)
        joint = self.model.joint(x.to(device), noise=epsilon.to(device))
        slots = joint.likelihood.base_dist
        if not isinstance(slots, Slots):
            raise TypeError("a table model has a distribution over slots")
        log_weights = joint.log_weights()
        if hidden and slots.plain is not slots:
            slots = slots.plain
            log_weights = log_weights - joint.log_likelihood + slots.log_prob(x.to(device)).sum(-1)
        return Weighted(joint.z, log_weights.double().log_softmax(0), slots)

    def impute(self, rows: Rows, hidden: bool = False) -> tuple[Array, Array]:
        """Fill missing cells with their conditional mean, or the most probable value of a list (the median if ordered).

        Args:
            rows: coded rows, NaN where a cell is missing.
            hidden: whether cells were hidden on purpose, and so not for what they hold.

        Returns:
            Codes (n, C), and of each filled cell its standard deviation, or the probability of its value; NaN elsewhere.
        """
        filled, certain = [], []
        with evaluating(self.model) as device:
            for at, x, codes, noise in self._blocks(rows):
                value, spread = at._expected(at._posterior(x, noise, device, hidden), noise)
                missing = np.isnan(codes)
                filled.append(np.where(missing, value, codes))
                certain.append(np.where(missing, spread, np.nan))
        return np.concatenate(filled), np.concatenate(certain)

    def _expected(self, found: Weighted, noise: RowNoise) -> tuple[Array, Array]:
        """Mean and standard deviation of each number, likeliest value and its probability of each list; (B, C) both."""
        count, block = found.log_weights.shape
        uniform = noise.uniform((VALUES_PER_DRAW * count, self.cells.layout.slots, 2), RowStream.FILL)
        uniform = uniform.movedim(1, 0).unflatten(0, (VALUES_PER_DRAW, count)).float()
        drawn = self.cells.inverse(found.slots.of_missing().draw(uniform).cpu()).numpy()  # (values, K, B, C)
        weights = found.log_weights.exp().cpu().numpy()[None, :, :, None] / VALUES_PER_DRAW
        mean = (weights * drawn).sum((0, 1))
        spread = np.sqrt(np.maximum((weights * np.square(drawn - mean)).sum((0, 1)), 0))
        modelled = self.schema.modelled
        for column, probabilities in self._places(found).items():
            reached = probabilities.cumsum(-1)
            ordered = modelled[column].kind == "ordinal"
            chosen = (reached < 0.5 * reached[:, -1:]).sum(-1) if ordered else probabilities.argmax(-1)
            mean[:, column] = chosen
            spread[:, column] = probabilities[np.arange(block), chosen]
        return mean, spread

    def _places(self, found: Weighted) -> dict[int, Array]:
        """P(value|x_o) of the value that each place gives, for each column that is a list, shape (B, known places)."""
        weights = found.log_weights.exp()[..., None, None]
        result = {}
        for group in found.slots.of_missing().places:
            probabilities = (weights * group.log_probs.double().exp()).sum(0).cpu().numpy()
            for k, column in enumerate(self.cells.slot_columns[group.slots].tolist()):
                if isinstance(
                    listed := self.cells.columns[column], Places
                ):  # the shared place is its most frequent value
                    result[column] = probabilities[:, k, : listed.known] * np.exp(listed.log_share[: listed.known])
        return result

    def draw(self, rows: Rows, draws: int, seed: int = 0) -> Array:
        """Fill missing cells by draws from p(x_m|x_o): as many complete tables as are asked for.

        The draws of a row are a function of the row; of equal rows each has its own.

        Args:
            rows: coded rows, NaN where a cell is missing.
            draws: M ≥ 1.
            seed: another seed gives other draws.

        Returns:
            Codes, shape (M, n, C).
        """
        filled, copies, start = [], _copies(rows.part.take(0, len(rows))), 0
        with evaluating(self.model) as device:
            for at, x, codes, noise in self._blocks(rows):
                numbered = np.column_stack([codes, copies[start : start + len(codes)]])
                start += len(codes)
                found, own = at._posterior(x, noise, device), RowNoise(numbered, seed)
                choice = own.uniform((draws,), RowStream.CHOICE).T.to(device)  # (M, B)
                value = at._values(found, choice, own, draws)
                filled.append(np.where(np.isnan(codes), value, codes))
        return np.concatenate(filled, 1)

    def _values(self, found: Weighted, choice: Tensor, noise: RowNoise, draws: int, hidden: bool = False) -> Array:
        """Whole rows that follow, for each draw, one z_k chosen by its weight; shape (M, B, C)."""
        reached = found.log_weights.exp().cumsum(0).T.contiguous()
        chosen = torch.searchsorted(reached, choice.T.contiguous()).T.clamp(max=self.samples - 1)  # (M, B)
        z = found.z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, found.z.shape[-1]))
        uniform = noise.uniform((draws, self.cells.layout.slots, 2), RowStream.FILL).movedim(1, 0).float()
        slots = self.model.decoder(z).base_dist
        slots = (slots.plain if hidden else slots.of_missing()).draw(uniform.to(z.device))
        codes = self.cells.inverse(slots.cpu()).numpy()
        rare = noise.uniform(codes.shape[::2], RowStream.RARE).movedim(1, 0).numpy()
        return draw_rare(codes, self.schema.modelled, rare)

    def condition(self, row: Array, n: int, seed: int, context: Tensor | None = None) -> tuple[Array, float]:
        """Draw whole rows given some of their cells, by importance resampling from the joint.

        Half of the proposals come from q(z|x_o), half from the prior; each is weighted by p(x_o, z) over the mixture of both.

        Args:
            row: codes of the given cells, NaN elsewhere, shape (C,).
            n: how many rows.
            seed: the same seed gives the same rows.
            context: what the model is given, the same for all rows, shape (1, ...).

        Returns:
            Codes (n, C), and the effective sample size (Σ w)²/Σ w² of the proposals.
        """
        proposals = max(20_000, 4 * n)
        with evaluating(self.model) as device, seeded(seed):
            x, model = self.cells.forward(torch.from_numpy(row[None])).to(device), self.model.given(context)
            posterior, prior = model.encoder(x), model.prior()
            own = posterior.sample((proposals // 2,)).squeeze(1)
            z = torch.cat([own, prior.sample((proposals - len(own),))])
            width = widest(self.model, x, context)
            parts = z.split(max(1, BUDGET // width))
            log_prior = torch.cat([prior.log_prob(part) for part in parts])
            mixture = torch.logaddexp(posterior.log_prob(z.unsqueeze(1)).squeeze(1), log_prior) - math.log(2)
            likelihood = torch.cat([model.decoder(part).base_dist.plain.log_prob(x).sum(-1) for part in parts])
            weights = (likelihood.double() + log_prior - mixture).softmax(0)
            chosen = z[torch.multinomial(weights, n, replacement=True)]
            drawn = torch.cat([model.decoder(part).sample() for part in chosen.split(block_rows(width))])
            codes = self.cells.inverse(drawn.cpu()).numpy()
            codes = draw_rare(codes, self.schema.modelled, SeedStream.CONDITION_RARE.rng(seed).random(codes.shape))
        return np.where(np.isnan(row), codes, row), float(1 / weights.square().sum())

    def explain(self, rows: Rows) -> Array:
        """How much less likely each cell is, given the others of its row, than such a cell usually is.

            E[log p(X_j|x_−j)] − log p(x_j|x_−j),   X_j ~ p(x_j|x_−j)

        Args:
            rows: coded rows.

        Returns:
            Nats, shape (n, C): 0 on average under the model, far above 0 where a cell is strange; NaN where it is missing.
        """
        result = []
        with evaluating(self.model) as device:
            for at, x, codes, noise in self._blocks(rows):
                block = np.full(codes.shape, np.nan)
                for column in range(codes.shape[1]):
                    there = ~np.isnan(codes[:, column])
                    if there.any():
                        block[there, column] = at._surprise(x, codes, noise, column, device)[there]
                result.append(block)
        return np.concatenate(result)

    def _surprise(self, x: Tensor, codes: Array, noise: RowNoise, column: int, device: torch.device) -> Array:
        slots = torch.from_numpy(np.flatnonzero(self.cells.slot_columns == column))
        hidden = x.clone()
        hidden[:, slots] = torch.nan
        found = self._posterior(hidden, noise, device, hidden=True)

        def log_prob(seen: Tensor) -> Tensor:
            own = found.slots.log_prob(seen.to(device))[..., slots].sum(-1)
            return torch.logsumexp(found.log_weights + own.double(), 0)

        choice = noise.uniform((VALUES_PER_DRAW * 2,), RowStream.CHOICE).T.to(device)
        usual = torch.zeros(len(x), dtype=torch.float64, device=device)
        for other in self._values(found, choice, noise, len(choice), hidden=True):
            changed = codes.copy()
            changed[:, column] = other[:, column]
            usual += log_prob(self.cells.forward(torch.from_numpy(changed))) / len(choice)
        found_here: Array = (usual - log_prob(x)).cpu().numpy()
        return found_here


def _copies(codes: Array) -> npt.NDArray[np.int64]:
    """How many rows equal to it stand before each row, shape (n,)."""
    keys = RowNoise(codes).keys
    order = np.argsort(keys, kind="stable")
    first = np.flatnonzero(np.append(True, np.diff(keys[order]) != 0))
    copies = np.empty(len(keys), np.int64)
    copies[order] = np.arange(len(keys)) - np.repeat(first, np.diff(np.append(first, len(keys))))
    return copies
