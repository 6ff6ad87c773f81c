"""Shapes of the compact family, by the names of :data:`.names.FAMILY`."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...core.errors import ModelFileError, UnknownNameError
from .lite import LiteConfig, LiteUNet, build_lite
from .unet import UNet, UNetConfig

Config = UNetConfig | LiteConfig

#: Widths are those of the measured table in the design; all are multiples of 8, for vector units and tensor cores.
MODELS: dict[str, Config] = {
    "unet-n": UNetConfig(widths=(16, 24, 48, 96, 128)),
    "unet-s": UNetConfig(widths=(16, 32, 64, 128, 160)),
    "unet-m": UNetConfig(widths=(32, 64, 128, 160, 192)),
    "unet-lite0": LiteConfig(),
}


def build(name: str, classes: int, config: dict[str, Any] | None = None) -> UNet | LiteUNet:
    """A freshly initialized network.

    Args:
        name: A key of :data:`MODELS`.
        classes: Number of classes.
        config: Values that replace the model's own, e.g. those of a pruned network.

    Raises:
        UnknownNameError: no such model.
        ModelFileError: a config key or value that is not valid.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    if classes < 1:
        raise ModelFileError(f"model {name}: needs at least one class, got {classes}")
    default = MODELS[name]
    values = default.to_dict() | (config or {})
    if isinstance(default, LiteConfig):
        return build_lite(classes, values)
    return UNet(classes, UNetConfig.from_dict(values))


def parameters(model: nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())


def macs(model: nn.Module, input_hw: tuple[int, int]) -> int:
    """Multiply-accumulates of all convolutions and linear layers for one image of ``input_hw``."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    parameter = next(model.parameters())
    was_training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *input_hw, device=parameter.device, dtype=parameter.dtype))
    model.train(was_training)
    return int(counter.get_total_flops()) // 2
