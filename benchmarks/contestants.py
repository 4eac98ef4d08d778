"""Contestants of `speed.py`, each in a process of its own: `python contestants.py NAME JOB.json`.

Commands are lines on standard input, and answers are JSON on standard output: `prepare` (compile and run the first
steps), `run N` (train for N steps), `end` (report the memory used). Between commands a contestant does nothing.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

STARTED = time.perf_counter()
SHAPE = (28, 28, 1)
PIXELS = 784
Steps = Callable[[int], None]


class Job:
    """The task of a contestant: `network`, `latent_dim`, `batch`, and the training pictures, bytes (N, 28, 28, 1)."""

    def __init__(self, path: str) -> None:
        content = json.loads(Path(path).read_text())
        self.network: dict[str, Any] = content["network"]
        self.latent_dim: int = content["latent_dim"]
        self.batch: int = content["batch"]
        self.rate = 1e-3
        self.data_path: str = content["data"]

    @property
    def convolutional(self) -> bool:
        return self.network["name"] == "convolutional"

    def pictures(self) -> np.ndarray:
        return np.load(self.data_path)

    def networks(self) -> tuple[Any, Any]:
        """Return the networks as PyTorch modules, the same for all contestants in PyTorch."""
        from vaekit.networks import Network

        part = Network.named(self.network["name"])
        options, size = part.Options.model_validate(self.network), self.latent_dim
        return part.encoder(options, SHAPE, 2 * size, size), part.decoder(options, size, SHAPE, 1)

    def batches(self, rows: int) -> Iterator[np.ndarray]:
        rng = np.random.default_rng(0)
        while True:
            order = rng.permutation(rows)
            for start in range(0, rows - self.batch + 1, self.batch):
                yield order[start : start + self.batch]


# vaekit, through its ordinary `train`.


class Turns:
    """A reporter that holds training until its turn comes, so that rounds can be interleaved."""

    def __init__(self) -> None:
        self.allowed, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.left = 0

    def say(self, text: str) -> None:
        pass

    def begin(self, step: int, steps: int, rows_per_step: int) -> None:  # noqa: ARG002
        self.advance(step)

    def advance(self, step: int) -> None:  # noqa: ARG002
        if self.left == 0:
            self.done.release()
            self.allowed.acquire()
        self.left -= 1

    def validated(self, row: dict[str, float]) -> None:
        pass

    def end(self) -> None:
        pass

    def run(self, steps: int) -> None:
        self.left = steps
        self.allowed.release()
        self.done.acquire()


def vaekit_with(precision: str, compiled: bool) -> Callable[[Job], Steps]:
    def start(job: Job) -> Steps:
        import vaekit
        import vaekit.training.loop

        vaekit.training.loop.SAVE_SECONDS = float("inf")  # the state is saved by the clock, which runs on between turns
        turns = Turns()
        settings = {
            "data.binarize": "dynamic",
            "data.validation": 0.0,
            "latent_dim": job.latent_dim,
            "likelihood.name": "bernoulli",
            "training.batch_size": job.batch,
            "training.learning_rate": job.rate,
            "training.epochs": 1000,
            "training.validations": 1,
            "training.precision": precision,
            "training.compile": compiled,
            **{f"{side}.{key}": value for side in ("encoder", "decoder") for key, value in job.network.items()},
        }
        out = Path(tempfile.mkdtemp()) / "run"
        call = {"settings": settings, "out": out, "reporter": turns}

        def train() -> None:
            try:
                vaekit.train(job.data_path, **call)
            except Exception:
                traceback.print_exc()
                os._exit(1)  # otherwise the main thread would wait for a turn for ever

        threading.Thread(target=train, daemon=True).start()
        turns.done.acquire()
        return turns.run

    return start


# PyTorch by hand.


def tutorial(job: Job) -> Steps:
    """Train as tutorials do: float pictures in a DataLoader, binary cross-entropy, Adam, the loss read at every step."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    encoder, decoder = job.networks()
    data = TensorDataset(torch.from_numpy(job.pictures()).float() / 255)
    loader = DataLoader(data, batch_size=job.batch, shuffle=True)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=job.rate)
    batches = iter(loader)
    total = 0.0

    def steps(count: int) -> None:
        nonlocal batches, total
        for _ in range(count):
            try:
                (x,) = next(batches)
            except StopIteration:
                batches = iter(loader)
                (x,) = next(batches)
            optimizer.zero_grad()
            mean, log_variance = encoder(x).chunk(2, -1)
            z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
            picture = torch.sigmoid(decoder(z).squeeze(-1))
            error = F.binary_cross_entropy(picture, x, reduction="sum")
            divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            loss = (error + divergence) / len(x)
            loss.backward()
            total += loss.item()
            optimizer.step()

    return steps


