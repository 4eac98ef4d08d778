"""Parts of a model or of its training: classes that declare a name, options and requirements.

A part (a prior, a posterior, a likelihood, a network, an objective or an optimiser) is one class:

    class Cauchy(Prior):
        name = "cauchy"

        class Options(PartOptions):
            scale: float = Field(1.0, gt=0, description="Width of the distribution.")

Defining the class registers it. A recipe may then say `prior=cauchy` and `prior.scale=2`; `prior.scale` is refused for a
prior without this option. Each part has its own file, in this package or in another.
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

from vaekit.errors import RecipeError, VaekitError, did_you_mean, shorten
from vaekit.options import Options

AUTO = "auto"
"""The name that stands for a part that is chosen once the data are known."""
OBJECT = "object"
"""The name of a part that is passed as a Python object."""
GROUP = "vaekit.parts"
"""The entry point group where installed packages list the modules of their parts."""


class PartOptions(Options):
    """The options of a part: one section of a recipe."""

    part: ClassVar[type[Any]]
    """The class of the part."""

    name: str = Field("", description="Name of the part.")

    def values(self) -> dict[str, Any]:
        """Return a dictionary of the options that have a value, without `name`."""
        return {
            key: value for key in type(self).model_fields if key != "name" and (value := getattr(self, key)) is not None
        }


@dataclass(frozen=True)
class Plan:
    """What is known about a model before it is built, for parts to check their requirements.

    Args:
        kind: kind of data: binary, levels, counts, real or mixed.
        event_shape: shape of an example as the model sees it.
        levels: number of levels of ordered data; 0 for other data.
        picture: whether an example is a picture.
        rows: number of training rows.
        latent_dim: total number of latent dimensions of all layers.
        layers: sizes of the layers of latent variables from the data upwards; empty for one layer.
        context: names of the columns that the model is conditional on.
        options: the chosen options by section (`prior`, `posterior`, …).
        built: parts that exist already, by section: those passed as objects and those built earlier.
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
        """Return the class of the part that was chosen in a recipe section, such as `prior`."""
        return type(self.built[section]) if section in self.built else self.options[section].part

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the names of the recipe sections that choose the model's parts; empty for a model built by hand."""
        model = self.part("model")
        sections: tuple[str, ...] = getattr(model, "parts", ())
        return sections

    def needs_diagonal(self, what: str) -> Iterator[RecipeError]:
        """Yield an error if the posterior is not a diagonal Gaussian.

        Args:
            what: the name of the part that needs a diagonal Gaussian, for the message.
        """
        if getattr(self.part("posterior"), "name", "") != "diagonal":
            asked = f"layers={list(self.layers)}" if self.layers else f"posterior={self.options['posterior'].name}"
            mend = "Leave layers out" if self.layers else "Choose posterior=diagonal"
            yield RecipeError(f"{what} needs a diagonal posterior, but the recipe has {asked}", mend=mend)


class Part:
    """The base class of all parts of a model or of its training.

    A subclass with a `section` is a kind of part, such as `Prior`. A subclass of a kind, with a `name`, is a part. It is
    registered under its name when the class is defined.

    Raises:
        VaekitError: if another part of the same kind already has this name.
    """

    section: ClassVar[str]
    """The section of a recipe that chooses a part of this kind."""
    name: ClassVar[str]
    """The name of the part in a recipe."""
    known: ClassVar[dict[str, Any]]
    """The registered parts of the kind, by name."""
    registered: ClassVar[list[Callable[[], object]]] = []
    """Functions that are called after a part is registered."""
    Options: ClassVar[type[PartOptions]] = PartOptions
    """The options of the part."""

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
            raise VaekitError(f"The {cls.section} name '{cls.name}' is already taken", mend="Choose another name")
        kind = next(base for base in cls.__mro__ if "section" in base.__dict__)
        inherited = kind.__dict__.get("Options", PartOptions)
        bases = cls.Options if issubclass(cls.Options, inherited) else (cls.Options, inherited)
        cls.Options = _options(f"{cls.__name__}Options", bases, cls, {"name": (Literal[cls.name], cls.name)})
        cls.known[cls.name] = cls
        for tell in cls.registered:
            tell()

    @classmethod
    def named(cls, name: str) -> type[Self]:
        """Return the class of the part with this name, such as the prior `mixture`.

        Raises:
            RecipeError: if the name is not registered.
        """
        if name not in cls.known:
            raise RecipeError(f"There is no {cls.section} '{shorten(name)}'", mend=unknown(name, cls))
        part: type[Self] = cls.known[name]
        return part

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003 - most need nothing
        """Yield an error for each of the part's requirements that the plan does not meet.

        Args:
            options: options of the part.
            plan: the data and the other parts.
            section: the section that chose the part.
        """
        yield from ()

    @classmethod
    def build(cls, options: Any, plan: Plan) -> Any:
        """Build the part from its options and the plan.

        Args:
            options: options of the part.
            plan: the data and the other parts.
        """
        raise NotImplementedError


