"""The package's scikit-learn estimators."""

from vaekit.estimator.imputer import VAEImputer
from vaekit.estimator.outliers import VAEOutlierDetector
from vaekit.estimator.vae import VAE

__all__ = ["VAE", "VAEImputer", "VAEOutlierDetector"]
