"""Parts: classes that say of themselves what they are called, what can be set, and what they ask of others.

A part of a model or of its training (a prior, a posterior, a likelihood, a network, an objective, an optimiser) is one class:

    class Cauchy(Prior):
        name = "cauchy"

        class Options(PartOptions):
            scale: float = Field(1.0, gt=0, description="Width of the distribution.")

Defining the class registers it. From then on `prior=cauchy` is a choice in a recipe, `prior.scale` is one of its keys, and
`scale` beside another prior is refused. A part is one file, in this package or in another.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, create_model
from pydantic_core import CoreSchema, core_schema

from vaekit.errors import RecipeError, VaekitError, did_you_mean
from vaekit.options import Options

AUTO = "auto"
"""The name of a choice that is left open until the data are known."""
OBJECT = "object"
"""The name of a part that is passed as a Python object."""
GROUP = "vaekit.parts"
"""The entry point group in which installed distributions name the modules of their parts."""


class PartOptions(Options):
    """What can be set of a part: a section of a recipe."""

    part: ClassVar[type[Any]]
    """The part that these options belong to."""

    name: str = Field("", description="The choice.")

    def values(self) -> dict[str, Any]:
        """Return the options that were set or have a default, without the name."""
        return {
            key: value for key in type(self).model_fields if key != "name" and (value := getattr(self, key)) is not None
        }


@dataclass(frozen=True)
class Plan:
    """What is known of a model before it is built. Parts are built from it, and say what they need of it.

    Args:
        kind: kind of data: binary, levels, counts, real or mixed.
        event_shape: shape of an example as the model sees it.
        levels: number of levels of graded data; 0 for others.
        picture: whether an example is a picture.
        rows: number of training rows.
        latent_dim: number of latent dimensions, of all layers together.
        layers: sizes of several layers from the data upwards; empty for one layer.
        context: names of the columns that the model is conditional on.
        options: the chosen options by section (`prior`, `posterior`, …).
        built: the parts that exist already, by section: those that were passed as objects, and those that are built first.
        training: the `training` section of the recipe.
        layout: the cells of a row of a mixed table.
        context_layout: the cells of the context.
        logarithm: whether a network should see log(1 + x) of counts.
    """

    kind: str = "real"
    event_shape: tuple[int, ...] = ()
    levels: int = 0
    picture: bool = False
    rows: int = 0
    latent_dim: int = 1
    layers: tuple[int, ...] = ()
    context: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    built: Mapping[str, Any] = field(default_factory=dict)
    training: Any = None
    layout: Any = None
    context_layout: Any = None
    logarithm: bool = False

    def part(self, section: str) -> type[Any]:
        """Return the class of the part that was chosen for a section."""
        return type(self.built[section]) if section in self.built else self.options[section].part

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the sections in which the parts of the model are chosen; a model built by hand has none."""
        model = self.part("model")
        sections: tuple[str, ...] = getattr(model, "parts", ())
        return sections

    def needs_diagonal(self, what: str) -> Iterator[RecipeError]:
        """Yield a refusal where the posterior is not a diagonal Gaussian, which `what` needs."""
        if getattr(self.part("posterior"), "name", "") != "diagonal":
            asked = f"layers={list(self.layers)}" if self.layers else f"posterior={self.options['posterior'].name}"
            mend = "Leave layers out" if self.layers else "Choose posterior=diagonal"
            yield RecipeError(f"{what} needs a diagonal posterior, which {asked} is not", mend=mend)