def by_hand(precision: str, compiled: str) -> Callable[[Job], Steps]:
    """Train with the fastest loop for this model: bytes stay bytes, nothing is averaged, checked or recorded.

    Args:
        precision: that of the networks.
        compiled: nothing, the `loss`, or the whole `step` with Adam.
    """

    def start(job: Job) -> Steps:
        import torch
        import torch.nn.functional as F

        encoder, decoder = job.networks()
        pictures = torch.from_numpy(job.pictures())
        parameters = [*encoder.parameters(), *decoder.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=job.rate, fused=True)
        first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
        batches = job.batches(len(pictures))
        low = precision == "bfloat16"

        def loss_of(x: torch.Tensor, noise: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                x = (noise < x).float()
                mean, log_variance = encoder(x).float().chunk(2, -1)
                z = mean + torch.exp(0.5 * log_variance) * epsilon
                logits = decoder(z).squeeze(-1).float()
            error = (F.softplus(logits) - x * logits).sum()
            return (error - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())) / len(x)

        def step_of(x: torch.Tensor, noise: torch.Tensor, epsilon: torch.Tensor, numbers: torch.Tensor) -> None:
            gradients = torch.autograd.grad(loss_of(x, noise, epsilon), parameters)
            with torch.no_grad():
                for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                    m.lerp_(g, 0.1)
                    v.mul_(0.999).addcmul_(g, g, value=0.001)
                    p.sub_(numbers[0] * m / (v.sqrt() * numbers[1] + 1e-8))

        if compiled == "loss":
            loss_of = torch.compile(loss_of)
        if compiled == "step":
            torch._dynamo.config.trace_autograd_ops = True
            step_of = torch.compile(step_of, fullgraph=True)
        size, taken = (job.batch, *SHAPE), 0
        words = int(np.prod(size)) // 8

        def steps(count: int) -> None:
            nonlocal taken
            for _ in range(count):
                x = pictures[torch.from_numpy(next(batches))]
                noise = torch.empty(words, dtype=torch.int64).random_(-(2**63), None).view(torch.uint8).view(size)
                epsilon = torch.randn(job.batch, job.latent_dim)
                if compiled == "step":
                    taken += 1
                    numbers = job.rate / (1 - 0.9**taken), (1 - 0.999**taken) ** -0.5
                    step_of(x, noise, epsilon, torch.tensor(numbers))
                else:
                    loss = loss_of(x, noise, epsilon)
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    optimizer.step()

        return steps

    return start


# Peers.


def pythae(job: Job) -> Steps:
    """Train with Pythae's VAE and trainer: its own loop over its DataLoader, paused between steps by a callback."""
    import logging

    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    logging.disable(logging.CRITICAL)
    inner_encoder, inner_decoder = job.networks()

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner_encoder

        def forward(self, x: torch.Tensor) -> ModelOutput:
            mean, log_variance = self.inner(x).chunk(2, -1)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner_decoder

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=torch.sigmoid(self.inner(z).squeeze(-1)))

    turns = Turns()

    class Held(TrainingCallback):
        step = 0

        def on_train_step_begin(self, *_: object, **__: object) -> None:
            if self.step == 0:
                turns.begin(0, 0, job.batch)

        def on_train_step_end(self, *_: object, **__: object) -> None:
            self.step += 1
            turns.advance(self.step)

    config = VAEConfig(input_dim=SHAPE, latent_dim=job.latent_dim, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    data = torch.from_numpy(job.pictures()).float() / 255
    trainer = BaseTrainer(
        model=model,
        train_dataset=BaseDataset(data, torch.zeros(len(data))),
        training_config=BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            num_epochs=1000,
            learning_rate=job.rate,
            per_device_train_batch_size=job.batch,
        ),
        callbacks=[Held()],
    )
    threading.Thread(target=trainer.train, daemon=True).start()
    turns.done.acquire()
    return turns.run


