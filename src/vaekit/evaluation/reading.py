"""Conclusions from figures, and the changes that they suggest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Remedy:
    """Hold a change that may improve a model, and the recipe settings that make this change.

    Args:
        name: what to try.
        settings: dotted keys and their values; empty if no setting makes the change.
        in_place: tells whether a recipe already has this change or a stronger one.

    Examples:
        >>> str(Remedy("free bits", {"objective.name": "free_bits"}))
        'free bits (objective=free_bits)'
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    in_place: Callable[[Any], bool] = lambda _: False

    def __str__(self) -> str:
        shown = ", ".join(f"{key.removesuffix('.name')}={value}" for key, value in self.settings.items())
        return f"{self.name} ({shown})" if shown else self.name


@dataclass(frozen=True)
class Reading:
    """Hold a conclusion from the results of an evaluation, and the remedies to try.

    Args:
        level: `good`, `note` or `warning`.
        text: the conclusion, in one or two sentences.
        remedies: what to try, in this order.
    """

    level: Literal["good", "note", "warning"]
    text: str
    remedies: tuple[Remedy, ...] = ()

    @property
    def advice(self) -> str:
        """Return the remedies as a sentence, or an empty string if there are none."""
        return f"Try: {'; '.join(map(str, self.remedies))}." if self.remedies else ""
