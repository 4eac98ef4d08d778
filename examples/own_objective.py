"""An objective of your own: the bound with its rate bounded from below, D + max(λ, R), which keeps q(z|x) from collapse.

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
    """loss = D + β·max(λ, R) of each example; minus the loss is still a lower bound of log p(x), but a looser one."""

    name = "floor"

    class Options(Objective.Options):
        """What can be set of the objective."""

        floor: float = Field(2.0, ge=0, description="Nats λ of rate that cost nothing more.")

    @classmethod
    def bounds(cls, options: Any) -> bool:
        """Tell whether β ≥ 1: D + β·max(λ, R) is then at least D + R."""
        return options.kl_weight >= 1

    def __init__(self, floor: float = 2.0) -> None:
        super().__init__()
        self.floor = floor

    def terms(self, draws: Draws, beta: Tensor) -> Terms:
        """Return the loss, D and R of each example, shape (B,) each."""
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