def jax_loop(job: Job) -> Steps:
    """Train in JAX: one compiled function does many steps of an epoch, with the data on the device."""
    import jax
    import jax.numpy as jnp

    pictures = jnp.asarray(job.pictures().reshape(-1, PIXELS))
    if job.convolutional:
        raise SystemExit("The JAX contestant only has perceptrons.")
    initialise, apply_encoder, apply_decoder = jax_networks(job)
    parameters = initialise(jax.random.PRNGKey(0))
    moments = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]

    def loss_of(parameters: Any, x: Any, key: Any) -> Any:
        noise, epsilon = jax.random.split(key)
        x = (jax.random.bits(noise, x.shape, "uint8") < x).astype(jnp.float32)
        mean, log_variance = jnp.split(apply_encoder(parameters[0], x), 2, -1)
        z = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(epsilon, mean.shape)
        logits = apply_decoder(parameters[1], z)
        error = (jax.nn.softplus(logits) - x * logits).sum(-1)
        return (error - 0.5 * (1 + log_variance - mean**2 - jnp.exp(log_variance)).sum(-1)).mean()

    def step(state: Any, index: Any) -> Any:
        parameters, first, second, count, key = state
        key, own = jax.random.split(key)
        gradient = jax.grad(loss_of)(parameters, pictures[index], own)
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        scale = job.rate * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        parameters = jax.tree.map(lambda p, m, v: p - scale * m / (jnp.sqrt(v) + 1e-8), parameters, first, second)
        return (parameters, first, second, count, key), None

    many = jax.jit(lambda state, indices: jax.lax.scan(step, state, indices)[0], donate_argnums=0)
    batches = job.batches(len(pictures))
    state = (parameters, *moments, jnp.zeros(()), jax.random.key(1, impl="rbg"))  # the fastest generator of JAX

    def steps(count: int) -> None:
        nonlocal state
        state = many(state, jnp.stack([jnp.asarray(next(batches)) for _ in range(count)]))
        jax.block_until_ready(state)

    return steps


def jax_networks(job: Job) -> tuple[Any, Any, Any]:
    """Return the same perceptrons in JAX: the function that initialises them, and both networks."""
    import jax
    import jax.numpy as jnp

    hidden = list(job.network["hidden"])
    residual = job.network["block"] == "residual"
    activation = {"relu": jax.nn.relu, "silu": jax.nn.silu}[job.network["activation"]]

    def linear(key: Any, inputs: int, outputs: int) -> Any:
        return jax.random.normal(key, (inputs, outputs)) / np.sqrt(inputs), jnp.zeros(outputs)

    def norm(x: Any) -> Any:
        return (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)

    def network(key: Any, inputs: int, outputs: int) -> Any:
        keys = iter(jax.random.split(key, 2 * len(hidden) + 2))
        layers, width = [], inputs
        if residual:
            layers.append(linear(next(keys), inputs, hidden[0]))
            width = hidden[0]
        for size in hidden:
            layers.append(linear(next(keys), width, size))
            if residual:
                layers[-1] = (*layers[-1], *linear(next(keys), size, size), jnp.ones(size), jnp.zeros(size))
            width = size
        closing = (jnp.ones(width), jnp.zeros(width)) if residual else ()
        return [*layers, (*linear(next(keys), width, outputs), *closing)]

    def apply(layers: Any, x: Any) -> Any:
        if not residual:
            for w, b in layers[:-1]:
                x = activation(x @ w + b)
            return x @ layers[-1][0] + layers[-1][1]
        x = x @ layers[0][0] + layers[0][1]
        for w, b, v, c, gain, bias in layers[1:-1]:
            x = x + activation((norm(x) * gain + bias) @ w + b) @ v + c
        w, b, gain, bias = layers[-1]
        return activation(norm(x) * gain + bias) @ w + b

    def initialise(key: Any) -> Any:
        one, two = jax.random.split(key)
        return network(one, PIXELS, 2 * job.latent_dim), network(two, job.latent_dim, PIXELS)

    return initialise, apply, apply


