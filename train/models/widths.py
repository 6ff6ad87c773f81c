"""The widths of any network's layers, as plain numbers: how a narrowed network is rebuilt from its code and a config.

A pruned network is its architecture with other numbers of channels. :func:`layer_widths` reads them, and
:func:`set_layer_widths` gives them to a freshly built network, which then takes the pruned one's state dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from ...core.errors import ModelFileError

#: Key of the widths in a network's configuration.
WIDTHS = "layer_widths"

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_NORM = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)

Net = TypeVar("Net", bound=nn.Module)


def layer_widths(net: nn.Module) -> dict[str, list[int]]:
    """What pruning can change of a network, layer by layer, as values that JSON can hold.

    Returns:
        By the layer's name: ``[inputs, outputs, groups]`` of a convolution, ``[inputs, outputs]`` of a linear layer,
        ``[channels]`` of a batch, instance or group normalization, ``[features]`` of a one-dimensional layer normalization.
    """
    widths = {}
    for name, layer in net.named_modules():
        if isinstance(layer, _CONV):
            widths[name] = [layer.in_channels, layer.out_channels, layer.groups]
        elif isinstance(layer, nn.Linear):
            widths[name] = [layer.in_features, layer.out_features]
        elif isinstance(layer, _NORM):
            widths[name] = [layer.num_features]
        elif isinstance(layer, nn.GroupNorm):
            widths[name] = [layer.num_channels]
        elif isinstance(layer, nn.LayerNorm) and len(layer.normalized_shape) == 1:
            widths[name] = [layer.normalized_shape[0]]
    return widths


def set_layer_widths(net: nn.Module, widths: Mapping[str, list[int]]) -> nn.Module:
    """Gives a freshly built network the widths that :func:`layer_widths` read; its weights are undefined afterwards.

    Returns:
        The same network, changed in place, to be filled by ``load_state_dict``.

    Raises:
        ModelFileError: a layer that the network doesn't have, or a width that it can't have.
    """
    have = layer_widths(net)
    if set(widths) != set(have):
        odd = sorted(set(widths) ^ set(have))[0]
        where = "the network has no such layer" if odd in widths else "its widths are missing"
        raise ModelFileError(f"layer widths: {odd!r}: {where}; the checkpoint belongs to another version of this network")
    layers = dict(net.named_modules())
    for name, values in widths.items():
        fits = isinstance(values, list) and len(values) == len(have[name])
        if not fits or not all(isinstance(v, int) and v >= 1 for v in values):
            raise ModelFileError(f"layer widths: {name!r}: expected {len(have[name])} positive integers, got {values}")
        if values != have[name]:
            _resize(name, layers[name], values)
    return net


def narrowed(net: Net, config: Mapping[str, Any]) -> Net:
    """The same freshly built network with the widths that a configuration has under :data:`WIDTHS`; none leaves it as it is.

    Raises:
        ModelFileError: an unknown key, or widths that this network can't have.
    """
    if unknown := set(config) - {WIDTHS}:
        raise ModelFileError(f"network config: unknown key {sorted(unknown)[0]!r}; valid keys: {WIDTHS}")
    if WIDTHS in config:
        if not isinstance(config[WIDTHS], dict):
            raise ModelFileError(f"network config: {WIDTHS} must be a table, got {type(config[WIDTHS]).__name__}")
        set_layer_widths(net, config[WIDTHS])
    return net


def _resize(name: str, layer: Any, values: list[int]) -> None:
    if isinstance(layer, _CONV):
        inputs, outputs, groups = values
        if inputs % groups or outputs % groups:
            raise ModelFileError(f"layer widths: {name!r}: {inputs} and {outputs} channels don't fit {groups} groups")
        layer.in_channels, layer.out_channels, layer.groups = values
        shape = (inputs, outputs // groups) if isinstance(layer, _TRANSPOSED) else (outputs, inputs // groups)
        _new(layer, "weight", (*shape, *layer.kernel_size))
        _new(layer, "bias", (outputs,))
    elif isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = values
        _new(layer, "weight", (values[1], values[0]))
        _new(layer, "bias", (values[1],))
    else:
        if isinstance(layer, nn.GroupNorm):
            if values[0] % layer.num_groups:
                raise ModelFileError(f"layer widths: {name!r}: {values[0]} channels don't fit {layer.num_groups} groups")
            layer.num_channels = values[0]
        elif isinstance(layer, nn.LayerNorm):
            layer.normalized_shape = (values[0],)
        else:
            layer.num_features = values[0]
        for key in ("weight", "bias", "running_mean", "running_var"):
            _new(layer, key, (values[0],))


def _new(layer: nn.Module, key: str, shape: tuple[int, ...]) -> None:
    old = getattr(layer, key, None)
    if old is None:  # no bias, no affine parameters, no statistics
        return
    value = torch.zeros(shape, dtype=old.dtype, device=old.device)
    setattr(layer, key, nn.Parameter(value, old.requires_grad) if isinstance(old, nn.Parameter) else value)
