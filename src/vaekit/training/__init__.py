"""Training: one visible loop, exact resume, schedules, and what to do when a number goes bad."""

from vaekit.training.loop import Trainer
from vaekit.training.options import TrainingOptions
from vaekit.training.reporter import Reporter, SilentReporter

__all__ = ["Reporter", "SilentReporter", "Trainer", "TrainingOptions"]
