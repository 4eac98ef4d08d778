"""Functions that check whether a part, yours or the package's own, keeps its contract.

Each function checks a small part, and returns if the part keeps its contract. Otherwise the function raises a
`ContractError` that says what does not hold, by how much, at which input, and what is likely wrong. Values are compared
with sums, quadrature and finite differences in numpy and scipy.
"""

from vaekit.testing.contract import ContractError
from vaekit.testing.likelihoods import check_likelihood
from vaekit.testing.networks import check_network
from vaekit.testing.objectives import check_objective
from vaekit.testing.posteriors import check_posterior
from vaekit.testing.priors import check_prior
from vaekit.testing.round_trip import check_round_trip

__all__ = [
    "ContractError",
    "check_likelihood",
    "check_network",
    "check_objective",
    "check_posterior",
    "check_prior",
    "check_round_trip",
]
