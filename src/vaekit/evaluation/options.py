"""The `evaluation` section of a recipe."""

from __future__ import annotations

from pydantic import Field

from vaekit.options import Options


class EvaluationOptions(Options):
    """Set how finely a trained model is measured."""

    samples: int = Field(
        100, ge=1, le=100_000, description="Number of draws K in the importance-weighted bound, for evaluate and score."
    )
