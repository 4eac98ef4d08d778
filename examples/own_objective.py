"""A custom objective, D + max(λ, R), which keeps q(z|x) from collapsing to the prior.

python examples/own_objective.py
vaekit train digits --import examples/own_objective.py --set objective=floor --set objective.floor=5
"""

from __future__ import annotations

import sys
from typing import Any

from pydantic import Field
from torch import Tensor

import vaekit
from vaekit.models import Draws
from vaekit.objectives import Objective, Terms


class RateFloor(Objective):
    """loss = D + β·max(λ, R) of each example; minus the loss is a looser lower bound on log p(x)."""

    name = "floor"

    class Options(Objective.Options):
        """The options of the objective."""

        floor: float = Field(2.0, ge=0, description="Least rate λ that the loss counts, in nats.")

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether minus the loss is a bound: for β ≥ 1 the loss is at least D + R."""
        return options.kl_weight >= 1

    def __init__(self, floor: float = 2.0) -> None:
        super().__init__()
        self.floor = floor

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return three terms of shape (B,): the loss, the distortion D and the rate R of each example."""
        distortion, rate = draws.distortion(), draws.rate()
        return Terms(distortion + beta * rate.clamp_min(self.floor), distortion, rate)


def main(folder: str = "runs/own-objective", epochs: int = 20) -> None:
    """Train with the objective as an object, and as a name with options."""
    settings = {"latent_dim": 8, "training.epochs": epochs}
    vaekit.train("digits", objective=RateFloor(5.0), settings=settings, out=f"{folder}/object")
    run = vaekit.train("digits", objective=RateFloor.Options(floor=5), settings=settings, out=f"{folder}/name")
    again = vaekit.load(f"{folder}/name")
    assert (again.score_samples("digits", samples=10) == run.score_samples("digits", samples=10)).all()
    print(run.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
