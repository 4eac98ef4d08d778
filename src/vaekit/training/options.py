"""The `training` section of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vaekit.options import Options


class TrainingOptions(Options):
    """Options of the training loop. Schedules are fractions of the planned steps, so they fit any length of training."""

    epochs: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Passes over the training rows; `auto` aims at 6,000 steps (4,000 with Muon), fewer for large pictures, many columns or few rows.",
    )
    batch_size: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Rows in a batch; `auto` is 128, fewer for large pictures, and for mixed tables 256, but at most a quarter of the rows; at least 32.",
    )
    budget: str = Field(
        "",
        pattern=r"^(\d+(\.\d+)?(s|min|h))?$",
        description="Time for training, such as `90s`, `10min` or `2h`, instead of epochs. The epochs follow from the measured speed of a few steps, and the run's recipe records them.",
    )
    learning_rate: float = Field(
        2e-3,
        gt=0,
        description="Peak learning rate of AdamW; Muon's updates of a matrix have ten times this spectral norm.",
    )
    final_rate: float = Field(0.01, ge=0, le=1, description="Final learning rate as a share of the peak.")
    warmup: float = Field(0.02, ge=0, lt=1, description="Fraction of the steps over which the learning rate rises.")
    gradient_clip: float = Field(
        100.0, ge=0, description="Gradients with a larger norm (in nats) are clipped to it; 0 turns clipping off."
    )
    average: float = Field(
        0.999, ge=0, lt=1, description="Decay of the moving average of the weights (EMA); 0 turns averaging off."
    )
    kl_warmup: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the steps of each cycle over which kl_weight rises from 0 to its value.",
    )
    kl_cycles: int = Field(1, ge=1, description="Number of cycles of equal length in which kl_weight rises.")
    draws_warmup: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Fraction of the steps over which the number of draws rises to objective.samples (1, 4, 16, …), which saves time.",
    )
    validations: Annotated[int, Field(gt=0)] | Literal["auto"] = Field(
        "auto",
        description="Number of validations, spread evenly over the planned steps; `auto` is one for every ten steps, at least 10 and at most 50.",
    )
    patience: int = Field(
        15, ge=0, description="Training stops after this many validations without a better bound; 0 turns this off."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Precision of the networks in training; for large networks `auto` measures whether bfloat16 is faster on this machine. Evaluation is in float32.",
    )
    compile: bool | Literal["auto"] = Field(
        "auto",
        description="Whether to compile the training step (needs a C++ compiler); `auto` does if training is long enough to gain time.",
    )
    trackers: tuple[Literal["tensorboard", "wandb", "mlflow", "comet_ml", "aim"], ...] = Field(
        (), description="Experiment trackers that get the metrics in addition to metrics.csv."
    )
