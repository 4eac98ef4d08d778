"""Networks, which map tensors to tensors and know nothing of probability.

An encoder's network maps pictures or rows (B, *event) to features (B, n). A decoder's network maps latent vectors (..., d)
to parameters (..., *event, p), with p parameters for each feature.
"""

from vaekit.networks.base import Network
from vaekit.networks.concatenated import Concatenated
from vaekit.networks.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from vaekit.networks.layers import ACTIVATIONS, Direction, Rescale, Slice, soft_clamp
from vaekit.networks.linear import LinearDecoder, LinearEncoder
from vaekit.networks.mlp import BLOCKS, MLP
from vaekit.networks.table import TableInput
from vaekit.parts import import_parts

import_parts(__name__, __path__)

__all__ = [
    "ACTIVATIONS",
    "BLOCKS",
    "MLP",
    "Concatenated",
    "ConvolutionalDecoder",
    "ConvolutionalEncoder",
    "Direction",
    "LinearDecoder",
    "LinearEncoder",
    "Network",
    "Rescale",
    "Slice",
    "TableInput",
    "soft_clamp",
]
