"""The prior and the posteriors of several layers of latent variables."""

from vaekit.models.layers.posteriors import BottomUp, TopDown
from vaekit.models.layers.prior import LayeredPrior

__all__ = ["BottomUp", "LayeredPrior", "TopDown"]
