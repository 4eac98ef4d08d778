"""Plot a run: each method draws on matplotlib axes and returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vaekit.data import Part, Source
from vaekit.errors import DataError, VaekitError, did_you_mean
from vaekit.evaluation import Evaluator, TableFigures
from vaekit.pictures import Scale, tile, to_rgba
from vaekit.plots import runs as draw
from vaekit.plots import tables

if TYPE_CHECKING:
    from vaekit.runs.run import Run

Array = npt.NDArray[Any]
MOST_CLASSES, MOST_POINTS = 12, 5000


@dataclass(frozen=True)
class Plots:
    """The plots of a run. Without `ax` each draws on new axes; the figure is `ax.figure`.

    Args:
        run: the run.
    """

    run: Run

    def training(self, ax: Any = None) -> Any:
        """Draw the bound of training and validation rows (squared errors of an autoencoder) against epochs.

        Args:
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        history = self.run.read_history()
        if not history.validations:
            raise VaekitError(f"The run '{self.run.path}' has no record of its training")
        columns = {name: np.array([row[name] for row in history.validations]) for name in history.validations[0]}
        name, label = ("elbo", "ELBO, nats") if self.run.model.has_likelihood else ("distortion", "squared error")
        chosen = np.flatnonzero((columns["step"] == history.step) & np.isfinite(columns[name]))
        ax = _axes(ax)
        best = int(chosen[0]) if len(chosen) else None
        draw.curves(ax, columns["epoch"], columns[f"train_{name}"], columns[name], best, label)
        return ax

    def samples(self, n: int = 36, seed: int = 0, mean: bool = True, ax: Any = None) -> Any:
        """Show new pictures on one sheet.

        Args:
            n: number of pictures, ≥ 1.
            seed: the same seed gives the same pictures.
            mean: whether to show means of p(x|z), rather than draws from it.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        self._check_pictures("samples")
        ax = _sheet(_axes(ax), self.run.sample(n, seed, mean), self.run.schema.levels, int(np.ceil(np.sqrt(n))))
        ax.set_title(f"{'means of p(x|z)' if mean or not self.run.model.has_likelihood else 'draws'}, z from the prior")
        return ax

    def reconstructions(self, X: object = None, n: int = 12, ax: Any = None) -> Any:
        """Show pictures with their reconstructions below.

        Args:
            X: pictures, as in `Run.encode`; held-out pictures by default.
            n: number of pictures, ≥ 1.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        self._check_pictures("reconstructions")
        given = self._source(X, n).values
        both = np.concatenate([given, self.run.reconstruct(Source(given, picture=True))])
        ax = _sheet(_axes(ax), both, self.run.schema.levels, len(given))
        ax.set_title("given (above) and reconstructed (below)")
        return ax

    def codes(self, X: object = None, color: object = None, ax: Any = None) -> Any:
        """Draw the codes of rows as points in the plane of their first two principal components.

        Args:
            X: rows, as in `Run.encode`; held-out rows by default.
            color: a value for each row, or the name of a column of X: classes get colours and a legend, numbers a scale.
                By default the labels of the rows, if they have labels.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        source = self._source(X, MOST_POINTS)
        code = self.run.encode(source)
        ax = _axes(ax)
        if code.shape[1] == 1:
            draw.code_histogram(ax, code[:, 0], "z")
            return ax
        plane, labels = draw.project(code)
        values = _values(source, color)
        if values is None:
            draw.latent_map(ax, plane, None, labels)
        elif values.dtype.kind == "f" or len(np.unique(values)) > MOST_CLASSES:
            _scatter(ax, plane, values, labels)
        else:
            names, groups = np.unique(values, return_inverse=True)
            draw.latent_map(ax, plane, groups, labels, [str(name) for name in names])
            ax.legend(title=color if isinstance(color, str) else None, fontsize="small")
        return ax

    def traversal(
        self, X: object = None, dimensions: Sequence[int] | None = None, steps: int = 9, ax: Any = None
    ) -> Any:
        """Show how a picture changes along latent dimensions: a row for each, from −3 to 3 standard deviations of all codes.

        Args:
            X: pictures, of which the first is changed; a held-out picture by default.
            dimensions: latent dimensions; by default the eight with the largest KL.
            steps: number of pictures in a row.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        self._check_pictures("traversals")
        source = self._source(X, 500)
        codes = self.run.encode(source)
        order = np.argsort(-codes.var(0), kind="stable") if dimensions is None else dimensions
        shown, rows = list(order[:8]) if dimensions is None else list(dimensions), []
        for j in shown:
            z = codes[:1].repeat(steps, axis=0)
            z[:, j] = codes[:, j].mean() + np.linspace(-3, 3, steps) * codes[:, j].std()
            rows.append(z)
        ax = _sheet(_axes(ax), self.run.decode(np.concatenate(rows)), self.run.schema.levels, steps, labels=shown)
        ax.set(xlabel="from −3 to 3 standard deviations", ylabel="latent dimension")
        return ax

    def rates(self, X: object = None, ax: Any = None) -> Any:
        """Draw the mean KL of each latent dimension, the largest first.

        Args:
            X: rows, as in `Run.evaluate`.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        rows, _, _ = self.run.to_measure(X, "held-out")
        figures = Evaluator(self.run.model, self.run.schema, None, None).evaluate(rows, 1)  # without simple models
        if figures.kl_per_dimension is None:
            raise VaekitError("The posterior's dimensions are not independent, so the KL has no parts")
        ax = _axes(ax)
        draw.kl_bars(ax, figures.kl_per_dimension, figures.measured.mean.var(0) > 0.01)
        return ax

    def marginals(self, column: str, X: object = None, ax: Any = None) -> Any:
        """Draw the distribution of a table's column in held-out rows (filled) and in new rows (outlined).

        Args:
            column: name of the column.
            X: rows, as in `Run.evaluate`.
            ax: matplotlib axes.

        Returns:
            The axes.
        """
        known = {each.column: each for each in self._tables(X).marginals}
        if column not in known:
            raise DataError("the column must be a modelled column", f"'{column}'", did_you_mean(column, list(known)))
        one, ax = known[column], _axes(ax)
        if one.histogram is not None:
            hist = one.histogram
            tables.histogram(ax, hist.edges, hist.held_out, hist.generated, hist.axis)
        else:
            tables.shares(
                ax,
                ["other values" if share.value is None else str(share.value) for share in one.shares],
                np.array([share.held_out for share in one.shares]),
                np.array([share.generated for share in one.shares]),
            )
        ax.set_title(f"{column}: distance {one.distance:.3f}, by chance {one.by_chance:.3f}")
        return ax

    def dependence(self, X: object = None, axes: Any = None) -> Any:
        """Draw the associations between all pairs of columns, in held-out rows and in new rows.

        Args:
            X: rows, as in `Run.evaluate`.
            axes: two matplotlib axes.

        Returns:
            The two axes.
        """
        found = self._tables(X).associations
        if found is None:
            raise DataError(
                "Associations need the training rows", mend="Pass the whole data that the run was trained on"
            )
        axes = _axes(axes, 2)
        top = max([0.2, *(max(each.held_out, each.generated) for each in found.differences)])
        for ax, values, title in zip(
            axes, (found.held_out, found.generated), ("held-out rows", "new rows"), strict=True
        ):
            tables.matrix(ax, values, top, found.columns)
            ax.set_title(title)
        return axes

    def _tables(self, X: object) -> TableFigures:
        run = self.run.as_table_run()
        rows, train, _ = run.to_measure(X, "held-out")
        return run.table_figures(rows, train, 1)

    def _check_pictures(self, what: str) -> None:
        if not self.run.schema.picture:
            raise VaekitError(
                f"{what} are drawn for pictures".capitalize(), mend="For tables see `marginals` and `dependence`"
            )

    def _source(self, X: object, most: int) -> Source:
        """Return some of the rows that a user gave, or some held-out rows."""
        if X is not None:
            opened = self.run.check(self.run.open(X))
            part = Part(opened.values, np.arange(len(opened.values)), opened.labels, context=opened.context)
            if len(part) <= most:
                return opened
        else:
            part = self.run.split().test
        part = part.subset(most, self.run.recipe.seed)
        taken = part.take(0, len(part))
        return Source(
            taken, part.classes(), self.run.schema.columns, self.run.schema.picture, context=part.take_context()
        )


def _axes(ax: Any, columns: int = 1) -> Any:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(1, columns, figsize=(5.5 * columns, 4), layout="constrained")[1]


def _sheet(ax: Any, pictures: Array, levels: int, columns: int, labels: Sequence[int] = ()) -> Any:
    """Show pictures in rows on one pair of axes."""
    shape = pictures.shape[1:]
    sheet = tile(to_rgba(Scale.of(pictures, levels).bytes(pictures)), columns, 1, 1)
    ax.imshow(sheet, interpolation="nearest")
    ax.set(xticks=[], yticks=[(shape[0] + 1) * i + shape[0] / 2 for i in range(len(labels))])
    ax.set_yticklabels([str(label) for label in labels])
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    return ax


def _values(source: Source, color: object) -> Array | None:
    """Return a value for each row, by which points are coloured."""
    if color is None:
        return source.labels
    if isinstance(color, str):
        if source.frame is None or color not in source.frame.names:
            known = [] if source.frame is None else list(source.frame.names)
            raise DataError("`color` must be the name of a column of X", f"'{color}'", did_you_mean(color, known))
        cells = source.frame.table()[color]
        return np.asarray(cells.to_numpy(zero_copy_only=False))
    values = np.asarray(color)
    if values.shape != (len(source.values),):
        raise DataError(f"`color` must have a value for each of the {len(source.values)} rows", f"shape {values.shape}")
    return values


def _scatter(ax: Any, plane: Array, values: Array, labels: tuple[str, str]) -> None:
    drawn = ax.scatter(*plane.T, c=values.astype(np.float64), s=12, linewidths=0)
    ax.figure.colorbar(drawn, ax=ax)
    ax.set(xlabel=labels[0], ylabel=labels[1])
