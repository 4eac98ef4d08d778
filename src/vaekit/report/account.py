"""The parts of a report that depend on the kind of model: a model with a likelihood, or an autoencoder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, cast

from vaekit.data import Part
from vaekit.evaluation import BoundFigures, ErrorFigures, active_units
from vaekit.pictures import Scale, Strip, make_strip
from vaekit.plots.numbers import nats, significant, with_error
from vaekit.report import charts
from vaekit.report.panel import Card, Panel
from vaekit.report.subject import Subject

MISSING, LADDER = "–", "Training rows and held-out rows"


@dataclass(frozen=True)
class Account(ABC):
    """Make the parts of a report that depend on the kind of model.

    Args:
        subject: the run and the rows it is measured on.
    """

    subject: Subject
    CURVES: ClassVar[tuple[tuple[str, str, str, str], ...]]
    """Training curves, each as a title, a column of metrics.csv, an axis label and a caption."""

    @abstractmethod
    def describe(self) -> str:
        """Return the kind of model in words, with the likelihood if there is one."""

    @abstractmethod
    def cards(self) -> list[Card]:
        """Return the main results, to be shown in large type at the head of the page."""

    @abstractmethod
    def column(self) -> dict[str, str]:
        """Return the run's results as formatted strings, by their names in the report's table."""

    @abstractmethod
    def ladder(self) -> Panel:
        """Return a chart that compares results on training rows with results on held-out rows."""

    def costs(self) -> list[Panel]:
        """Return charts of the rate of each latent dimension; there are none for an autoencoder."""
        return []

    @abstractmethod
    def samples(self, rows: Part, by: str, scale: Scale, count: int) -> tuple[list[Strip], str]:
        """Draw new pictures from the model, and return them as strips with a caption.

        Args:
            rows: as many rows as pictures are drawn; a conditional model takes their context.
            by: text that names the run if there are two.
            scale: the scale of grey levels.
            count: pictures side by side.
        """

    @abstractmethod
    def spread(self) -> str:
        """Return a sentence on how far the codes of a single latent dimension should spread."""

    @property
    def _active(self) -> str:
        return f"{self.subject.figures.active_units} of {self.subject.figures.latent_dim}"

    def origin(self) -> str:
        """Return a sentence on where the codes of new rows come from; it is empty if the codes come from a prior."""
        return ""

    def _active_card(self) -> Card:
        return Card("Active latent dimensions", self._active, "dimensions of the code that vary with x")

    def _shared(self) -> dict[str, str]:
        return {
            "held-out examples": f"{self.subject.figures.examples:,}",
            "active latent dimensions": self._active,
            "mean squared error": MISSING if self.subject.mixed else significant(self.subject.squared_error),
        }


def account(subject: Subject) -> Account:
    """Return the `Account` for the kind of model that a run has."""
    f = subject.figures
    return BoundAccount(subject, f) if isinstance(f, BoundFigures) else ErrorAccount(subject, cast(ErrorFigures, f))


def data_unit(subject: Subject) -> str:
    """Say which data the probabilities in a report refer to."""
    return "the binarised data" if subject.run.transform.binarizes else "the data as given"


@dataclass(frozen=True)
class BoundAccount(Account):
    """Make the parts of a report that are particular to a model with a likelihood."""

    figures: BoundFigures
    CURVES = (
        ("ELBO", "elbo", "ELBO in nats",
         "Both lines should rise and level out together. A held-out line that turns downwards means overfitting. The "
         "weights that were kept have the greatest held-out value of the bound that training maximises. Training rows are "
         "measured during training, with dropout if there is any."),
        ("Distortion", "distortion", "distortion in nats",
         "The lines should fall and level out: reconstruction improves."),
        ("Rate", "rate", "rate in nats",
         "The lines should level out above zero: the code is used. A rate of zero means a collapsed posterior."),
    )  # fmt: skip

    def describe(self) -> str:
        """Return the kind of model and its likelihood in words."""
        return f"{self.subject.run.model.title}, {self.subject.run.recipe.likelihood_name} likelihood"

    def cards(self) -> list[Card]:
        """Return the main results, to be shown in large type at the head of the page."""
        f, given = self.figures, ", ".join(self.figures.given)
        estimate = f.log_likelihood
        found = [
            Card(
                f"Log-likelihood given {given}" if given else "Log-likelihood",
                f"≥\u00a0{with_error(estimate.value, estimate.standard_error)}",
                f"nats per example of {data_unit(self.subject)}, ± one standard error; "
                f"K = {estimate.samples} draws, {estimate.examples:,} held-out examples",
            )
        ]
        if f.bits_per_dim is not None:
            found.append(
                Card("Bits per dimension", f"{f.bits_per_dim:.4f}", "at most; the log-likelihood in bits per value")
            )
        beta = f"Trained with β = {f.effective_beta:g}; here the rate has weight 1." if self._weighted() else ""
        parts = (
            f"nats per example: −\u2060(D + R), distortion D = {nats(f.distortion)}, rate R = {nats(f.rate)}. {beta}"
        )
        found += [Card("ELBO", nats(f.elbo), parts.strip()), self._active_card()]
        if (best := f.baselines.best()) is not None:
            name = f"{best[0]}, which does not see {given}" if given else best[0]
            gain = estimate.value - best[1]
            compared = f"{nats(abs(gain))} nats {'below' if gain > 0 else 'above'} this model"
            found.append(Card("Best simple model", nats(best[1]), f"nats per example, {name}: {compared}"))
        return found

    def column(self) -> dict[str, str]:
        """Return the run's results as formatted strings, by their names in the report's table."""
        f, estimate = self.figures, self.figures.log_likelihood
        values = {
            "ELBO": f.elbo,
            "distortion": f.distortion,
            "rate": f.rate,
            "ELBO on training rows": f.train_elbo,
            "mutual information": f.mutual_information,
            "ceiling of mutual information": f.mutual_information_ceiling,
            "marginal KL": f.marginal_kl,
            **f.baselines.known(),
        }
        return {
            **self._shared(),
            **{name: MISSING if value is None else nats(value) for name, value in values.items()},
            "log-likelihood": f"≥ {with_error(estimate.value, estimate.standard_error)}",
            "draws K": f"{estimate.samples:,}",
            "bits per dimension": MISSING if f.bits_per_dim is None else f"{f.bits_per_dim:.4f}",
            "β in training": f"{f.effective_beta:g}" if self._weighted() else MISSING,
        }

    def ladder(self) -> Panel:
        """Return a chart of the log-likelihood, the two ELBOs (training and held-out) and the simple models' scores."""
        f, estimate = self.figures, self.figures.log_likelihood
        train = {} if f.train_elbo is None else {"ELBO, training rows": f.train_elbo}
        bounds = train | {"ELBO, held-out rows": f.elbo, "log-likelihood": estimate.value} | f.baselines.known()
        caption = (
            "Both ELBOs should be close to each other; a held-out ELBO far to the left means overfitting. The log-likelihood "
            "should be a little to the right of the held-out ELBO, and simple models to its left. The bar is one standard error."
        )
        errors = {"log-likelihood": estimate.standard_error or 0.0}
        return Panel(LADDER, caption, [charts.ladder(bounds, errors, nats, "nats per example")])

    def costs(self) -> list[Panel]:
        """Return charts of each dimension's KL and of the parts of the rate; empty if the dimensions are dependent."""
        f, kl = self.figures, self.figures.kl_per_dimension
        if kl is None or f.mutual_information is None or f.marginal_kl is None or f.mutual_information_ceiling is None:
            return []
        unused = (
            "does not change with x. A learned prior does not split by dimension, so each bar is the KL to the Gaussian with "
            "the mean and the variance of all codes in that dimension. The bars need not sum to the rate"
            if self.subject.learned_prior
            else "equals the prior and costs nothing"
        )
        return [
            Panel("KL of each latent dimension",
                  "There should be filled bars; some hatched bars near zero do no harm. An unused dimension "
                  f"{unused}. If no bar is filled, the posterior has collapsed.",
                  [charts.kl_bars(kl, active_units(f.measured.mean))]),
            Panel("Where the rate goes",
                  "Most of the rate should be mutual information, which is information about x. The rest is marginal KL, the "
                  "distance of codes from the prior. Near the ceiling log N (N examples) the two parts are uncertain.",
                  [charts.rate_parts(f.mutual_information, f.marginal_kl, f.rate, f.mutual_information_ceiling)]),
        ]  # fmt: skip

    def samples(self, rows: Part, by: str, scale: Scale, count: int) -> tuple[list[Strip], str]:
        """Draw z from the prior, and return two strips (means of p(x|z) and draws from p(x|z)) and a caption."""
        s = self.subject
        strips = [
            make_strip(f"means of p(x|z){by}", s.sample(rows, mean=True), scale, count),
            make_strip(f"draws from p(x|z){by}", s.sample(rows), scale, count),
        ]
        grain = "draws are zeros and ones" if s.binary else "draws add independent noise to each value"
        caption = (
            f"Codes z are drawn from the {'learned prior' if s.learned_prior else 'prior N(0, I)'}. The means of p(x|z) should "
            f"look like smooth examples of the data; {grain} and look grainy."
        )
        given = (
            " The model is given the context of the examples above, in the same order." if s.run.schema.context else ""
        )
        return strips, caption + given

    def spread(self) -> str:
        """Return a sentence on how far the codes of a single latent dimension should spread."""
        if self.subject.learned_prior:
            return "These posterior means should spread about as far as the learned prior, or less."
        return "These posterior means should spread as far as the prior N(0, I), between −3 and 3, or less."

    def _weighted(self) -> bool:
        return self.figures.effective_beta not in (None, 1)


