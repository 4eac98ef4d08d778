"""The negative importance-weighted bound with the doubly reparameterized gradient.

    loss = −log (1/K) Σ_k w_k,   w_k = p(x, z_k)/q(z_k|x),   w̃_k = w_k / Σ_j w_j

    decoder, prior:  Σ_k w̃_k  ∂ log w_k/∂θ          encoder:  Σ_k w̃_k² (∂ log w_k/∂z_k)(∂z_k/∂φ)

With β ≠ 1 as the weight of log p(z) − log q(z|x) in log w_k, the encoder's w̃² is (1 − β)·w̃ + β·w̃².

The usual gradient of the encoder drowns in noise as K grows; this one has the same expectation and keeps its signal.
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
    """−IWAE_K of each example, K being the number of draws, with a better gradient for the encoder.

    With K = 1 it is the evidence lower bound with the path gradient.

    References:
        Tucker, Lawson, Gu and Maddison, "Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives", 2019.
    """

    name = "dreg"

    @classmethod
    def needs(cls, options: Any, plan: Plan, section: str) -> Iterator[RecipeError]:  # noqa: ARG003
        """Yield a refusal of a flow as posterior."""
        yield from needs_detached("dreg", "iwae", plan)

    def weigh(self, draws: Draws, beta: Tensor) -> tuple[Tensor, Tensor]:
        """Return what all do, with the gradient of log q along the path, and that of z weighted once more."""
        log_ratio = log_ratio_along_path(draws)
        log_weights = draws.log_likelihood - beta * log_ratio
        share = 1 - beta + beta * log_weights.detach().softmax(0)
        if draws.z.requires_grad:  # the loss has passed w̃ on to z already: this makes w̃² of it
            draws.z.register_hook(lambda gradient: gradient * share.unsqueeze(-1).to(gradient.dtype))
        return log_weights, log_ratio
