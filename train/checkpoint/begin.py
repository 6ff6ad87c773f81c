"""Beginning with another training's weights, for the same classes or for others."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ...core.labels import Labels
from ..models.catalog import build
from ..models.widths import WIDTHS, layer_widths
from .file import Checkpoint


def config_for(start: Checkpoint, classes: int) -> dict[str, Any]:
    """The configuration of a checkpoint's network for another number of classes.

    That of a pruned network of the zoo has the widths of all its layers, the last one's too.
    """
    config = copy.deepcopy(start.config)
    widths = config.get(WIDTHS)
    if isinstance(widths, dict):
        with torch.device("meta"):
            one, other = (layer_widths(build(start.name, count)) for count in (classes, classes + 1))
        for name, values in one.items():
            for i, value in enumerate(values):
                if value != other[name][i]:
                    widths[name][i] = value
    return config


def begin_with(net: nn.Module, start: Checkpoint, labels: Labels) -> list[str]:
    """Loads a checkpoint's weights into a network of the same kind.

    Where the classes differ, each class that the checkpoint knows by name keeps its weights in the head, wherever it stood;
    the others keep those that ``net`` was initialized with.

    Args:
        net: What :func:`seg_edge.train.models.catalog.build` makes of the checkpoint's name and of :func:`config_for` these
            classes.

    Returns:
        Names of the classes that the checkpoint does not know.
    """
    known = start.spec.labels.names
    weights: dict[str, Tensor] = dict(start.model.state_dict())
    if labels.names != known:
        rows = [(known.index(name), i) for i, name in enumerate(labels.names) if name in known]
        fresh = net.state_dict()
        for key, axis in _head(start).items():
            made = fresh[key].clone()
            for old, new in rows:
                made.select(axis, new).copy_(weights[key].select(axis, old))
            weights[key] = made
    net.load_state_dict(weights)
    return [name for name in labels.names if name not in known]


def _head(start: Checkpoint) -> dict[str, int]:
    """The weights that there is one of for each class, and along which axis: what one more class would change."""
    classes = len(start.spec.labels) + 1
    wider = build(start.name, classes, config_for(start, classes)).state_dict()
    axis_of = {}
    for key, value in start.model.state_dict().items():
        axes = [axis for axis, (a, b) in enumerate(zip(value.shape, wider[key].shape, strict=True)) if a != b]
        if axes:
            (axis_of[key],) = axes
    return axis_of
