"""The negative importance-weighted bound with the doubly reparameterized gradient.

    loss = −log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   w̃_k = w_k / Σ_j w_j

    decoder, prior:  Σ_k w̃_k  ∂ log w_k/∂θ          encoder:  Σ_k w̃_k² (∂ log w_k/∂z_k)(∂z_k/∂φ)

If log p(z) − log q(z|x) has a weight β ≠ 1 in log w_k, the encoder's factor is (1 − β)·w̃ + β·w̃² instead of w̃².

The signal-to-noise ratio of the usual encoder gradient vanishes as K grows. This gradient has the same expectation, and its
signal-to-noise ratio does not vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from vaekit.errors import RecipeError
from vaekit.models import Draws
from vaekit.objectives.importance import log_ratio_along_path
from vaekit.objectives.iwae import NegativeIWAE
from vaekit.objectives.stl import needs_detached
from vaekit.parts import Plan


class DoublyReparameterizedIWAE(NegativeIWAE):
    """−IWAE_K of each example for K draws, with the doubly reparameterized gradient for the encoder.

    With K = 1 it is the evidence lower bound with the path gradient.

    References:
        Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019.
    """

    name = "dreg"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal if the posterior is a flow."""
        yield from needs_detached("dreg", "iwae", plan)

    def weigh(self, draws: Draws, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return log w and log q(z|x) − log p(z) with path gradients; the gradient of z gets an extra factor w̃."""
        log_ratio = log_ratio_along_path(draws)
        log_weights = draws.log_likelihood - beta * log_ratio
        share = 1 - beta + beta * log_weights.detach().softmax(0)
        if draws.z.requires_grad:  # the loss already has the factor w̃, and this makes it w̃²
            draws.z.register_hook(lambda gradient: gradient * share.unsqueeze(-1).to(gradient.dtype))
        return log_weights, log_ratio
