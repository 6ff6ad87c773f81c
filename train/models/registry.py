"""Model names: one explicit table."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...core.errors import ModelFileError, UnknownNameError
from . import zoo
from .config import WIDTHS, with_config
from .lite import LiteConfig, LiteUNet
from .unet import UNet, UNetConfig

Config = UNetConfig | LiteConfig

#: Widths are those of the measured table in the design; all are multiples of 8, for vector units and tensor cores.
MODELS: dict[str, Config] = {
    "unet-n": UNetConfig(widths=(16, 24, 48, 96, 128)),
    "unet-s": UNetConfig(widths=(16, 32, 64, 128, 160)),
    "unet-m": UNetConfig(widths=(32, 64, 128, 160, 192)),
    "unet-lite0": LiteConfig(),
}


def names() -> list[str]:
    """What :func:`build` takes: the compact family, then the networks of other libraries."""
    return [*MODELS, *zoo.NETWORKS]


def build(name: str, classes: int, config: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialized network, in training mode.

    Args:
        name: One of :func:`names`.
        classes: Number of classes.
        config: Values that replace the model's own, e.g. those of a pruned network, as
            :func:`seg_edge.train.models.config.config_of` gives them.

    Raises:
        UnknownNameError: no such model.
        ModelFileError: a config key or value that is not valid.
        InputError: the package that has the network is missing.
    """
    if name not in names():
        raise UnknownNameError("model", name, names())
    if classes < 1:
        raise ModelFileError(f"model {name}: needs at least one class, got {classes}")
    if name in zoo.NETWORKS:
        return with_config(zoo.build(name, classes), name, config or {}).train()
    default = MODELS[name]
    values = default.to_dict() | (config or {})
    if isinstance(default, LiteConfig):
        widths = {key: values.pop(key) for key in [WIDTHS] if key in values}
        return with_config(LiteUNet(classes, LiteConfig.from_dict(values)), name, widths)
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
