"""What a checkpoint says about its network: a name, and plain values by which it is built again.

A compact U-Net has a configuration of its own. A network of the zoo is what its library builds under its name; pruning
leaves it with other numbers of channels, so that the widths of all its layers are recorded. So it leaves ``unet-lite0``,
whose encoder is a library's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from . import unet
from .lite import LiteUNet
from .widths import WIDTHS, layer_widths


def config_of(net: nn.Module) -> dict[str, Any]:
    """The configuration by which :func:`seg_edge.train.models.catalog.build` makes a network of the same shapes.

    Args:
        net: As it was built, or with layers that were narrowed since.
    """
    if isinstance(net, unet.UNet):
        return unet.config_of(net).to_dict()
    if isinstance(net, LiteUNet):
        with torch.device("meta"):
            plain = layer_widths(LiteUNet(net.head.out_channels, net.config))
        widths = layer_widths(net)
        return net.config.to_dict() | ({} if widths == plain else {WIDTHS: widths})
    return {WIDTHS: layer_widths(net)}
