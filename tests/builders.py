"""Tiny models and rows with known parameters, from which the mathematical tests start."""

from __future__ import annotations

import json

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from vaekit.data import Part, Rows, Transform, open_source
from vaekit.distributions import DiagonalNormal
from vaekit.folder import RunFolder
from vaekit.folder.digests import seal_text, unseal_text
from vaekit.folder.parsing import NOTES
from vaekit.models import Decoder, Diagonal, Encoder, VariationalAutoEncoder
from vaekit.models.likelihoods import Bernoulli, Gaussian, Mixed
from vaekit.networks import MLP, Concatenated, TableInput

TINY = {"training.epochs": 2, "encoder.hidden": [32], "decoder.hidden": [32]}
"""Settings of tiny runs."""


class AffineEncoder(nn.Module):
    """q(z|x) = N(Vx + c, diag std²) with given V, c, std."""

    def __init__(self, V, c, std):
        super().__init__()
        self.V, self.c, self.std = (nn.Parameter(torch.as_tensor(np.array(value))) for value in (V, c, std))

    def forward(self, x):
        mean = x @ self.V.T + self.c
        return DiagonalNormal(mean, self.std.expand(mean.shape))


def linear(W, b):
    """The MLP z ↦ Wz + b with one parameter for each feature."""
    network = MLP((W.shape[1],), (len(b), 1)).double()
    network.layers[0].weight.data = torch.from_numpy(np.array(W))
    network.layers[0].bias.data = torch.from_numpy(np.array(b))
    return network


def linear_vae(oracle, V, c, std, **options):
    """The linear-Gaussian model of an oracle with an affine encoder, in float64."""
    likelihood = Gaussian((len(oracle.b),), variance=oracle.variance)
    decoder = Decoder(linear(oracle.W, oracle.b), likelihood)
    return VariationalAutoEncoder(AffineEncoder(V, c, std), decoder, oracle.W.shape[1], **options).double()


def exact_vae(oracle, **options):
    """The linear-Gaussian model with its own posterior as encoder; W must have orthogonal columns."""
    V, c, covariance = oracle.affine_posterior()
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-12
    return linear_vae(oracle, V, c, np.sqrt(np.diag(covariance)), **options)


def conditional_vae(oracle, U, V, c, std, **options):
    """The model of x = Wz + b + Uc + noise of an oracle, c being given, with the encoder V(x − Uc) + c, in float64."""

    def beside(network):
        return Concatenated(nn.Identity(), nn.Identity(), network)

    likelihood = Gaussian((len(oracle.b),), variance=oracle.variance)
    decoder = Decoder(beside(linear(np.hstack([oracle.W, U]), oracle.b)), likelihood)
    encoder = beside(AffineEncoder(np.hstack([V, -V @ U]), c, std))
    return VariationalAutoEncoder(encoder, decoder, oracle.W.shape[1], **options).double()


def bernoulli_vae(features=4, latent_dim=1, seed=0, dropout=0.0, **options):
    """A small nonlinear model of binary data, whose decoder is W₂ tanh(W₁z + b₁) + b₂, in float32."""
    torch.manual_seed(seed)
    encoder = Encoder(
        MLP((features,), (2 * latent_dim,), hidden=[6], block="plain", dropout=dropout), Diagonal(latent_dim)
    )
    network = MLP((latent_dim,), (features, 1), hidden=[8], block="plain", activation="tanh", dropout=dropout)
    with torch.no_grad():
        network.layers[0][0].weight.mul_(2)
        network.layers[1].weight.mul_(4)
    return VariationalAutoEncoder(encoder, Decoder(network, Bernoulli((features,))), latent_dim, **options)


def decoder_weights(model):
    """W₁, b₁, W₂, b₂ of the decoder of `bernoulli_vae`."""
    first, last = model.decoder.network.layers[0][0], model.decoder.network.layers[1]
    return tuple(t.detach().double().numpy() for t in (first.weight, first.bias, last.weight, last.bias))


def mixed_vae(layout, seed=0, components=2, **options):
    """A small model of a mixed table with one latent dimension and a decoder W₂ tanh(W₁z + b₁) + b₂, all at random.

    q(z|x) differs from row to row and is about as wide as the prior, so that importance sampling works.
    """
    torch.manual_seed(seed)
    likelihood = Mixed(layout, components)
    encoder = nn.Sequential(TableInput(layout, 6), MLP((6,), (2,), hidden=[6], activation="tanh"))
    network = MLP((1,), (likelihood.parameters_per_feature,), hidden=[8], activation="tanh")
    with torch.no_grad():
        network.layers[0][0].weight.mul_(2)
        network.layers[1].weight.mul_(3)
        likelihood.offset.normal_()
        for tensor in (network.layers[1].weight, network.layers[1].bias, likelihood.offset):  # scales vary less
            tensor[likelihood.logit_count :].unflatten(0, (likelihood.numbers, 3, components))[:, 2].mul_(0.3)
    return VariationalAutoEncoder(Encoder(encoder, Diagonal(1)), Decoder(network, likelihood), 1, **options)


def read_numbers(path):
    """The rows of a file of numbers as one array, with the names of its columns."""
    return open_source(str(path)).as_numbers()


def rows_of(X, *steps, seed=0, context=None):
    """Rows with the given transform steps, and what is given with each of them."""
    return Rows(Part(X, np.arange(len(X)), context=context), Transform(steps=steps), seed)


def without_digests(folder):
    """Remove the digests from all files of a run."""
    for name in ("provenance.json", "schema.json"):
        content = json.loads((folder / name).read_text())
        del content["digest"]
        (folder / name).write_text(json.dumps(content))
    for name in ("recipe.toml", "metrics.csv"):
        lines = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(line for line in lines if not line.startswith("# sha256")))
    for path in (*folder.glob("*.safetensors"), *folder.glob("state/*.safetensors")):
        tensors, noted = RunFolder(folder).read_tensors(str(path.relative_to(folder)))
        save_file(tensors, path, {NOTES: json.dumps(noted)})


def write_sealed(path, text):
    """Write a file of a run with the digest that its text calls for, as someone would who means harm."""
    RunFolder(path.parent).write(path.name, seal_text(unseal_text(text, path.suffix)[0], path.suffix))
