"""Rules that training rows seem to obey, found by counting."""

from vaekit.data.tables.rules.proposals.propose import MOST_SEARCHED, Proposal, propose_rules

__all__ = ["MOST_SEARCHED", "Proposal", "propose_rules"]
