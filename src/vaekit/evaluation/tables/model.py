"""Impute, draw and score cells of a mixed table, given the other cells of their row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vaekit.data import RowNoise, Rows, RowStream, SeedStream
from vaekit.data.tables.cells import Categories
from vaekit.evaluation.bounds import evaluating
from vaekit.evaluation.tables.posterior import TablePosterior, Weighted
from vaekit.evaluation.tables.proposals import Proposals, propose

VALUES_PER_DRAW = 4
"""Values drawn from p(x|z) for each z, in order to average over them."""

Array = npt.NDArray[np.float64]


class TableModel(TablePosterior):
    """Impute, draw and score the cells of a mixed table with a trained model.

    Args:
        model: the model.
        schema: the columns of the table.
        cells: the transform from codes of cells to the model's inputs.
        samples: K, the number of draws of z for each row.
    """

    def impute(self, rows: Rows) -> tuple[Array, Array]:
        """Fill missing cells: numbers with the mean, categories with the mode, ordered levels with the median.

        Mean, mode and median are those of p(x_m|x_o).

        Args:
            rows: coded rows, NaN where a cell is missing.

        Returns:
            Codes (n, C), and the uncertainty of filled cells (n, C): a number's standard deviation or a category's
            probability; NaN elsewhere.
        """
        filled, certain = [], []
        with evaluating(self.model) as device:
            for at, _, x, codes, noise in self.tiles(rows):
                value, spread = at._expected(at.draw_weighted(x, noise, device), noise)
                missing = np.isnan(codes)
                filled.append(np.where(missing, value, codes))
                certain.append(np.where(missing, spread, np.nan))
        return np.concatenate(filled)[: len(rows)], np.concatenate(certain)[: len(rows)]

    def predict(self, rows: Rows, truth: Array) -> tuple[Array, Array]:
        """Predict hidden cells of a mixed table, and compute the log-probability of their true values.

        Args:
            rows: coded rows, NaN where a cell is missing or was hidden on purpose.
            truth: codes of the same rows before cells were hidden, shape (n, C).

        Returns:
            Predicted codes, as `impute` fills them, and log p(x_j|x_o) of each true cell in nats; both have shape (n, C).
        """
        predicted, log_prob = [], []
        with evaluating(self.model) as device:
            for at, positions, x, _, noise in self.tiles(rows):
                found = at.draw_weighted(x, noise, device, hidden=True)
                seen = self.see(truth[positions]).to(device)
                predicted.append(at._expected(found, noise)[0])
                log_prob.append(found.log_prob(seen, self.cells.slot_columns).cpu().numpy())
        return np.concatenate(predicted)[: len(rows)], np.concatenate(log_prob)[: len(rows)]

    def _expected(self, found: Weighted, noise: RowNoise) -> tuple[Array, Array]:
        """Return the predictions of cells and their uncertainties, two arrays of shape (B, C)."""
        shape = (VALUES_PER_DRAW * len(found.log_weights), self.cells.layout.slots, 2)
        mean, spread = self.expect(found, noise.uniform(shape, RowStream.FILL).float().to(found.z.device))
        return mean.cpu().numpy(), spread.cpu().numpy()

    def expect(self, found: Weighted, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Predict every cell, and measure the uncertainty of the prediction, as `impute` does.

        Args:
            found: K weighted draws of z for each row.
            uniform: noise in (0, 1), from which values of cells are drawn, shape (B, 4·K, S, 2).

        Returns:
            Codes, and their standard deviations or probabilities; both have shape (B, C), double precision.
        """
        noise = uniform.movedim(1, 0).unflatten(0, (VALUES_PER_DRAW, len(found.log_weights)))
        drawn = self.cells.inverse(found.likelihood.of_missing().draw(noise).cpu())  # (values, K, B, C)
        weights = found.log_weights.exp().cpu().unsqueeze(-1) / VALUES_PER_DRAW
        mean = (weights * drawn).sum((0, 1))
        spread = (weights * (drawn - mean).square()).sum((0, 1)).clamp(min=0).sqrt()
        listed = self._categories(found)
        means, spreads = list(mean.unbind(-1)), list(spread.unbind(-1))
        for column, probabilities in listed.items():
            reached = probabilities.cumsum(-1)
            ordered = self.schema.modelled[column].kind == "ordinal"
            chosen = (reached < 0.5 * reached[:, -1:]).sum(-1) if ordered else probabilities.argmax(-1)
            means[column] = chosen.to(mean)
            spreads[column] = probabilities.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)
        return torch.stack(means, -1), torch.stack(spreads, -1)

    def _categories(self, found: Weighted) -> dict[int, Tensor]:
        """Return p(category|x_o) of each categorical column's known categories, shape (B, known categories)."""
        weights = found.log_weights.exp()[..., None, None]
        result = {}
        for group in found.likelihood.of_missing().categories:
            probabilities = (weights * group.log_probs.double().exp()).sum(0).cpu()
            for k, column in enumerate(self.cells.slot_columns[group.cells].tolist()):
                listed = self.cells.columns[column]
                if isinstance(listed, Categories):  # the shared category stands for its most frequent value
                    share = torch.tensor(listed.log_share[: listed.known], dtype=torch.float64).exp()
                    result[column] = probabilities[:, k, : listed.known] * share
        return result

    def draw(self, rows: Rows, draws: int, seed: int = 0, ids: npt.NDArray[np.int64] | None = None) -> Array:
        """Fill missing cells with draws from p(x_m|x_o) to make several complete tables, as in multiple imputation.

        The draws of a row depend only on the row, its identifier and the seed.

        Args:
            rows: coded rows, NaN where a cell is missing.
            draws: M ≥ 1, the number of tables.
            seed: the same seed gives the same draws.
            ids: an identifier of each row, shape (n,), so that rows with equal cells have different draws; by default
                the position of the row.

        Returns:
            Codes, shape (M, n, C).
        """
        filled, ids = [], np.arange(len(rows)) if ids is None else ids
        with evaluating(self.model) as device:
            for at, positions, x, codes, noise in self.tiles(rows):
                named = np.column_stack([codes, ids[positions].view(np.float64)])
                found, own = at.draw_weighted(x, noise, device), RowNoise(named, seed)
                choice = own.uniform((draws,), RowStream.CHOICE).T.to(device)  # (M, B)
                value = at._values(found, choice, own, draws)
                filled.append(np.where(np.isnan(codes), value, codes))
        return np.concatenate(filled, 1)[:, : len(rows)]

    def _values(self, found: Weighted, choice: Tensor, noise: RowNoise, draws: int, hidden: bool = False) -> Array:
        """Draw each row M times: choose a z_k by its weight, then draw from p(x|z_k); shape (M, B, C)."""
        reached = found.log_weights.exp().cumsum(0).T.contiguous()
        chosen = torch.searchsorted(reached, choice.T.contiguous()).T.clamp(max=self.samples - 1)  # (M, B)
        z = found.z.gather(0, chosen.unsqueeze(-1).expand(-1, -1, found.z.shape[-1]))
        uniform = noise.uniform((draws, self.cells.layout.slots, 2), RowStream.FILL).movedim(1, 0).float()
        likelihood = self.model.decoder(z).base_dist
        drawn_from = likelihood.plain if hidden else likelihood.of_missing()
        seen = drawn_from.draw(uniform.to(z.device), found.observed)
        codes = self.cells.inverse(seen.cpu())
        rare = noise.uniform(codes.shape[::2], RowStream.RARE).movedim(1, 0)
        return self.cells.draw_rare(codes, rare, common=False).numpy()

    def propose(self, row: Array, seed: int, chunk: int, context: Tensor | None = None) -> Proposals:
        """Draw proposals of z for new rows with given values of some cells.

        Args:
            row: codes of the given cells, NaN elsewhere, shape (C,).
            seed: the same seed gives the same proposals.
            chunk: number of the chunk of rows that share the proposals.
            context: c, the same for all rows, shape (1, ...); None if the model is not conditional.
        """
        own = int(SeedStream.GIVEN_CODES.rng(seed, chunk).integers(2**62))
        return propose(self.model, self.cells, row, own, context)

    def explain(self, rows: Rows) -> Array:
        """Measure how much more surprising each cell is than expected, given the other cells of its row.

            E[log p(X_j|x_−j)] − log p(x_j|x_−j),   X_j ~ p(x_j|x_−j)

        Args:
            rows: coded rows.

        Returns:
            Nats, shape (n, C): 0 on average under the model, far above 0 for an unusual cell, NaN for a missing cell.
        """
        result = []
        with evaluating(self.model) as device:
            for at, _, x, codes, noise in self.tiles(rows):
                block = np.full(codes.shape, np.nan)
                for column in range(codes.shape[1]):
                    there = ~np.isnan(codes[:, column])
                    if there.any():
                        block[there, column] = at._surprise(x, codes, noise, column, device)[there]
                result.append(block)
        return np.concatenate(result)[: len(rows)]

    def _surprise(self, x: Tensor, codes: Array, noise: RowNoise, column: int, device: torch.device) -> Array:
        parts = torch.from_numpy(np.flatnonzero(self.cells.slot_columns == column))
        hidden = x.clone()
        hidden[:, parts] = torch.nan
        found = self.draw_weighted(hidden, noise, device, hidden=True)

        def log_prob(seen: Tensor) -> Tensor:
            own = found.likelihood.log_prob(seen.to(device))[..., parts].sum(-1)
            return torch.logsumexp(found.log_weights + own.double(), 0)

        choice = noise.uniform((VALUES_PER_DRAW * 2,), RowStream.CHOICE).T.to(device)
        usual = torch.zeros(len(x), dtype=torch.float64, device=device)
        for other in self._values(found, choice, noise, len(choice), hidden=True):
            changed = codes.copy()
            changed[:, column] = other[:, column]
            usual += log_prob(self.see(changed)) / len(choice)
        surprise: Array = (usual - log_prob(x)).cpu().numpy()
        return surprise
