"""The `training` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vaekit.options import Options


class TrainingOptions(Options):
    """The loop and its optimiser. Schedules are fractions of the planned steps, so they always end where they should."""

    epochs: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Passes over the training rows; `auto` aims at 6,000 steps (4,000 with Muon), fewer for large pictures and many columns.",
    )
    batch_size: int = Field(128, ge=1, description="Rows of a batch.")
    learning_rate: float = Field(
        2e-3,
        gt=0,
        description="Learning rate of AdamW at its height; a matrix of Muon moves by ten times this, in spectral norm.",
    )
    final_rate: float = Field(0.01, ge=0, le=1, description="Share of the learning rate left at the end of the cosine.")
    warmup: float = Field(0.02, ge=0, lt=1, description="Fraction of the steps over which the learning rate rises.")
    gradient_clip: float = Field(
        100.0, ge=0, description="Largest norm of the gradient, in nats; 0 leaves it as it is."
    )
    average: float = Field(
        0.999, ge=0, lt=1, description="Decay of the average of the weights (EMA); 0 takes the weights themselves."
    )
    kl_warmup: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the steps (of a cycle) over which kl_weight rises from 0 to its value.",
    )
    kl_cycles: int = Field(1, ge=1, description="How often kl_weight rises; the steps are divided evenly.")
    draws_warmup: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the steps in which objective.samples rises to its value, by 1, 4, 16, … draws: much of the way for a part of the time.",
    )
    validations: int = Field(
        50, ge=1, description="How often the held-out bound is measured, evenly over the planned steps."
    )
    patience: int = Field(
        15, ge=0, description="Validations without a better bound after which training stops; 0: never."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Arithmetic of the networks in training; `auto` measures whether bfloat16 is faster here, where networks are large. Evaluation is float32.",
    )
    compile: bool | Literal["auto"] = Field(
        "auto",
        description="Compile the step (needs a C++ compiler); `auto` does where the planned training is long enough.",
    )
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim"], ...] = Field(
        (), description="Experiment trackers that are told the metrics besides metrics.csv."
    )
