"""The negative importance-weighted bound.

    loss = −IWAE_K = −log (1/K) Σ_k p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

For K = 1 the bound is the ELBO, and for K > 1 it is tighter. For rows with missing cells the bound is that of MIWAE.
"""

from __future__ import annotations

from torch import Tensor

from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp


class NegativeIWAE(NegativeWeightedBound):
    """−IWAE_K of each example for K draws.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016;
        Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.
    """

    name = "iwae"

    def bound(self, log_weights: Tensor) -> Tensor:
        """Return log (1/K) Σ_k w_k."""
        return log_mean_exp(log_weights)
