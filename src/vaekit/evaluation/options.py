"""The `evaluation` section of a recipe."""

from __future__ import annotations

from pydantic import Field

from vaekit.options import Options


class EvaluationOptions(Options):
    """Set how many draws of z the evaluation of a trained model uses."""

    samples: int = Field(
        100, ge=1, le=100_000, description="Number of draws K in the importance-weighted bound, for evaluate and score."
    )
