"""What an explorer shows of a run, without the page that shows it: codes, rates, decoded rows, neighbours, colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from vaekit.distributions import DiagonalNormal
from vaekit.evaluation import Bounds, Measured, factorize, measure
from vaekit.explorer.colours import Colouring
from vaekit.explorer.plane import Plane
from vaekit.explorer.rows import MOST_ROWS, gather, repeat_context
from vaekit.models.priors import StandardNormal
from vaekit.pictures import Scale
from vaekit.plots.numbers import cut, significant, write_number, write_value
from vaekit.runs.run import Run

Array = npt.NDArray[Any]
MOST_COLOURS = 100
"""Most columns that colours are offered for."""
SCALED = 200
"""Most pictures from which the range of grey values is taken, if it is not known."""
REACH = 3.0
"""Codes within this many standard deviations of N(0, I) can be chosen."""


@dataclass(frozen=True)
class Dimension:
    """Hold a latent dimension, and how much it tells.

    Args:
        index: its number.
        size: its mean KL in nats, or the variance of its codes if the KL has no parts.
        unit: `nats` or `variance`.
        low: the least value that can be chosen.
        high: the greatest value that can be chosen.
    """

    index: int
    size: float
    unit: str
    low: float
    high: float

    @property
    def label(self) -> str:
        """Return its name with its size, for a slider.

        Examples:
            >>> Dimension(3, 1.234, "nats", -3, 3).label
            'z3 · 1.23 nats'
        """
        return f"z{self.index} · " + (
            f"{self.size:.2f} nats" if self.unit == "nats" else f"variance {significant(self.size)}"
        )


class Explorer:
    """Compute what an explorer shows of a run. It keeps no choices, so several pages can share it, and writes nothing.

    Args:
        run: the run.
        X: rows to explore, as `Run.encode` takes them. By default they are those that the run was trained on or, if these
            are not at hand, rows drawn from the model.
        most: most rows that are shown; of more rows, a seeded subset is shown.

    Raises:
        DataError: if X does not fit the schema.

    Examples:
        >>> import tempfile, vaekit
        >>> settings = {"training.epochs": 1, "latent_dim": 3, "encoder.hidden": [9], "decoder.hidden": [9]}
        >>> run = vaekit.train("digits", settings=settings, out=f"{tempfile.mkdtemp()}/run")
        >>> explorer = Explorer(run)
        >>> explorer.codes.shape, explorer.decode(explorer.codes[0]).shape, explorer.nearest(explorer.codes[5], 1)[0][0]
        ((1797, 3), (8, 8, 1), 5)
    """

    def __init__(self, run: Run, X: object | None = None, most: int = MOST_ROWS) -> None:
        self.run, self.rows = run, gather(run, X, most)
        self.measured: list[Measured] = [measure(run.model, rows, 1) for rows in self.rows.prepared()]
        self.codes: Array = np.concatenate([each.mean for each in self.measured])

    @cached_property
    def quick_scores(self) -> Array:
        """Return the ELBO of each row with one draw of z, or minus the squared error of an autoencoder, shape (n,)."""
        return np.concatenate([each.elbo if isinstance(each, Bounds) else each.score for each in self.measured])

    @property
    def score_name(self) -> str:
        """Return what the quick score of a row is, with its unit."""
        return "ELBO in nats" if self.run.model.has_likelihood else "minus squared error"

    @cached_property
    def dimensions(self) -> list[Dimension]:
        """Return the latent dimensions, the one with the largest mean KL first.

        The KL is that of `kl_per_dimension` in the figures. A posterior whose dimensions depend on each other, and the codes
        of an autoencoder, have no such parts. Then the variance of the codes decides.
        """
        sizes, unit = self._sizes()
        low, high = self.codes.min(0), self.codes.max(0)
        if isinstance(self.run.model.prior, StandardNormal):
            low, high = np.minimum(low, -REACH), np.maximum(high, REACH)
        margin = np.where(high > low, 0.0, 1.0)  # a slider needs two ends
        order = np.argsort(-sizes, kind="stable")
        return [
            Dimension(int(j), float(sizes[j]), unit, float(low[j] - margin[j]), float(high[j] + margin[j]))
            for j in order
        ]

    def _sizes(self) -> tuple[Array, str]:
        bounds = [each for each in self.measured if isinstance(each, Bounds) and each.independent]
        if len(bounds) < len(self.measured):
            return self.codes.var(0), "variance"
        std = torch.from_numpy(np.concatenate([each.std for each in bounds]))
        posterior = DiagonalNormal(torch.from_numpy(self.codes), std)
        prior = factorize(self.run.model.prior(), posterior)
        return posterior.kl_per_dimension(prior).mean(0).numpy(), "nats"

    @property
    def default_context(self) -> dict[str, Any]:
        """Return a context for a conditional model: that of the first row; empty for other models."""
        return self.context_of(0)

    def context_of(self, position: int) -> dict[str, Any]:
        """Return the context of the row at a position, by column; empty if the model is not conditional."""
        given = self._context
        columns = self.run.schema.context
        return {c.name: c.decode(given[position : position + 1, i])[0].as_py() for i, c in enumerate(columns)}

    @cached_property
    def _context(self) -> Array:
        found = self.rows.context()
        return repeat_context(self.run, len(self.rows)) if found is None else found

    def decode(self, z: Array, context: Mapping[str, Any] | None = None) -> Array:
        """Return the mean of p(x|z), or a typical row of a table as codes.

        Args:
            z: a code, shape (d,).
            context: values for a conditional model, by column.

        Returns:
            One example, shape (*shape,).
        """
        found = self.run.decode(z[None], context or {})
        return np.asarray(self.run.open(found).values[0] if self.run.reads_tables else found[0])

    def nearest(self, z: Array, count: int) -> list[tuple[int, float]]:
        """Return the positions of the rows whose codes are nearest to z, with their distances ‖z − E_q[z|x]‖."""
        squares = np.square(self.codes - z).sum(1)
        count = min(count, len(squares))
        near = np.argpartition(squares, count - 1)[:count]
        near = near[np.lexsort((near, squares[near]))]
        return [(int(i), float(np.sqrt(squares[i]))) for i in near]

    def example(self, position: int) -> Array:
        """Return the row at a position as given (codes of a table), shape (*shape,)."""
        return np.asarray(self.rows.pick([position]).values[0])

    @cached_property
    def scale(self) -> Scale:
        """Return the range of pixel values that is shown from black to white."""
        first = self.rows.pick(range(min(len(self.rows), SCALED)))
        return Scale.of(first.values, self.run.schema.levels)

    def features(self) -> list[str]:
        """Return the names of the columns of a table, or of the features of an array."""
        if self.run.schema.columns:
            return [cut(name) for name in self.run.schema.columns]
        return [f"feature {i}" for i in range(int(np.prod(self.run.schema.shape)))]

    def texts(self, example: Array) -> list[str]:
        """Return the cells of an example as texts; a missing cell is `missing`."""
        if not self.run.reads_tables:
            return [write_number(float(value)) for value in example.ravel()]
        found = []
        for column, code in zip(self.run.schema.modelled, example, strict=True):
            if np.isnan(code):
                found.append("missing")
                continue
            cell = column.decode(np.array([code]))[0].as_py() if column.categories else float(code)
            found.append("rare value" if cell is None else write_value(column, cell))
        return found

    def planes(self) -> dict[str, str]:
        """Return the planes of the map by their names, with what they show; the first is the best to begin with."""
        if self.codes.shape[1] == 1:
            return {"line": f"z0 and {self.score_name}"}
        named = {"pair": "two latent dimensions"}
        return named if self.codes.shape[1] == 2 else {"principal": "principal components", **named}

    def plane(self, name: str, x: int = 0, y: int = 1) -> Plane:
        """Return a plane of the map.

        Args:
            name: a name from `planes`.
            x: the latent dimension from left to right, of two latent dimensions.
            y: the latent dimension from bottom to top.
        """
        if name == "principal":
            return Plane.of_principal_components(self.codes)
        if name == "line":
            return Plane.of_line(self.codes, self.quick_scores, ("z0", self.score_name))
        return Plane.of_dimensions(self.codes, x, y, (f"z{x}", f"z{y}"))

    def colourings(self) -> list[str]:
        """Return what codes can be coloured by: labels, sets of rows, the score, and columns."""
        named = ["label"] if self.rows.labels() is not None else []
        named += [column.name for column in self.run.schema.context if column.name not in named]
        named += self.run.schema.columns[:MOST_COLOURS]
        return [*named, self.score_name, *(["set of rows"] if len(self.rows.parts) > 1 else [])]

    def colouring(self, name: str) -> Colouring:
        """Return the values of all rows to colour by.

        Args:
            name: a name from `colourings`.
        """
        if name == self.score_name:
            return Colouring.of_numbers(name, self.quick_scores)
        if name == "set of rows":
            return Colouring.of_classes(name, self.rows.sets())
        labels = self.rows.labels()
        if name == "label" and labels is not None:
            return (
                Colouring.of_numbers(name, labels) if labels.dtype.kind == "f" else Colouring.of_classes(name, labels)
            )
        for i, column in enumerate(self.run.schema.context):
            if column.name == name:
                return Colouring.of_column(column, self._context[:, i])
        index = self.run.schema.columns.index(name)
        values = self.rows.column(index).astype(np.float64)
        return (
            Colouring.of_column(self.run.schema.modelled[index], values)
            if self.run.reads_tables
            else (Colouring.of_numbers(name, values))
        )
