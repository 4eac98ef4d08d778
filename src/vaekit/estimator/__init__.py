"""The package's scikit-learn estimator."""

from vaekit.estimator.vae import VAE

__all__ = ["VAE"]
