"""The deterministic autoencoder's objective, ‖x − dec(enc(x))‖². It is no likelihood and bounds none."""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import Autoencoder
from vaekit.objectives.terms import Terms


class ReconstructionError(nn.Module):
    """The squared error of each example, in the place of the distortion; the rate is zero.

    Args:
        model: the autoencoder to be trained.
    """

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, kl_weight: Tensor, context: None = None) -> Terms:  # noqa: ARG002 - there is no rate to weigh, and nothing is given
        """The terms of a batch x of shape (B, *event)."""
        error = (x - self.model.decode(self.model.encode(x))).square().flatten(1).sum(1)
        return Terms(error, error, error.new_zeros(error.shape))
