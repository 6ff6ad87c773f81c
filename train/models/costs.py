"""What a network costs, without memory for its weights: parameters and MACs on torch's meta device."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from . import catalog
from .parts.heads import BinPool
from .registry import parameters


def costs(name: str, classes: int, input_hw: tuple[int, int]) -> tuple[int, int]:
    """Parameters, and MACs for one image of ``input_hw``, of a network of the catalog.

    The counts are those of :func:`.registry.parameters` and :func:`.registry.macs`, which counts operations as they are
    dispatched and takes several times as long.

    Raises:
        UnknownNameError: no such network.
        InputError: the package that has it is missing.
    """
    with torch.device("meta"):
        net = catalog.build(name, classes).eval()
        total = 0

        def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            nonlocal total
            if isinstance(layer, nn.Conv2d):
                total += output[0].numel() * layer.in_channels // layer.groups * prod(layer.kernel_size)
            elif isinstance(layer, nn.Linear):
                total += output[0].numel() * layer.in_features
            elif isinstance(layer, BinPool):
                channels, height, width = inputs[0].shape[1:]
                total += channels * layer.bins * (height * width + layer.bins * width)

        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear | BinPool):
                layer.register_forward_hook(count)
        with torch.inference_mode():
            net(torch.zeros(1, 3, *input_hw))
    return parameters(net), total
