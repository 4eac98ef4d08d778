"""The negative importance-weighted bound with the doubly reparameterized gradient.

    loss = −log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   w̃_k = w_k / Σ_j w_j

    decoder, prior:  Σ_k w̃_k  ∂ log w_k/∂θ          encoder:  Σ_k w̃_k² (∂ log w_k/∂z_k)(∂z_k/∂φ)

With β ≠ 1 as the weight of log p(z) − log q(z|x) in log w_k, the encoder's w̃² is (1 − β)·w̃ + β·w̃².

The usual gradient of the encoder drowns in noise as K grows; this one has the same expectation and keeps its signal.
"""

from __future__ import annotations

from torch import Tensor

from vaekit.models import Joint
from vaekit.objectives.importance import NegativeWeightedBound, log_mean_exp, matching_along_path


class DoublyReparameterizedIWAE(NegativeWeightedBound):
    """−IWAE_K of each example, K being the model's `samples`, with a better gradient for the encoder.

    With K = 1 it is the evidence lower bound with the path gradient.

    Args:
        model: the model to be trained.

    References:
        Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019.
    """

    def bound(self, log_weights: Tensor) -> Tensor:
        """log (1/K) Σ_k w_k."""
        return log_mean_exp(log_weights)

    def weigh(self, joint: Joint, kl_weight: Tensor) -> tuple[Tensor, Tensor]:
        """As for all, with the gradient of log q along the path, and that of z weighted once more."""
        matching = matching_along_path(joint)
        log_weights = joint.log_likelihood - kl_weight * matching
        share = 1 - kl_weight + kl_weight * log_weights.detach().softmax(0)
        if joint.z.requires_grad:  # the loss has passed w̃ on to z already: this makes w̃² of it
            joint.z.register_hook(lambda gradient: gradient * share.unsqueeze(-1).to(gradient.dtype))
        return log_weights, matching
