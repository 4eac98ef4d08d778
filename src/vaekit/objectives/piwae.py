"""The negative importance-weighted bound whose gradient is shared out: partially importance-weighted autoencoding.

    loss = −IWAE_K = −log (1/K) Σ_k w_k,   L_g = log (G/K) Σ_{k in group g} w_k

    decoder, prior:  ∂IWAE_K/∂θ = Σ_g (s_g/G) ∂L_g/∂θ,  s_g = exp(L_g − IWAE_K)          encoder:  (1/G) Σ_g ∂L_g/∂φ

Many draws teach the decoder, whose bound is tighter for them, and few the encoder, whose gradient would drown in noise.
The encoder's is that of MIWAE from the same draws: the two differ by a factor s_g for each draw, which is taken out where
the gradient passes from decoder and prior into the draw. Whatever stands on both sides (the encoder in a VampPrior, the
prior's layers in a top-down posterior) has of each path what that path is due.
"""

from __future__ import annotations

import torch
from torch import Tensor

from vaekit.objectives.importance import log_mean_exp
from vaekit.objectives.mixed_bounds import NegativeMIWAE
from vaekit.objectives.terms import Terms


class NegativePIWAE(NegativeMIWAE):
    """−IWAE_K of each example, with the gradient of MIWAE for the encoder.

    Args:
        model: the model to be trained; its `samples` K are divided into the groups.
        groups: G ≥ 1, a divisor of K; 1 is the importance-weighted bound with its own gradient.

    Raises:
        VaekitError: if the draws cannot be divided into so many groups.

    References:
        Rainforth et al., "Tighter Variational Bounds are Not Necessarily Better", 2018.
    """

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch x of shape (B, *event); β = kl_weight, of log p(z) − log q(z|x) in the log-weights."""
        model = self.model.given(context)
        q = model.encoder(x)
        drawn = q.rsample((model.samples,))
        z = drawn.view_as(drawn)  # as decoder and prior see it: the way through log q is the encoder's own
        log_likelihood, log_q = model.decoder(z).log_prob(x), q.log_prob(drawn)
        matching = log_q - model.prior().log_prob(z)
        log_weights = log_likelihood - kl_weight * matching
        constant, size = log_weights.detach(), len(log_weights) // self.groups
        # kept above zero, so that it can be taken out; so far below the rounding error that the decoder does not see it
        share = self.groups * constant.softmax(0).unflatten(0, (-1, size)).sum(1)
        share = share.clamp_min(torch.finfo(share.dtype).tiny ** 0.5)
        if z.requires_grad:
            undo = share.reciprocal().repeat_interleave(size, 0)
            log_q.register_hook(lambda gradient: gradient * undo.to(gradient.dtype))
            z.register_hook(lambda gradient: gradient * undo.unsqueeze(-1).to(gradient.dtype))
        each = log_mean_exp(log_weights.unflatten(0, (-1, size)), 1)
        # the number is IWAE_K, the gradient (1/G) Σ_g s_g ∂L_g
        bound = log_mean_exp(constant) + (share * (each - each.detach())).mean(0)
        return Terms(-bound, -log_likelihood.mean(0), matching.mean(0))
