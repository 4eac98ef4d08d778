"""The training loop.

each step:       x = a batch;  loss = objective(x);  gradients;  clip;  a step of the optimiser;  average the weights
each validation: measure the bound (β = 1, fixed noise, averaged weights) on the validation rows; keep the best weights
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from vaekit.data import BatchNoise, BatchStream, Rows, batch_keys, seeded
from vaekit.errors import Interrupted, TrainingError
from vaekit.folder import WEIGHTS, RunFolder
from vaekit.models import LatentModel
from vaekit.objectives import Loss, Objective
from vaekit.processes import group
from vaekit.reporters import Reporter, quiet
from vaekit.training.accelerator import end_trackers, make_accelerator
from vaekit.training.optimizers import StepOptimizer
from vaekit.training.options import TrainingOptions
from vaekit.training.schedules import draws, kl_weight, learning_rate, validation_steps
from vaekit.training.signals import asked_to_stop, hand_on
from vaekit.training.state import GOOD, LATEST, TrainingState
from vaekit.training.step import Inputs, Step, Taken
from vaekit.training.validation import measure_validation

MOST_RECOVERIES = 3
TIMED_STEPS = 9
"""Steps that measure the speed of training; the first third warms up."""
LONG_SECONDS = 60.0
"""Training that will take longer than this says so after the first steps."""
VALIDATION_SPEED = 3
"""Rows that are measured in the time in which a row is trained on: measuring needs no gradients."""
SAVE_SECONDS = 60.0
"""Seconds between saves of the state between validations; the times do not influence the results."""


@dataclass
class Trainer:
    """Train a model: take steps, validate, save the state and recover from numbers that are not finite.

    Args:
        model: the model; it holds the best weights at the end.
        objective: the objective to minimise.
        kl_weight: β at the end of the warm-up.
        samples: draws of z for each example at the end of the warm-up, ≥ 1.
        make_optimizer: a function of a module and the highest learning rate that returns torch's optimiser.
        train: training rows.
        validation: rows whose bound chooses the weights; may be empty.
        options: the `training` section of the recipe, resolved.
        seed: seed of batches and noise.
        folder: folder of the state, the weights and the metrics.
        reporter: receives progress and messages.
    """

    model: LatentModel
    objective: Objective
    kl_weight: float
    samples: int
    make_optimizer: Callable[[nn.Module, float], StepOptimizer | torch.optim.Optimizer]
    train: Rows
    validation: Rows
    options: TrainingOptions
    seed: int
    folder: RunFolder
    reporter: Reporter

    def __post_init__(self) -> None:
        self.order = self.train.order(int(self.options.batch_size), self.seed)
        self.steps = int(self.options.epochs) * self.order.steps_per_epoch
        self.accelerator = make_accelerator(self.options, self.folder)
        loss = Loss(self.model, self.objective).to(self.accelerator.device)
        if self.options.compile:
            self._try(loss)
        self.optimizer = self.make_optimizer(loss, self.options.learning_rate)
        average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        sums = torch.zeros(3, dtype=torch.float64, device=self.accelerator.device)
        self.state = TrainingState(self.model, loss, average, self.optimizer, sums)
        self.step = Step(self.state, self.options, self.reporter.say)
        with seeded(0), torch.no_grad():  # a prior may run the encoder, whose dropout draws
            self.latent_dim = self.model.prior().event_shape.numel()
        self.metrics: list[dict[str, float]] = []

    def _try(self, loss: Loss) -> None:
        """Run the loss once before it is compiled, because the first lookup of a closed-form KL would break the graph."""
        with seeded(0), torch.no_grad():
            index, device = self.order.index(0)[:1], self.accelerator.device
            x = self.train.prepare(self.train.read(index), BatchNoise(batch_keys(0, 0, index)), len(index))
            loss(x.to(device), torch.ones((), device=device), self.train.context(index), self.samples)

    def run(self, resume: bool = False) -> None:
        """Train for all planned steps, or until the patience runs out.

        Args:
            resume: whether to continue from the state in the folder.

        Raises:
            Interrupted: on Ctrl-C, after the state is saved; on SIGTERM if the caller handles it.
            TrainingError: if a number is still not finite after several attempts.
            RunError: if the folder cannot be written; the last saved state stays.
        """
        validations = validation_steps(self.steps, int(self.options.validations))
        with asked_to_stop() as stop, self._reporting(), self.step.compiler(), quiet():
            self._start(resume)
            first, began = self.state.counters.step, time.monotonic()
            saved = began
            while not ((asked := group.greatest(stop.signal)) or self._is_done()):
                if not self._step(self.state.counters.step):
                    continue
                if self.state.counters.step == first + TIMED_STEPS:
                    self._announce((time.monotonic() - began) / TIMED_STEPS, len(validations))
                if self.state.counters.step in validations:
                    self._validate(self.state.counters.step)
                elif time.monotonic() - saved > SAVE_SECONDS:
                    self._save(LATEST)
                    saved = time.monotonic()
            if not asked:
                self._finish()
            elif self.state.counters.step not in validations:  # else it is saved already
                self._save(LATEST)
            group.wait()  # a launcher ends all processes when one ends, and the first may still write
        if asked := asked or stop.signal:
            hand_on(
                Interrupted(
                    f"training was asked to stop and has saved its state at step {self.state.counters.step} of {self.steps}",
                    f"Continue with `resume={str(self.folder.path)!r}`",
                    asked,
                )
            )

    def _is_done(self) -> bool:
        return self.state.counters.finished or self.state.counters.step >= self.steps

    def _announce(self, seconds: float, validations: int) -> None:
        """Say how long training will take, if it is long."""
        rows = len(self.validation) / (VALIDATION_SPEED * self.order.batch_size)
        total = seconds * (self.steps - self.state.counters.step + rows * validations)
        if total > LONG_SECONDS:
            self.reporter.say(
                f"Training takes about {max(1, round(total / 60))} min on this machine; it may end earlier."
            )

    def measure_speed(self) -> tuple[float, float]:
        """Return the seconds that a step and a validation take. The steps change the weights, so measure with a copy."""
        taken = []
        self.model.train()
        with self.step.compiler(), quiet():
            for step in range(min(TIMED_STEPS, self.steps)):
                start = time.perf_counter()
                self._step(step)
                taken.append(time.perf_counter() - start)
            start = time.perf_counter()
            self._measure()
        return statistics.median(taken[len(taken) // 3 :]), time.perf_counter() - start

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.reporter.end()
            end_trackers(self.accelerator)

    def _start(self, resume: bool) -> None:
        if resume:
            self.state.load_newest(self.folder)
            self.metrics = [row for row in self.folder.read_metrics() if row["step"] <= self.state.counters.step]
        else:
            self._save(GOOD)
            group.wait()
            if group.rank():  # all begin with the weights of the first
                self.state.load(self.folder, GOOD)
        self.model.train()
        self.reporter.begin(self.state.counters.step, self.steps, self.order.batch_size)

    def _step(self, step: int) -> bool:
        """Take one step and return True. If a number is not finite, go back instead and return False."""
        device, mine = self.accelerator.device, group.share(self.order.batch_size)
        index, (epoch, positions) = self.order.index(step)[mine], self.order.positions(step)
        unhidden = min(max(self.train.unhidden(self.order.batch_size) - mine.start, 0), len(index))
        weight = kl_weight(step, self.steps, self.kl_weight, self.options.kl_warmup, self.options.kl_cycles)
        samples = draws(step, self.steps, self.samples, self.options.draws_warmup)
        noise = BatchNoise(batch_keys(self.seed, epoch, positions[mine]).to(device))
        inputs = Inputs(
            self.train.prepare(self.train.read(index).to(device), noise, unhidden),
            noise.normal((samples, self.latent_dim), BatchStream.POSTERIOR).movedim(1, 0),
            self.train.context(index),
            self.order.batch_size,
            beta=torch.tensor(weight, device=device),
            lag=torch.tensor(1 - min(self.options.average, (1 + step) / (10 + step)), device=device),
            counted=unhidden,  # rows with hidden cells would look better than they are
        )
        with seeded(self._noise_seed(step)):  # for dropout, and for what custom parts draw
            taken = self.step(inputs, self._rate(step))
        if not math.isfinite(taken.norm):
            self._go_back(step, taken)
            return False
        self.state.counters.step = step + 1
        self.reporter.advance(step + 1)
        return True

    def _rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        return self.state.counters.rate_scale * learning_rate(step, self.steps, self.options)

    def _noise_seed(self, step: int) -> int:
        """Return the seed of torch's global generator in a step."""
        place = repr((self.seed, step, group.rank())).encode()
        return int.from_bytes(hashlib.blake2b(place, digest_size=8).digest()) >> 1

    def _go_back(self, step: int, taken: Taken) -> None:
        """Go back to the last good state with half the learning rate, at most three times."""
        culprit = self.step.find_culprit(taken)
        counters = copy.copy(self.state.counters)
        counters.recoveries += 1
        if counters.recoveries > MOST_RECOVERIES:
            raise TrainingError(
                f"Training fails at step {step}: {culprit} was not finite, even with {counters.rate_scale:g} times the learning rate",
                mend="Try a smaller training.learning_rate or training.gradient_clip, look for extreme values in the data, or choose a likelihood with heavier tails",
            )
        self.state.load(self.folder, GOOD)
        group.wait()  # until all have read it
        self.state.counters.recoveries = counters.recoveries
        self.state.counters.rate_scale = 0.5**counters.recoveries
        if group.rank() == 0:
            self.folder.remove(LATEST)
        self._save(GOOD)
        self.reporter.say(
            f"Step {step}: {culprit} was not finite. Training goes back to step {self.state.counters.step}, with {self.state.counters.rate_scale:g} times the learning rate."
        )

    def _validate(self, step: int) -> None:
        """Measure the bound with the averaged weights, record it, and keep the weights if they are the best so far."""
        live = {key: value.clone() for key, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.state.averaged_weights())
        row, score = self._measure()
        distortion, rate, count = self.state.sums.tolist()
        # a squared error stays in the model's units; a density becomes one of the data as given
        log_det = self.train.transform.log_det() if self.model.has_likelihood else 0.0
        beta = kl_weight(step - 1, self.steps, self.kl_weight, self.options.kl_warmup, self.options.kl_cycles)
        self.metrics.append(
            {
                "step": step,
                "epoch": step / self.order.steps_per_epoch,
                "train_elbo": log_det - (distortion + rate) / count,
                "train_distortion": distortion / count - log_det,
                "train_rate": rate / count,
                **row,
                "kl_weight": beta if self.model.has_likelihood else math.nan,
                "learning_rate": self._rate(step - 1),
            }
        )
        # weights are chosen only while β and the number of draws have their final values
        settled = beta == self.kl_weight and step > self.steps * self.options.draws_warmup
        counters = self.state.counters
        if settled or counters.best is None:
            self._choose(step, score if settled else None)
        self.model.load_state_dict(live)
        self.state.sums.zero_()
        counters.finished = step == self.steps or bool(
            self.options.patience and counters.stale >= self.options.patience
        )
        self._save(GOOD)
        if group.rank() == 0:
            self.folder.remove(LATEST)
        self.accelerator.log({k: v for k, v in self.metrics[-1].items() if k != "step"}, step=step)
        self.reporter.validated(self.metrics[-1])

    def _choose(self, step: int, score: float | None) -> None:
        """Keep the weights if they are the best so far. Weights without a score are always replaced by later ones."""
        counters = self.state.counters
        if score is not None and counters.best is not None and score <= counters.best:
            counters.stale += 1
            return
        counters.best, counters.best_step, counters.stale = score, step, 0
        if group.rank() == 0:
            self.folder.write_tensors(WEIGHTS, self.model.state_dict(), {"step": str(step)})

    def _measure(self) -> tuple[dict[str, float], float | None]:
        """Measure the validation rows with the final number of draws from the start, so that bounds can be compared."""
        return measure_validation(self.model, self.validation, self.objective, self.samples)

    def _save(self, name: str) -> None:
        if group.rank() == 0:
            self.folder.write_metrics(self.metrics)  # first, because resuming drops rows after the saved step
            self.state.save(self.folder, name)

    def _finish(self) -> None:
        counters = self.state.counters
        if counters.step < self.steps:
            self.reporter.say(
                f"Stopped at step {counters.step} of {self.steps}: the held-out bound has not risen since step {counters.best_step}."
            )
        group.wait()
        self.model.load_state_dict(self.folder.read_tensors(WEIGHTS)[0])