def _options(title: str, bases: Any, part: type[Part], fields: dict[str, Any]) -> type[PartOptions]:
    make: Any = create_model  # untyped, since its fields are created at run time
    made: type[PartOptions] = make(title, __base__=bases, **fields)
    made.part = part
    return made


def unknown(name: str, kind: type[Part]) -> str:
    """Suggest a similar known name, or a missing import, when a part's name is unknown."""
    near = did_you_mean(name, [AUTO, *kind.known])
    return near if near.startswith("Did") else f"{near}. If it is your own part, import its module first"


@dataclass(frozen=True)
class Choice:
    """The type of a recipe section that chooses a part: a union of all registered options, discriminated by `name`.

    Args:
        kind: the kind of part.
        default: the name of the part if the section does not name one.
    """

    kind: type[Part]
    default: str

    def fields(self) -> dict[str, Any]:
        """Return a mapping from option keys to fields; each field comes from the first part that has the option."""
        found: dict[str, Any] = {}
        for part in self.kind.known.values():
            for key, field_info in part.Options.model_fields.items():
                found.setdefault(key, field_info)
        return found

    def open_options(self) -> type[PartOptions]:
        """Return the options class for the name `auto`; it has the options of all parts of this kind."""
        fields: dict[str, Any] = {"name": (Literal[AUTO], AUTO)}
        for key, info in self.fields().items():
            kept = Annotated[(info.annotation, *info.metadata)] if info.metadata else info.annotation
            fields.setdefault(key, (kept | None, Field(None, description=info.description)))
        return _options(f"Open{self.kind.__name__}Options", self.kind.Options, self.kind, fields)

    def object_options(self) -> type[PartOptions]:
        """Return an options class that stands for an object passed as a part, and records the object's type."""
        fields = {"name": (Literal[OBJECT], OBJECT), "type": (str, "")}
        return _options(f"{self.kind.__name__}ObjectOptions", self.kind.Options, self.kind, fields)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return pydantic's schema of the union of all parts registered so far."""
        options = {name: part.Options for name, part in self.kind.known.items()}
        options |= {AUTO: self.open_options(), OBJECT: self.object_options()}
        choices = {name: handler.generate_schema(each) for name, each in options.items()}
        union = core_schema.tagged_union_schema(choices, discriminator=self._name)
        return core_schema.no_info_before_validator_function(self._expand_name, union)

    def _expand_name(self, value: Any) -> Any:
        """Turn a bare name (`prior=mixture`) into a section with this name."""
        return {"name": value} if isinstance(value, str) else value

    def _name(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return value.get("name", self.default)
        return getattr(value, "name", None)


def import_parts(package: str, path: Iterable[str]) -> None:
    """Import every module of a package to register its parts.

    Args:
        package: name of the package.
        path: `__path__` of the package.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")


def import_own(name: str) -> None:
    """Import a user's module that defines parts.

    Args:
        name: an importable module, such as `mypkg.parts`, or the path of a `.py` file.

    Raises:
        VaekitError: if the module does not exist or cannot be imported.
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
    """Import the part modules listed by installed packages, and warn about each import that fails."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except ImportError as error:
            warnings.warn(f"The parts of '{entry.value}' could not be imported: {error}", stacklevel=2)
