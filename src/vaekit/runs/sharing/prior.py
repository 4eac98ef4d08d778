"""Replace the pseudo-inputs of a VampPrior, which look like rows, by the Gaussians that they stand for.

    p(z) = (1/C) Σ_c q(z|u_c) = (1/C) Σ_c N(z; m_c, diag s_c²)

A mixture with these means and variances is the same prior. It does not hold the pseudo-inputs u_c.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vaekit.models.priors import VampPrior
from vaekit.recipe import Recipe, load_recipe
from vaekit.runs.run import Run


def has_pseudo_inputs(run: Run) -> bool:
    """Tell whether the prior of a run holds pseudo-inputs."""
    return isinstance(getattr(run.model, "prior", None), VampPrior)


def can_replace(run: Run) -> bool:
    """Tell whether the recipe of a run names the VampPrior, so that it can name a mixture in its place."""
    return has_pseudo_inputs(run) and run.recipe.has_parts("prior") and run.recipe.prior.name == VampPrior.name


def as_mixture(recipe: Recipe) -> Recipe:
    """Return a recipe with a mixture in place of its VampPrior."""
    content = recipe.as_json()
    content["prior"] = {"name": "mixture", "components": content["prior"]["components"]}
    return load_recipe(content)


@torch.no_grad()
def mixture_weights(run: Run) -> Mapping[str, Tensor]:
    """Return the weights of a run whose VampPrior became a mixture."""
    found = run.model.prior()
    kept = {name: value for name, value in run.model.state_dict().items() if not name.startswith("prior.")}
    own = {"logits": found.log_weights * 0, "mean": found.component_mean, "log_std": found.component_std.log()}
    return kept | {f"prior.{name}": value.cpu() for name, value in own.items()}
