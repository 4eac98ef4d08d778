"""The negative importance-weighted bound.

    loss = −IWAE_K = −log (1/K) Σ_k p(x, z_k)/q(z_k|x),   z_k ~ q(z|x)

A tighter bound than the ELBO for K > 1 (with K = 1 it is the ELBO), and for rows with missing cells the bound of MIWAE.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.terms import Terms


class NegativeIWAE(nn.Module):
    """−IWAE_K of each example, K being the model's `samples`.

    Args:
        model: the model to be trained.

    References:
        Burda, Grosse and Salakhutdinov, "Importance Weighted Autoencoders", 2016;
        Mattei and Frellsen, "MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets", 2019.
    """

    def __init__(self, model: VariationalAutoEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, kl_weight: Tensor) -> Terms:
        """The terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            kl_weight: β, a scalar tensor: weight of log p(z) − log q(z|x) in the log-weights.

        Returns:
            loss, D, R and posterior means of each example.
        """
        joint = self.model.joint(x)
        matching = joint.posterior.log_prob(joint.z) - joint.prior.log_prob(joint.z)
        loss = -log_mean_exp(joint.log_likelihood - kl_weight * matching)
        return Terms(loss, joint.distortion(), matching.mean(0), joint.posterior.mean)
