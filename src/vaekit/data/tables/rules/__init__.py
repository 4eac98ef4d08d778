"""Rules that drawn and filled rows of a table obey: their grammar, what they say, proposals, and their application."""

from typing import Annotated

from pydantic import Field

from vaekit.data.tables.rules.base import Rule
from vaekit.data.tables.rules.combinations import Dependence, Fixed, TextSlice
from vaekit.data.tables.rules.linear import Equality, Sum
from vaekit.data.tables.rules.order import Order
from vaekit.data.tables.rules.rule_set import ATTEMPTS, RuleSet

AnyRule = Annotated[Equality | Sum | Order | TextSlice | Dependence | Fixed, Field(discriminator="kind")]
"""A rule of any kind, as a schema holds it."""

__all__ = ["ATTEMPTS", "AnyRule", "Dependence", "Equality", "Fixed", "Order", "Rule", "RuleSet", "Sum", "TextSlice"]
