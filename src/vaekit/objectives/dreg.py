"""The negative importance-weighted bound with the doubly reparameterized gradient.

    loss = −log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   w̃_k = w_k / Σ_j w_j

    decoder, prior:  Σ_k w̃_k  ∂ log w_k/∂θ          encoder:  Σ_k w̃_k² (∂ log w_k/∂z_k)(∂z_k/∂φ)

With β ≠ 1 as the weight of log p(z) − log q(z|x) in log w_k, the encoder's w̃² is (1 − β)·w̃ + β·w̃².

The usual gradient of the encoder drowns in noise as K grows; this one has the same expectation and keeps its signal.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.importance import log_mean_exp, log_posterior_along_path
from vaekit.objectives.terms import Terms


class DoublyReparameterizedIWAE(nn.Module):
    """−IWAE_K of each example, K being the model's `samples`, with a better gradient for the encoder.

    With K = 1 it is the evidence lower bound with the path gradient.

    Args:
        model: the model to be trained.

    References:
        Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019.
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
        matching = log_posterior_along_path(joint) - joint.prior.log_prob(joint.z)
        log_weights = joint.log_likelihood - kl_weight * matching
        share = 1 - kl_weight + kl_weight * log_weights.detach().softmax(0)
        if joint.z.requires_grad:  # the loss has passed w̃ on to z already: this makes w̃² of it
            joint.z.register_hook(lambda gradient: gradient * share.unsqueeze(-1).to(gradient.dtype))
        return Terms(-log_mean_exp(log_weights), joint.distortion(), matching.mean(0), joint.posterior.mean)
