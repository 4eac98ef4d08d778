"""The negative evidence lower bound, with a weight on its rate.

    loss = D + β·R,   D = −(1/M) Σ_m log p(x|z_m),  z_m ~ q(z|x),   R = KL[q(z|x) ‖ p(z)]

With β = 1, −loss is a lower bound of log p(x) in expectation. With β < 1 it is no bound; with β > 1 it is a looser one.
"""

from __future__ import annotations

from torch import Tensor, nn

from vaekit.models import VariationalAutoEncoder
from vaekit.objectives.terms import Terms


class NegativeELBO(nn.Module):
    """D + β·R of each example; a module, so that a data-parallel wrapper sees the loss inside its forward.

    Args:
        model: the model to be trained.

    References:
        Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.
    """

    def __init__(self, model: VariationalAutoEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, kl_weight: Tensor, context: Tensor | None = None) -> Terms:
        """The terms of a batch.

        Args:
            x: data as the model sees them, shape (B, *event).
            kl_weight: β, a scalar tensor (so that a schedule does not recompile a compiled step).
            context: c, where the model is conditional, shape (B, ...).

        Returns:
            loss, D and R of each example.
        """
        joint = self.model.given(context).joint(x)
        distortion, rate = joint.distortion(), joint.rate()
        return Terms(distortion + kl_weight * rate, distortion, rate)
