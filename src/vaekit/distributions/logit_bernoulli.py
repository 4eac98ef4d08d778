"""The Bernoulli distribution, parameterised by its logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Bernoulli


class LogitBernoulli(Bernoulli):
    """Torch's Bernoulli with a faster log-probability: it passes over the logits twice, not six times."""

    def log_prob(self, value: Tensor) -> Tensor:
        """Return x log π + (1 − x) log(1 − π) = x·logit − log(1 + e^logit), for values in [0, 1]."""
        return torch.addcmul(-F.softplus(self.logits), value, self.logits)
