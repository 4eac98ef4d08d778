"""Choose batches, epochs, validations, precision and compilation where a recipe says `auto`."""

from __future__ import annotations

import math
import shutil
import sysconfig
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data import seeded
from vaekit.parts import Plan
from vaekit.recipe.build import build_network
from vaekit.training.optimizers import Optimizer

PLANNED_NUMBERS = 1 << 29
"""Most numbers that the decoder computes with `epochs=auto`, so that large examples get fewer steps."""
FEWEST_STEPS, STEPS_PER_ROW = {True: 200, False: 400}, {True: 1, False: 4}
"""Fewest steps with `epochs=auto`, and the most for each training row, of mixed tables and of other data: few rows are
learned long before the usual steps."""
COLUMNS_OF_ALL_STEPS = 14
"""Most columns with which a likelihood with a network of cells gets all steps. With twice as many and more it gets half: such rows
cost more, and each of them teaches more conditionals."""
BATCH, BATCH_OF_TABLES, LEAST_BATCH = 128, 256, 32
"""Rows in a batch with `batch_size=auto`; that of tables is at most a quarter of the rows, but at least the last."""
BATCH_NUMBERS = 1 << 19
"""Most numbers in a batch with `batch_size=auto`, but at least `LEAST_BATCH` rows: of large pictures, more steps of fewer rows
learn faster."""
VALIDATIONS, STEPS_PER_VALIDATION = (10, 50), 10
"""Fewest and most validations with `validations=auto`, and the steps between two; a validation takes as long as three small steps."""
REDUCE_ABOVE, REDUCE_GAIN = 10**8, 1.5
"""Multiplications per step above which bfloat16 is tried, and the least speed-up that makes it worthwhile."""
COMPILED_STEPS, COMPILED_PRODUCTS = 10_000, 5 * 10**12
"""Steps, or multiplications per training, from which on compiling the step saves time. The compiler takes 12 to 40 s, and a
compiled step of perceptrons saves 2 to 20 ms, so it pays after 2,000 to 5,000 steps; patience may end training early."""


def set_pace(content: dict[str, Any], plan: Plan) -> list[str]:
    """Choose batches, epochs, validations, precision and compilation in a recipe that leaves them at `auto`.

    Args:
        content: a recipe as nested dictionaries, complete except for these five; it is changed in place.
        plan: the data and the parts.

    Returns:
        A sentence for each choice.
    """
    training, samples, notes = content["training"], int(content["objective"]["samples"]), []
    table = plan.kind == "mixed"
    if training["batch_size"] == "auto":
        most = plan.rows // 4 if table else BATCH_NUMBERS // math.prod(plan.event_shape)
        training["batch_size"] = min(BATCH_OF_TABLES if table else BATCH, max(LEAST_BATCH, most))
    batch = min(training["batch_size"], plan.rows)
    per_epoch = plan.rows // batch
    if training["epochs"] == "auto":
        numbers = batch * math.prod(plan.event_shape) * samples
        planned = getattr(plan.part("optimizer"), "planned_steps", Optimizer.planned_steps)
        if "likelihood" in plan.sections and plan.part("likelihood").own_network:
            planned = round(planned * min(1, max(0.5, COLUMNS_OF_ALL_STEPS / math.prod(plan.event_shape))))
        by_rows = max(FEWEST_STEPS[table], STEPS_PER_ROW[table] * plan.rows)
        aim = min(planned, by_rows, max(300, PLANNED_NUMBERS // numbers))
        training["epochs"] = max(10, round(aim / per_epoch))
        notes.append(f"training.epochs={training['epochs']}: about {training['epochs'] * per_epoch} steps.")
    steps = training["epochs"] * per_epoch
    if training["validations"] == "auto":
        few, many = VALIDATIONS
        training["validations"] = min(many, max(few, steps // STEPS_PER_VALIDATION))
    products = batch * _products(plan, samples)
    if training["precision"] == "auto":
        training["precision"], reason = _choose_precision(plan, products)
        notes.append(f"training.precision={training['precision']}: {reason}.")
    training["compile"], sentences = _choose_compilation(plan, training, steps, products)
    return notes + sentences


def _choose_compilation(plan: Plan, training: dict[str, Any], steps: int, products: int) -> tuple[bool, list[str]]:
    if training["compile"] == "auto":
        sides = [plan.part(side) for side in ("encoder", "decoder") if side in plan.sections]
        gains = all(getattr(network, "gains_by_compiling", True) for network in sides)
        long = steps >= COMPILED_STEPS or steps * products >= COMPILED_PRODUCTS
        if not (gains and long and can_compile()):
            return False, []
        wait = "the first step of each number of draws" if training["draws_warmup"] else "the first step"
        return True, [f"training.compile=true: {wait} waits for the compiler, later ones are faster."]
    if training["compile"] and not can_compile():
        missing = "no C++ compiler with Python's headers was found; training takes longer"
        return False, [f"training.compile=false: {missing}."]
    return training["compile"], []


def _choose_precision(plan: Plan, products: int) -> tuple[str, str]:
    if "likelihood" not in plan.sections:
        return "float32", "it is not known whether bfloat16 suffices for this model"
    likelihood = plan.part("likelihood")
    if not likelihood.own_network and (likelihood.density or plan.kind == "mixed"):
        return "float32", "densities need its precision"
    if not likelihood.own_network and products < REDUCE_ABOVE:
        return "float32", "the networks are too small to gain from bfloat16"
    gain = bfloat16_gain()
    if gain < REDUCE_GAIN:
        return "float32", "this processor does not multiply bfloat16 faster"
    return "bfloat16", f"this processor multiplies bfloat16 {gain:.1f} times faster than float32"


def _products(plan: Plan, samples: int) -> int:
    """Count the multiplications for one example: the encoder runs once, and the decoder runs once per draw."""
    size, counts = plan.latent_dim, []
    sides: dict[str, tuple[tuple[int, ...], tuple[Any, ...]]] = {  # shapes of the input, and sizes of the network
        "encoder": ((1, *plan.event_shape), (plan.event_shape, 2 * size, size)),
        "decoder": ((samples, size), (size, plan.event_shape, 1)),
    }

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG001 - as hooks have
        counts.append(output.numel() * layer.get_parameter("weight")[0].numel())

    with seeded(0), torch.no_grad():  # on the meta device the first layer would take 1.5 s
        for side in [side for side in sides if side in plan.sections]:
            shape, sizes = sides[side]
            network = build_network(plan, side, *sizes)
            layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
            hooks = [layer.register_forward_hook(count) for layer in layers]
            network(torch.zeros(shape))
            for hook in hooks:
                hook.remove()
    return sum(counts)


def can_compile() -> bool:
    """Tell whether torch can compile on this machine: a C++ compiler and Python's headers are needed."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return headers.exists() and any(shutil.which(name) for name in ("c++", "g++", "clang++"))


@cache
def bfloat16_gain() -> float:
    """Measure how many times faster this machine multiplies matrices in bfloat16 than in float32."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def seconds(kind: torch.dtype) -> float:
        matrix, taken = torch.ones(512, 512, dtype=kind, device=device), []
        for _ in range(5):
            start = time.perf_counter()
            float((matrix @ matrix)[0, 0])  # waits for the device
            taken.append(time.perf_counter() - start)
        return min(taken)

    return seconds(torch.float32) / seconds(torch.bfloat16)
