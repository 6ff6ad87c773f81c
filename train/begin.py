"""Beginning with another training's weights, for the same classes or for others."""

from __future__ import annotations

from torch import Tensor, nn

from ..core.labels import Labels
from .checkpoint import Checkpoint
from .models.catalog import build


def begin_with(net: nn.Module, start: Checkpoint, labels: Labels) -> list[str]:
    """Loads a checkpoint's weights into a network of the same kind.

    Where the classes differ, each class that the checkpoint knows by name keeps its weights in the head, wherever it stood;
    the others keep those that ``net`` was initialized with.

    Args:
        net: What :func:`.models.catalog.build` makes of the checkpoint's name and config, for ``labels``.

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
    wider = build(start.name, len(start.spec.labels) + 1, start.config).state_dict()
    found = {}
    for key, value in start.model.state_dict().items():
        axes = [axis for axis, (a, b) in enumerate(zip(value.shape, wider[key].shape, strict=True)) if a != b]
        if axes:
            (found[key],) = axes
    return found
