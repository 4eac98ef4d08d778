"""A step of training, as one function that runs as it is or as one compiled graph.

g = Σ ∇ loss(x) / B;   g ← g · min(1, clip/‖g‖);   a step of the optimiser;   ā ← ā + lag·(a − ā);   sums

Several processes have a share of the rows each. Gradients and sums are added over all of them, so all take the same step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import NamedTuple

import torch
from torch import Tensor

from vaekit.errors import shorten
from vaekit.objectives import Terms
from vaekit.processes import group
from vaekit.training.optimizers import StepOptimizer
from vaekit.training.optimizers.base import States
from vaekit.training.options import TrainingOptions
from vaekit.training.state import TrainingState

GRAPHS = 64
"""Most graphs of a step: each number of draws in the warm-up has its own."""


class Inputs(NamedTuple):
    """What a step is given, apart from the weights and the state.

    Args:
        x: data as the model sees them, shape (b, *event): this process's share of the B rows of the batch.
        noise: ε, shape (M, b, latent_dim).
        context: c if the model is conditional, shape (b, ...).
        batch: B, the rows of all processes.
        beta: β, a scalar tensor.
        lag: share of the new weights in their average, a scalar tensor.
        counted: number of rows of the share, from the first, whose terms are added to the sums.
    """

    x: Tensor
    noise: Tensor
    context: Tensor | None
    batch: int
    beta: Tensor
    lag: Tensor
    counted: int


class Taken(NamedTuple):
    """What a step returns: if `norm` is not finite, the weights are not either, and an earlier state must be loaded.

    Args:
        terms: the terms of the objective for the rows of this process, each of shape (b,).
        norms: norm of the gradient of each parameter, shape (parameters,); zero for a parameter without a gradient.
        norm: norm of the whole gradient before clipping, a scalar tensor.
    """

    terms: Terms
    norms: Tensor
    norm: Tensor


class Step:
    """Takes steps of training, which change weights, averages, the optimiser's state and the sums in place.

    A compiled step is one graph. If the model, the objective or the optimiser cannot be compiled, the step runs uncompiled,
    with a message.

    Args:
        state: the training state.
        options: the `training` section of the recipe.
        say: receives the message.
    """

    def __init__(
        self,
        state: TrainingState,
        options: TrainingOptions,
        say: Callable[[str], None],
    ) -> None:
        self.loss, self.optimizer, self.sums, self.say = state.loss, state.optimizer, state.sums, say
        self.clip, self.reduced = options.gradient_clip, options.precision == "bfloat16"
        named = {name: p for name, p in state.loss.named_parameters() if p.requires_grad}
        self.names, self.parameters = list(named), list(named.values())
        self.averaged, self.average = state.parameters, list(state.average.values())
        self.states: States = ()
        if isinstance(self.optimizer, StepOptimizer):
            self.states = [self.optimizer.state[parameter] for parameter in self.parameters]
        self._compiled: Callable[..., Taken] | None = None
        if options.compile and (obstacle := self._obstacle()):
            self._refuse(obstacle)
        elif options.compile:
            self._compiled = torch.compile(self._take, fullgraph=True, dynamic=False)

    def __call__(self, inputs: Inputs, rate: float) -> Taken:
        """Take a step with a learning rate, in the context of `compiler()`.

        Numbers that change from step to step are tensors, because a Python number would be part of the graph.
        """
        if self._compiled is not None and isinstance(self.optimizer, StepOptimizer):
            try:
                return self._compiled(inputs, self.states, numbers=self.optimizer.factors(self.states, rate))
            except torch._dynamo.exc.TorchDynamoException as error:  # raised before anything has changed
                self._compiled = None
                self._refuse(str(error))
        return self._take(inputs, self.states, rate)

    def find_culprit(self, taken: Taken) -> str:
        """Return what was not finite in a step of all processes, for a message."""
        for name in ("distortion", "rate", "loss"):
            if group.greatest(int(not torch.isfinite(getattr(taken.terms, name)).all())):
                return f"the {name}"
        for name, norm in zip(self.names, taken.norms.tolist(), strict=True):
            if not math.isfinite(norm):
                return f"the gradient of {name.removeprefix('model.')}"
        return "the norm of the gradient"

    def compiler(self) -> AbstractContextManager[object]:
        """Return a context with the compiler's settings, for all steps: entering it at each step would take time."""
        found = ExitStack()
        if self._compiled is not None:
            found.enter_context(torch._dynamo.config.patch(trace_autograd_ops=True, recompile_limit=GRAPHS))
            if self.sums.device.type != "cpu":  # else torch 2.11 fails on a graphics card
                found.enter_context(torch._inductor.config.patch(loop_ordering_after_fusion=False))
        return found

    def _obstacle(self) -> str:
        """Return a reason why the step cannot be compiled, or an empty text."""
        if group.count() > 1:
            return "several processes train together"
        if not isinstance(self.optimizer, StepOptimizer):
            return f"{type(self.optimizer).__name__} is not a `StepOptimizer`"
        if not hasattr(torch._dynamo.config, "trace_autograd_ops"):
            return f"torch {torch.__version__} cannot compile gradients"
        return ""

    def _refuse(self, reason: str) -> None:
        paragraph = " ".join(reason.strip().partition("\n\n")[0].split())
        self.say(f"The training step is not compiled: {shorten(paragraph).removesuffix('.')}.")

    def _take(self, inputs: Inputs, states: States, rate: float = 0.0, numbers: Tensor | None = None) -> Taken:
        """Take a step: as it is, with the learning rate, or compiled, with the optimiser's factors."""
        compiling, device = torch.compiler.is_compiling(), inputs.x.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.reduced):
            terms: Terms = self.loss(inputs.x, inputs.beta, inputs.context, len(inputs.noise), inputs.noise)
        gradients = self._gradients(terms.loss.sum() / inputs.batch)
        with torch.no_grad():
            each = terms.distortion[: inputs.counted], terms.rate[: inputs.counted]
            sums = torch.stack([*(term.sum() for term in each), inputs.beta.new_tensor(inputs.counted)])
            if group.count() > 1:
                gradients = self._add(gradients, sums)
            used = [index for index, gradient in enumerate(gradients) if gradient is not None]
            found = [gradient for gradient in gradients if gradient is not None]
            if compiling:  # fused with the passes that make the gradients
                norms = torch.stack([gradient.square().sum() for gradient in found]).sqrt()
            else:
                norms = torch.stack(torch._foreach_norm(found))
            norm = torch.linalg.vector_norm(norms)
            if self.clip and compiling:
                torch._foreach_mul_(found, (self.clip / norm).clamp(max=1.0))
            elif self.clip and norm > self.clip:  # otherwise the gradients stay as they are, which takes no time
                torch._foreach_mul_(found, self.clip / float(norm))
            if isinstance(self.optimizer, StepOptimizer):
                moved, chosen = [self.parameters[index] for index in used], [states[index] for index in used]
                if numbers is None:
                    self.optimizer.update(moved, found, chosen, rate)
                else:
                    self.optimizer.traced_update(moved, found, chosen, [numbers[index] for index in used])
            else:
                self._step_torch(self.optimizer, gradients, rate)
            for average, parameter in zip(self.average, self.averaged, strict=True):
                average.lerp_(parameter, inputs.lag)
            self.sums += sums
            every = norms.new_zeros(len(gradients)).index_copy(0, torch.tensor(used, device=device), norms)
        return Taken(Terms(*(term.detach() for term in terms)), every, norm)

    def _gradients(self, loss: Tensor) -> Sequence[Tensor | None]:
        """Return the gradient of each parameter, or None if the loss does not depend on it.

        A convolution may return the gradient of its weight in another order in memory. The fused kernel of AdamW reads memory in
        order, so it would update the wrong weights.
        """
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return [_laid_out_as(parameter, each) for parameter, each in zip(self.parameters, found, strict=True)]

    def _add(self, gradients: Sequence[Tensor | None], sums: Tensor) -> Sequence[Tensor | None]:
        """Add gradients and sums over all processes. A parameter has a gradient if it has one in any process."""
        pairs = list(zip(self.parameters, gradients, strict=True))
        whole = [torch.zeros_like(parameter) if each is None else each for parameter, each in pairs]
        present = sums.new_tensor([float(each is not None) for each in gradients])
        group.add([*whole, present, sums])
        return [each if found else None for each, found in zip(whole, present.tolist(), strict=True)]

    def _step_torch(self, optimizer: torch.optim.Optimizer, gradients: Sequence[Tensor | None], rate: float) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        for each in optimizer.param_groups:
            each["lr"] = rate
        optimizer.step()


def _laid_out_as(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """Return a gradient with the parameter's order in memory."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
