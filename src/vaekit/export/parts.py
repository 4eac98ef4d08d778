"""The parts of a model that can be exported: each says what it takes, what it gives, and what it refuses."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vaekit.data import RowStream, Schema, Transform
from vaekit.errors import VaekitError, did_you_mean
from vaekit.export.units import Units
from vaekit.models import LatentModel, VariationalAutoEncoder

MOST_SAMPLES = 20
"""Most draws K of z for each row: each takes a pass through the decoder in one graph."""


@dataclass(frozen=True)
class Subject:
    """What is exported: a trained model, and how its data are described and transformed.

    Args:
        model: the model.
        schema: the schema of the data.
        transform: the map from data as given to data as the model sees them.
        samples: K, the number of draws of z for each row.
        seed: seed of the run, which keys the noise of its rows.
    """

    model: LatentModel
    schema: Schema
    transform: Transform
    samples: int
    seed: int

    @property
    def latent_dim(self) -> int:
        """Return the number of latent dimensions."""
        return int(self.model.prior().event_shape[0])


@dataclass(frozen=True)
class Port:
    """An input or an output of an exported part.

    Args:
        name: its name in the file.
        dtype: its type.
        shape: its shape for one row; the first dimension in the file is the batch.
        meaning: what it holds.
        stream: the stream of the row's noise that the run uses for it; None for other ports.
        distribution: the distribution of noise, `uniform` on (0, 1) or `normal`; empty for other ports.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    meaning: str
    stream: RowStream | None = None
    distribution: str = ""


class ExportedPart(nn.Module, ABC):
    """A part of a model, from the units of the data back to them.

    Args:
        subject: what is exported.

    Raises:
        VaekitError: if the model does not have the part, or the part cannot be exported.
    """

    name: ClassVar[str]
    draws: ClassVar[bool] = False
    """Whether the part makes K draws of z for each row."""
    known: ClassVar[dict[str, type[ExportedPart]]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.known[cls.name] = cls

    def __init__(self, subject: Subject) -> None:
        super().__init__()
        if self.draws and not 1 <= subject.samples <= MOST_SAMPLES:
            must = f"samples must be from 1 to {MOST_SAMPLES} in an exported file, which makes all draws at once"
            raise VaekitError(must, str(subject.samples), f"Use run.{self.verb} for more draws")
        self.subject, self.model, self.units = subject, subject.model, Units(subject.schema)
        self.check()

    @property
    @abstractmethod
    def verb(self) -> str:
        """Return the name of the method of a run that gives the same numbers."""

    def check(self) -> None:
        """Refuse a model that does not have the part."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[Port, ...]:
        """Return the inputs, in the order in which `forward` takes them."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Port, ...]:
        """Return the outputs, in the order in which `forward` returns them."""

    @abstractmethod
    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Compute the outputs from the inputs by name."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs from the inputs, both in order."""
        return self.compute(dict(zip([port.name for port in self.inputs], tensors, strict=True)))

    @property
    def codes(self) -> Port:
        """Return the port of latent vectors."""
        return Port("z", torch.float32, (self.subject.latent_dim,), "latent vectors")

    @property
    def context(self) -> tuple[Port, ...]:
        """Return the input of the context, if the model is conditional."""
        columns = len(self.subject.schema.context)
        meaning = "values that the model is conditional on, as `context` describes"
        return (Port("context", torch.float64, (columns,), meaning),) if columns else ()

    def row(self, meaning: str, name: str = "x") -> Port:
        """Return the port of rows in the units of the data."""
        return Port(name, self.units.dtype, self.subject.schema.shape, meaning)

    @property
    def rows(self) -> tuple[Port, ...]:
        """Return the inputs of parts that take rows: the rows, their context, and the noise of a random transform."""
        found = (self.row("rows in the units of the data; NaN where a cell is missing"), *self.context)
        if self.subject.transform.needs_noise:
            meaning = "noise that binarises or dequantises"
            shape = self.subject.schema.shape
            found += (Port("uniform", torch.float64, shape, meaning, RowStream.TRANSFORM, "uniform"),)
        return found

    @property
    def posterior_noise(self) -> Port:
        """Return the input of the noise of z ~ q(z|x)."""
        shape = (self.subject.samples, self.subject.latent_dim)
        return Port("noise", torch.float32, shape, "noise of z ~ q(z|x)", RowStream.POSTERIOR, "normal")

    def see(self, given: dict[str, Tensor]) -> Tensor:
        """Map rows to the input of the model."""
        return self.subject.transform.forward(self.units.read(given["x"]), given.get("uniform")).float()

    def at(self, given: dict[str, Tensor]) -> LatentModel:
        """Return the model at the context of the rows."""
        if "context" not in given:
            return self.model
        codes = self.units.read_context(given["context"])
        return self.model.given(self.subject.transform.encode_context(codes).float())

    def variational(self) -> VariationalAutoEncoder:
        """Return the model, or refuse one without a likelihood."""
        return self.model.with_likelihood(f"the part '{self.name}'")


class Encode(ExportedPart):
    """x ↦ E_q[z], the posterior mean of each row."""

    name, verb = "encode", "encode"

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Return rows and their noise."""
        return self.rows

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Return the codes."""
        return (self.codes,)

    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the posterior means."""
        return (self.at(given).encode(self.see(given)),)


class Decode(ExportedPart):
    """z ↦ the mean of p(x|z), in the units of the data."""

    name, verb = "decode", "decode"

    def check(self) -> None:
        """Refuse rules and tables whose cells are decoded one after another, if there are too many."""
        self.units.refuse_rules(self.verb)
        self.units.refuse_many(self.model, self.verb)

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Return latent vectors and the context."""
        return (self.codes, *self.context)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Return rows."""
        return (self.row("means of p(x|z), or a typical row of a table: likeliest categories, medians of numbers"),)

    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the decoded rows."""
        decoded = self.subject.transform.inverse_mean(self.at(given).decode(given["z"]))
        return (self.units.write(self.units.round(decoded) if self.units.table else decoded),)


class Score(ExportedPart):
    """x ↦ log (1/K) Σ_k p(x, z_k)/q(z_k|x), the importance-weighted bound on log p(x), in nats."""

    name, verb = "score", "score_samples"
    draws = True

    def check(self) -> None:
        """Refuse a model without a likelihood."""
        self.variational()

    @property
    def inputs(self) -> tuple[Port, ...]:
        """Return rows and their noise."""
        return (*self.rows, self.posterior_noise)

    @property
    def outputs(self) -> tuple[Port, ...]:
        """Return the scores."""
        return (Port("log_likelihood", torch.float64, (), "a lower bound on log p(x) in nats, in expectation"),)

    def compute(self, given: dict[str, Tensor]) -> tuple[Tensor, ...]:
        """Return the bounds."""
        draws = self.at(given).draw(self.see(given), noise=given["noise"].movedim(1, 0))
        log_weights = draws.log_weights().double()
        shift = self.subject.transform.log_det() - math.log(self.subject.samples)
        return (torch.logsumexp(log_weights, 0) + shift,)


def make_part(name: str, subject: Subject) -> ExportedPart:
    """Return a part of a model by its name.

    Raises:
        VaekitError: for an unknown part, or one that the model does not have.
    """
    if name not in ExportedPart.known:
        raise VaekitError(
            "part must be a part that can be exported", f"'{name}'", did_you_mean(name, ExportedPart.known)
        )
    return ExportedPart.known[name](subject)
