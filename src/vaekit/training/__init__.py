"""Training: one loop with schedules, exact resumption, and recovery from numbers that are not finite."""

from vaekit.training.loop import Trainer
from vaekit.training.options import TrainingOptions

__all__ = ["Trainer", "TrainingOptions"]