# The limit.


def products(precision: str) -> Callable[[Job], Steps]:
    """Compute only the matrix products of a step: y = xW, and the gradients of x and W, for every layer."""

    def start(job: Job) -> Steps:
        import torch
        from torch import nn

        kind = getattr(torch, precision)
        with torch.no_grad():
            encoder, decoder = job.networks()
            shapes: list[tuple[Any, ...]] = []

            def note(layer: Any, inputs: Any, output: Any) -> None:
                shapes.append((layer, inputs[0].detach().to(kind), torch.ones_like(output, dtype=kind)))

            for network in (encoder, decoder):
                for layer in network.modules():
                    if isinstance(layer, nn.Linear | nn.Conv2d):
                        layer.register_forward_hook(note)
            encoder(torch.rand(job.batch, *SHAPE))
            decoder(torch.rand(job.batch, job.latent_dim))
        first = shapes[0][0]
        work = [product(layer, x, g, kind, layer is first) for layer, x, g in shapes]

        def steps(count: int) -> None:
            with torch.no_grad():
                for _ in range(count):
                    for one in work:
                        one()

        return steps

    return start


def product(layer: Any, x: Any, gradient: Any, kind: Any, first: bool) -> Callable[[], None]:
    """Return the products of one layer; the first layer does not need the gradient of its input."""
    import torch
    from torch import nn

    weight = layer.weight.detach().to(kind)
    if isinstance(layer, nn.Linear):
        x, gradient = x.flatten(0, -2), gradient.flatten(0, -2)
        y, dx, dw = torch.empty_like(gradient), torch.empty_like(x), torch.empty_like(weight)

        def linear() -> None:
            torch.mm(x, weight.T, out=y)
            if not first:
                torch.mm(gradient, weight, out=dx)
            torch.mm(gradient.T, x, out=dw)

        return linear
    settings = (layer.stride, layer.padding, layer.dilation, False, [0, 0], layer.groups)

    def convolution() -> None:
        torch.conv2d(x, weight, None, layer.stride, layer.padding)
        wanted = [not first, True, False]
        torch.ops.aten.convolution_backward(gradient, x, weight, None, *settings, wanted)

    return convolution


CONTESTANTS: dict[str, Callable[[Job], Steps]] = {
    "vaekit": vaekit_with("float32", False),
    "vaekit-bf16": vaekit_with("bfloat16", False),
    "vaekit-bf16-compiled": vaekit_with("bfloat16", True),
    "hand": by_hand("float32", ""),
    "hand-bf16": by_hand("bfloat16", ""),
    "hand-bf16-compiled": by_hand("bfloat16", "loss"),
    "hand-bf16-graph": by_hand("bfloat16", "step"),
    "tutorial": tutorial,
    "pythae": pythae,
    "jax": jax_loop,
    "products": products("float32"),
    "products-bf16": products("bfloat16"),
}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the output of peers must not be mistaken for answers

    def answer(**content: float) -> None:
        print(json.dumps(content), file=answers, flush=True)

    steps = CONTESTANTS[sys.argv[1]](Job(sys.argv[2]))
    answer(seconds=time.perf_counter() - STARTED)
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        start = time.perf_counter()
        if word in ("prepare", "run"):
            steps(int(number))
            answer(seconds=time.perf_counter() - start)
        else:
            answer(mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            answers.flush()
            os._exit(0)


if __name__ == "__main__":
    main()
