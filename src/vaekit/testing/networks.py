"""The contract of networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vaekit.data import seeded
from vaekit.errors import VaekitError
from vaekit.networks import Network
from vaekit.testing.contract import ContractError, check_close, check_finite, check_shape, to_array
from vaekit.testing.copies import moved_copy
from vaekit.testing.gradients import check_gradients, check_rows_apart, check_used, parameters_of

ROWS = 5
"""Rows of a batch."""
LEADING = "flatten the leading dimensions of z, and restore them in the output"
"""How to mend a decoder that does not keep leading dimensions."""
MOST = 1000
"""Greatest size of an example; with more numbers the checks would take minutes."""


def check_network(
    part: type[Network],
    options: Any = None,
    *,
    event_shape: Sequence[int] = (3,),
    latent_dim: int = 2,
    parameters: int = 2,
    seed: int = 0,
) -> None:
    """Check a class of networks as an encoder and as a decoder.

    The checks use a copy with weights moved at random, in evaluation mode. The encoder must map (B, *event) to (B, features),
    and the decoder must keep any leading dimensions of z. The output of a row must depend on this row alone, and on every
    weight. Gradients by every weight and by the input must agree with central differences. If there is a `start(x)`, it must
    leave finite weights.

    Args:
        part: the class of the network.
        options: its options; the default options may be large and slow.
        event_shape: shape of an example.
        latent_dim: number of latent dimensions.
        parameters: number of parameters that the decoder returns for each feature.
        seed: seed of all random numbers.

    Raises:
        ContractError: if the networks do not keep their contract.
        VaekitError: if an example has more than 1,000 numbers.

    Examples:
        >>> from vaekit.networks.mlp import MLPNetwork
        >>> check_network(MLPNetwork, MLPNetwork.Options(hidden=[8]))
    """
    if math.prod(event_shape) > MOST:
        raise VaekitError(f"an example must have at most {MOST:,} numbers", f"event_shape={tuple(event_shape)}")
    options, event, features = part.Options() if options is None else options, tuple(event_shape), 2 * latent_dim
    with seeded(seed):
        x, z = torch.randn(ROWS, *event, dtype=torch.float64), torch.randn(ROWS, latent_dim, dtype=torch.float64)
        encoder = part.encoder(options, event, features, latent_dim)
        _check(part, "the encoder", encoder, x, x, (features,))
        decoder = part.decoder(options, latent_dim, event, parameters)
        _check(part, "the decoder", decoder, z, x, (*event, parameters))
        _check_leading(part, moved_copy(decoder), z)


def _check(
    part: type[Network], which: str, network: nn.Module, inputs: Tensor, x: Tensor, shape: tuple[int, ...]
) -> None:
    _check_start(part, which, network, x)
    network = moved_copy(network)
    found = network(inputs)
    check_shape(
        part, f"what {which} returns for {ROWS} rows", found.shape, (ROWS, *shape), "see encoder and decoder of Network"
    )
    check_finite(part, f"what {which} returns", found, "a scale is zero, or a function overflows")
    check_rows_apart(part, f"what {which} returns", network, inputs)
    leaf, weights = inputs.clone().requires_grad_(), torch.randn_like(found)
    everything = parameters_of(network, **{f"{which}'s input": leaf})
    check_used(part, f"what {which} returns", (weights * network(leaf)).sum(), everything)
    check_gradients(part, f"what {which} returns", lambda: (weights * network(leaf)).sum(), everything)


def _check_start(part: type[Network], which: str, network: nn.Module, x: Tensor) -> None:
    start: Any = getattr(network, "start", None)
    if start is None:
        return
    with torch.no_grad():
        noise = start(x.float())
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        check_finite(part, f"{name} of {which} after start(x)", values, "start divides by a spread that may be zero")
    if noise is not None and not 0 < float(noise) < math.inf:
        raise ContractError(part, f"start(x) of {which} returns {float(noise):g}", "it must return a variance or None")


@torch.no_grad()
def _check_leading(part: type[Network], decoder: nn.Module, z: Tensor) -> None:
    """Check that the decoder gives the same outputs for z with leading dimensions as for single rows."""
    whole = decoder(z)
    for lead in ((), (1, ROWS), (ROWS, 1, 1)):
        what = f"what the decoder returns for z of shape {(*lead, z.shape[-1])}"
        try:
            found = decoder(z[0] if lead == () else z.reshape(*lead, -1))
        except (RuntimeError, IndexError, ValueError) as error:
            raise ContractError(
                part,
                f"the decoder raises {type(error).__name__} ({error}) for z of shape {(*lead, z.shape[-1])}",
                LEADING,
            ) from error
        expected = to_array(whole[0]) if lead == () else to_array(whole).reshape(*lead, *whole.shape[1:])
        check_shape(part, what, found.shape, expected.shape, LEADING)
        check_close(part, what, found, expected, "leading dimensions are mixed up", 1e-9)
