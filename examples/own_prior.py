"""A custom prior: independent Student-t variables, with heavier tails than N(0, I).

python examples/own_prior.py
vaekit train digits --import examples/own_prior.py --set prior=heavy --set prior.df=4
"""

from __future__ import annotations

import sys

import torch
from pydantic import Field
from torch.distributions import Independent, StudentT

import vaekit
from vaekit.models import Prior
from vaekit.parts import PartOptions


class Heavy(Prior):
    """p(z) = Π_j t_ν(z_j / s_j) / s_j with learned widths s_j."""

    name = "heavy"

    class Options(PartOptions):
        """The options of the prior."""

        df: float = Field(3.0, gt=2, description="Degrees of freedom ν of the Student-t distribution.")

    def __init__(self, latent_dim: int, df: float = 3.0) -> None:
        super().__init__()
        self.df = df
        self.log_scale = torch.nn.Parameter(torch.zeros(latent_dim))

    def forward(self) -> Independent:
        """Return the prior, with event shape (latent_dim,)."""
        scale = self.log_scale.exp()
        return Independent(StudentT(self.df, torch.zeros_like(scale), scale), 1)


def main(folder: str = "runs/own-prior", epochs: int = 20) -> None:
    """Train with the prior as an object and by its name, and load both runs."""
    settings = {"latent_dim": 8, "training.epochs": epochs}

    by_object = vaekit.train("digits", prior=Heavy(8, df=4), settings=settings, out=f"{folder}/object")
    again = vaekit.load(f"{folder}/object", prior=Heavy(8, df=4))  # build the prior again to load the run
    assert (again.score_samples("digits", samples=10) == by_object.score_samples("digits", samples=10)).all()

    by_name = vaekit.train("digits", prior=Heavy.Options(df=4), settings=settings, out=f"{folder}/name")
    again = vaekit.load(f"{folder}/name")  # the class is known, since this file defines it
    assert (again.score_samples("digits", samples=10) == by_name.score_samples("digits", samples=10)).all()
    print(by_name.evaluate())


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