@dataclass(frozen=True)
class ErrorAccount(Account):
    """Make the parts of a report that are particular to an autoencoder."""

    figures: ErrorFigures
    CURVES = (
        ("Reconstruction error", "distortion", "squared error per example",
         "Both lines should fall and level out together. A held-out line that turns upwards means overfitting."),
    )  # fmt: skip

    def describe(self) -> str:
        """Return the kind of model in words."""
        return self.subject.run.model.title

    def cards(self) -> list[Card]:
        """Return the main results, to be shown in large type at the head of the page."""
        f, train = self.figures, self.figures.train_reconstruction_error
        beside = "" if train is None else f"; {significant(train)} on training rows"
        return [
            Card(
                "Mean squared error",
                significant(self.subject.squared_error),
                f"per value, in squared units of the data as given; {f.examples:,} held-out examples",
            ),
            Card(
                "Reconstruction error",
                significant(f.reconstruction_error),
                f"squared error summed over an example, in the model's units{beside}",
            ),
            self._active_card(),
        ]

    def column(self) -> dict[str, str]:
        """Return the run's results as formatted strings, by their names in the report's table."""
        f, train = self.figures, self.figures.train_reconstruction_error
        return {
            **self._shared(),
            "reconstruction error": significant(f.reconstruction_error),
            "reconstruction error on training rows": MISSING if train is None else significant(train),
        }

    def ladder(self) -> Panel:
        """Return a chart of the squared errors on training rows and on held-out rows."""
        f, train = self.figures, self.figures.train_reconstruction_error
        known = ({} if train is None else {"training rows": train}) | {"held-out rows": f.reconstruction_error}
        caption = "Both errors should be close to each other; a held-out error far to the right means overfitting."
        return Panel(LADDER, caption, [charts.ladder(known, {}, significant, "squared error per example")])

    def samples(self, rows: Part, by: str, scale: Scale, count: int) -> tuple[list[Strip], str]:
        """Decode codes drawn from a Gaussian fitted to the training codes, and return a strip with a caption."""
        strip = make_strip(f"decoded{by}", self.subject.sample(rows, mean=True), scale, count)
        caption = (
            "An autoencoder has no prior. Codes are drawn from a Gaussian fitted to the codes of the training rows. The pictures "
            "look like the data if this Gaussian fits well."
        )
        return [strip], caption

    def spread(self) -> str:
        """Return a sentence on how far the codes of a single latent dimension should spread."""
        return "The codes of an autoencoder may be anywhere."

    def origin(self) -> str:
        """Return a sentence on where the codes of new rows come from."""
        return f" Samples of {self.subject.name} are decoded from a Gaussian fitted to its codes."
