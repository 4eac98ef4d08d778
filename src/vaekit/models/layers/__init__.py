"""Several layers of latent variables: their prior and their posteriors."""

from vaekit.models.layers.posteriors import BottomUp, TopDown
from vaekit.models.layers.prior import LayeredPrior

__all__ = ["BottomUp", "LayeredPrior", "TopDown"]
