"""What a checkpoint says about its network: a name, and plain values by which it is built again.

A compact U-Net has a configuration of its own. A network of the zoo is what its library builds under its name; pruning
leaves it with other numbers of channels, so that the widths of all its layers are recorded. So it leaves ``unet-lite0``,
whose encoder is a library's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ...core.errors import ModelFileError, UnknownNameError
from . import registry, unet, zoo
from .lite import WIDTHS, LiteUNet
from .widths import layer_widths, set_layer_widths


def names() -> list[str]:
    """What :func:`build` takes: the compact family, then the networks of other libraries."""
    return [*registry.MODELS, *zoo.NETWORKS]


def build(name: str, classes: int, config: dict[str, Any] | None = None) -> nn.Module:
    """A freshly initialized network, in training mode.

    Args:
        name: One of :func:`names`.
        classes: Number of classes.
        config: What differs from what the name stands for, as :func:`config_of` gives it.

    Raises:
        UnknownNameError: no such model.
        ModelFileError: a config key or value that is not valid.
        InputError: fewer than one class, or the package that has the network is missing.
    """
    if name not in names():
        raise UnknownNameError("model", name, names())
    if name in registry.MODELS:
        return registry.build(name, classes, config)
    return with_config(zoo.build(name, classes), name, config or {}).train()


def config_of(net: nn.Module) -> dict[str, Any]:
    """The configuration by which :func:`build` makes a network of the same shapes.

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


def with_config(net: nn.Module, name: str, config: dict[str, Any]) -> nn.Module:
    """Gives a freshly built network of the zoo the widths of its configuration, in place; none leaves it as it is.

    Raises:
        ModelFileError: an unknown key, or widths that this network can't have.
    """
    if unknown := set(config) - {WIDTHS}:
        raise ModelFileError(f"{name} config: unknown key {sorted(unknown)[0]!r}; valid keys: {WIDTHS}")
    if WIDTHS not in config:
        return net
    if not isinstance(config[WIDTHS], dict):
        raise ModelFileError(f"{name} config: {WIDTHS} must hold a list for each layer, got {config[WIDTHS]!r}")
    try:
        return set_layer_widths(net, config[WIDTHS])
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def output_stride(net: nn.Module, side: int = 64) -> int:
    """Input pixels per logit, found by running the network on zeros of ``side`` x ``side``; its mode stays."""
    parameter, was_training = next(net.parameters()), net.training
    try:
        with torch.no_grad():
            logits = net.eval()(torch.zeros(1, 3, side, side, device=parameter.device, dtype=parameter.dtype))
    finally:
        net.train(was_training)
    return side // int(logits.shape[-1])
