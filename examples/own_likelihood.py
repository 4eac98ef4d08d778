"""A custom likelihood: a binomial distribution for grey levels, as if each counted how many of L − 1 lights are on.

python examples/own_likelihood.py
vaekit train digits --import examples/own_likelihood.py --set likelihood=binomial
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.distributions import Binomial as TorchBinomial

import vaekit
from vaekit.models import Likelihood


class Binomial(Likelihood):
    """P(x_i = k|z) = C(L − 1, k) π_i^k (1 − π_i)^{L − 1 − k}, π = sigmoid(network(z)), over the levels 0 … L − 1."""

    name = "binomial"
    kinds = frozenset({"levels", "binary"})

    @property
    def parameters_per_feature(self) -> int:
        """Return 1, for the logit."""
        return 1

    def start(self, x: Tensor) -> None:
        """Set the offset to the smoothed mean of each feature."""
        share = (x.sum(0) + 1) / (len(x) * (self.levels - 1) + 2)
        self.offset.data.copy_(torch.logit(share).unsqueeze(-1))

    def distribution(self, parameters: Tensor) -> TorchBinomial:
        """Return a binomial with these logits for each feature."""
        return TorchBinomial(self.levels - 1, logits=parameters.squeeze(-1), validate_args=False)


def main(folder: str = "runs/own-likelihood", epochs: int = 20) -> None:
    """Train with the likelihood by its class, load the run and evaluate it."""
    settings = {"latent_dim": 8, "training.epochs": epochs}
    run = vaekit.train("digits", likelihood=Binomial, settings=settings, out=f"{folder}/binomial")
    again = vaekit.load(f"{folder}/binomial")
    assert (again.score_samples("digits", samples=10) == run.score_samples("digits", samples=10)).all()
    print(run.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
