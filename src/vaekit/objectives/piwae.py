"""The negative importance-weighted bound with the MIWAE gradient for the encoder (partially importance-weighted, PIWAE).

    loss = −IWAE_K = −log (1/K) Σ_k w_k,   L_g = log (G/K) Σ_{k in group g} w_k

    decoder, prior:  ∂IWAE_K/∂θ = Σ_g (s_g/G) ∂L_g/∂θ,  s_g = exp(L_g − IWAE_K)          encoder:  (1/G) Σ_g ∂L_g/∂φ

The decoder gets the gradient of the tight bound of all K draws. The encoder gets the less noisy gradient of MIWAE from the
same draws. For each draw, the two gradients differ by the factor s_g. The encoder's gradient is divided by s_g on its
way back through z and log q(z|x). Parameters may belong to both sides, such as the encoder in a VampPrior or the prior's
layers in a top-down posterior. They get the sum of both gradients.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaekit.models import Draws
from vaekit.objectives.base import Terms
from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.mixed_bounds import NegativeMIWAE


class NegativePIWAE(NegativeMIWAE):
    """−IWAE_K of each example for K draws, with the gradient of MIWAE for the encoder.

    Args:
        groups: G ≥ 1, a divisor of the number K of draws; 1 is the importance-weighted bound with its own gradient.

    Raises:
        VaekitError: if `groups` is below 1.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    name = "piwae"

    def draw(self, model: Any, x: Tensor, samples: int | None = None, noise: Tensor | None = None) -> Draws:
        """Return draws whose gradient through log q is separate from the gradient through decoder and prior."""
        q = model.encoder(x)
        drawn = q.rsample((samples or model.samples,)) if noise is None else q.reparameterize(noise)
        z = drawn.view_as(drawn)
        p = model.decoder(z)
        return Draws(q, model.prior(), z, p, p.log_prob(x), drawn)

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms: −IWAE_K, D and R. The log-weights are those of `weigh`."""
        log_q = draws.posterior.log_prob(draws.z if draws.drawn is None else draws.drawn)
        log_ratio = log_q - draws.prior.log_prob(draws.z)
        log_weights = draws.log_likelihood - beta * log_ratio
        constant, size = log_weights.detach(), self.size(len(log_weights))
        # kept above zero for the division below, by a number so small that the decoder's gradient does not change
        share = self.groups * constant.softmax(0).unflatten(0, (-1, size)).sum(1)
        share = share.clamp_min(torch.finfo(share.dtype).tiny ** 0.5)
        if draws.z.requires_grad:
            undo = share.reciprocal().repeat_interleave(size, 0)
            log_q.register_hook(lambda gradient: gradient * undo.to(gradient.dtype))
            draws.z.register_hook(lambda gradient: gradient * undo.unsqueeze(-1).to(gradient.dtype))
        each = log_mean_exp(log_weights.unflatten(0, (-1, size)), 1)
        # the value is IWAE_K, the gradient (1/G) Σ_g s_g ∂L_g
        bound = log_mean_exp(constant) + (share * (each - each.detach())).mean(0)
        return Terms(-bound, draws.distortion(), log_ratio.mean(0))