class Part:
    """The base of all parts.

    A class with a `section` is a kind of parts, as `Prior` is. A class with a `name` is a part of its kind and is registered
    under that name when it is defined.

    Raises:
        VaekitError: when a class is defined whose name belongs to another part of its kind.
    """

    section: ClassVar[str]
    """The section of a recipe in which parts of this kind are chosen."""
    name: ClassVar[str]
    """What the part is called in a recipe."""
    known: ClassVar[dict[str, Any]]
    """The registered parts of the kind by their names."""
    registered: ClassVar[list[Callable[[], object]]] = []
    """Called whenever a part was registered."""
    Options: ClassVar[type[PartOptions]] = PartOptions
    """What can be set of the part."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "section" in cls.__dict__:
            cls.known = {}
        if "name" in cls.__dict__:
            cls._register()

    @classmethod
    def _register(cls) -> None:
        former = cls.known.get(cls.name)
        if cls.name in (AUTO, OBJECT) or (former and former.__qualname__ != cls.__qualname__):
            raise VaekitError(f"the name of a {cls.section} must be its own", f"'{cls.name}'", "Choose another name")
        kind = next(base for base in cls.__mro__ if "section" in base.__dict__)
        inherited = kind.__dict__.get("Options", PartOptions)
        bases = cls.Options if issubclass(cls.Options, inherited) else (cls.Options, inherited)
        cls.Options = _options(f"{cls.__name__}Options", bases, cls, {"name": (Literal[cls.name], cls.name)})
        cls.known[cls.name] = cls
        for tell in cls.registered:
            tell()

    @classmethod
    def named(cls, name: str) -> type[Self]:
        """Return the part of this kind with a name.

        Raises:
            RecipeError: if there is no such part.
        """
        if name not in cls.known:
            raise RecipeError(f"the {cls.section} must be known", f"'{name}'", unknown(name, cls))
        part: type[Self] = cls.known[name]
        return part

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003 - most need nothing
        """Yield a refusal for each thing that the part needs and does not find.

        Args:
            options: its options.
            plan: the data, and the other parts.
            section: the section in which it was chosen.
        """
        yield from ()

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Any:
        """Return the part itself.

        Args:
            options: its options.
            plan: the data, and the other parts.
        """
        raise NotImplementedError


def _options(title: str, bases: Any, part: type[Part], fields: dict[str, Any]) -> type[PartOptions]:
    make: Any = create_model  # untyped, as its fields are made here
    made: type[PartOptions] = make(title, __base__=bases, **fields)
    made.part = part
    return made


def unknown(name: str, kind: type[Part]) -> str:
    """Say what to do about a name that no part of a kind has."""
    near = did_you_mean(name, [AUTO, *kind.known])
    return near if near.startswith("Did") else f"{near}. If it is your own, import the module that defines it first"


@dataclass(frozen=True)
class Choice:
    """A section of a recipe as the discriminated union of what is registered: `name` decides which options there are.

    Args:
        kind: the kind of parts.
        default: the name of the part where none is given.
    """

    kind: type[Part]
    default: str

    def fields(self) -> dict[str, Any]:
        """Return every key that a part of the kind has, with its field; the first part that has it is asked."""
        found: dict[str, Any] = {}
        for part in self.kind.known.values():
            for key, of in part.Options.model_fields.items():
                found.setdefault(key, of)
        return found

    def open_options(self) -> type[PartOptions]:
        """Return the options of a part that is not known yet: they may have any key of the kind."""
        fields: dict[str, Any] = {"name": (Literal[AUTO], AUTO)}
        for key, of in self.fields().items():
            kept = Annotated[(of.annotation, *of.metadata)] if of.metadata else of.annotation
            fields.setdefault(key, (kept | None, Field(None, description=of.description)))
        return _options(f"Open{self.kind.__name__}Options", self.kind.Options, self.kind, fields)

    def object_options(self) -> type[PartOptions]:
        """Return the options of a part that is passed as an object: those of every part of the kind, and its type."""
        fields = {"name": (Literal[OBJECT], OBJECT), "type": (str, "")}
        return _options(f"{self.kind.__name__}ObjectOptions", self.kind.Options, self.kind, fields)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Make the union; it is made anew whenever a part is registered."""
        options = {name: part.Options for name, part in self.kind.known.items()}
        options |= {AUTO: self.open_options(), OBJECT: self.object_options()}
        choices = {name: handler.generate_schema(each) for name, each in options.items()}
        union = core_schema.tagged_union_schema(choices, discriminator=self._name)
        return core_schema.no_info_before_validator_function(self._spelt_out, union)

    def _spelt_out(self, value: Any) -> Any:
        """Return a section from a name alone."""
        return {"name": value} if isinstance(value, str) else value

    def _name(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return value.get("name", self.default)
        return getattr(value, "name", None)


def import_parts(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, so that its parts are registered.

    Args:
        package: its name.
        path: its `__path__`.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def import_own(name: str) -> None:
    """Import the module in which somebody defines parts of their own.

    Args:
        name: a module that Python finds, as `mypkg.parts`, or the path of a file that ends in `.py`.

    Raises:
        VaekitError: if there is no such module, or it cannot be imported.
    """
    try:
        if not name.endswith(".py"):
            importlib.import_module(name)
            return
        path = Path(name)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ImportError("there is no such file")
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    except ImportError as error:
        mend = "Give the name of an installed module, or the path of a .py file"
        raise VaekitError(f"'{name}' cannot be imported: {error}", mend=mend) from error


@cache
def import_installed() -> None:
    """Import the modules that installed distributions name as theirs, once; one that fails is left out with a warning."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except ImportError as error:
            warnings.warn(f"The parts of '{entry.value}' could not be imported: {error}", stacklevel=2)
