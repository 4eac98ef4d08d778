"""The parts of a model of a mixed table that fill missing cells and draw rows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Independent

from vaekit.data import RowStream
from vaekit.data.blanks import blank_rules
from vaekit.data.tables.cells import Cells
from vaekit.distributions import NormalMixture, Reparameterized, TableCells
from vaekit.errors import VaekitError
from vaekit.evaluation import TableModel
from vaekit.evaluation.tables.model import VALUES_PER_DRAW
from vaekit.export.parts import ExportedPart, Port


class TablePart(ExportedPart):
    """A part of a model of a mixed table."""

    name = "table"

    def check(self) -> None:
        """Refuse data that are not a mixed table, and rules."""
        self.variational()
        if self.subject.transform.cells is None:
            told = f"The part '{self.name}' needs a run on a mixed table, but the data are {self.subject.schema.kind}"
            raise VaekitError(told, mend="Export `part='decode'`, or train with data.kind=mixed")
        self.units.refuse_rules(self.verb)

    @property
    def cells(self) -> Cells:
        """Return the transform of the cells."""
        if self.subject.transform.cells is None:
            raise TypeError("only the rows of a mixed table have cells")
        return self.subject.transform.cells


class Impute(TablePart):
    """x ↦ rows without missing cells: conditional means of numbers, likeliest categories, medians of ordered levels."""

    name, verb = "impute", "impute"
    draws = True

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Return rows and the noise of z and of the cells."""
        shape = (VALUES_PER_DRAW * self.subject.samples, self.cells.layout.slots, 2)
        fill = Port("fill", torch.float32, shape, "noise of values of cells", RowStream.FILL, "uniform")
        return (*self.rows, self.posterior_noise, fill)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Return filled rows, means before rounding, and their uncertainty."""
        shape = self.subject.schema.shape
        return (
            self.row("the rows, with their missing cells filled; structural blanks stay NaN", "filled"),
            Port("mean", torch.float64, shape, "what every cell is predicted to be, before rounding"),
            Port("uncertainty", torch.float64, shape, "standard deviations of numbers, probabilities of categories"),
        )

    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the filled rows, the predictions and their uncertainties."""
        subject, own = self.subject, self.units
        model = TableModel(self.at(given).with_likelihood("filling"), subject.schema, self.cells, subject.samples)
        found = model.weigh(self.see(given), given["noise"].movedim(1, 0))
        mean, spread = model.expect(found, given["fill"])
        codes = own.read(given["x"])
        filled = torch.where(codes.isnan(), own.round(self.cells.round(mean)), codes)
        context = [own.read_context(given["context"])] if "context" in given else []
        blank = self._blanks(torch.cat([filled, *context], 1))
        filled = torch.where(codes.isnan() & blank, torch.nan, filled)
        return own.write(filled), own.write(mean), own.write(spread)

    def _blanks(self, codes: Tensor) -> Tensor:
        """Return which cells are structural blanks, from codes of the modelled columns and the context."""
        never = torch.zeros_like(codes[:, 0], dtype=torch.bool)
        found = [never] * len(self.subject.schema.modelled)
        for column, (other, values) in blank_rules(self.subject.schema.table).items():
            found[column] = (codes[:, other, None] == torch.tensor(values, dtype=torch.float64)).any(-1)
        return torch.stack(found, -1)


class Sample(TablePart):
    """Noise ↦ complete new rows: z ~ p(z), then every cell from p(x|z)."""

    name, verb = "sample", "sample"

    def check(self) -> None:
        """Refuse priors that do not map noise to z, and tables with too many cells for one graph."""
        super().check()
        self.units.refuse_many(self.model, self.verb)
        if not isinstance(self.model.prior(), Reparameterized | NormalMixture):
            told = (
                "Only a prior that maps noise to z, such as N(0, I), a mixture or a flow, can be drawn from in a file"
            )
            raise VaekitError(told, mend="Use run.sample in Python, or train with prior=mixture")

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Return noise, which belongs to no row, and the context."""
        size, slots = self.subject.latent_dim, self.cells.layout.slots
        choice = Port("component", torch.float32, (), "uniform noise on (0, 1) of the component of z; any generator")
        return (
            Port("noise", torch.float32, (size,), "standard normal noise of z ~ p(z); any generator"),
            *([choice] if isinstance(self.model.prior(), NormalMixture) else []),
            Port("fill", torch.float32, (slots, 2), "uniform noise on (0, 1) of cells; any generator"),
            Port("rare", torch.float64, self.subject.schema.shape, "uniform noise on (0, 1) of rare values"),
            *self.context,
        )

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Return new rows."""
        return (self.row("new rows, complete"),)

    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the new rows."""
        model = self.at(given).with_likelihood("drawing")
        likelihood = model.decoder(self._codes(given))
        if not isinstance(likelihood, Independent) or not isinstance(likelihood.base_dist, TableCells):
            raise TypeError("the likelihood of a mixed table has cells")
        drawn = likelihood.base_dist.common().draw(given["fill"])
        codes = self.cells.draw_rare(self.cells.inverse(drawn), given["rare"])
        return (self.units.write(self.units.round(codes)),)

    def _codes(self, given: dict[str, Tensor]) -> Tensor:
        """Draw z ~ p(z)."""
        prior = self.model.prior()
        if isinstance(prior, NormalMixture):
            return prior.draw(given["component"], given["noise"])
        if not isinstance(prior, Reparameterized):
            raise TypeError("check() refuses such priors")
        return prior.reparameterize(given["noise"])
