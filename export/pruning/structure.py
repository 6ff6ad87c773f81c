"""Prunable units of a network, from Torch-Pruning's dependency graph, and the choice of their widths."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ...core.errors import InputError, SegEdgeError, UnknownNameError
from .importance import Scorer
from .names import SCOPES

#: Unit name → channels to keep.
Widths = dict[str, int]


@dataclass(frozen=True)
class Unit:
    """Layers whose channels can only be removed together: a convolution and all layers that read or add to its output.

    Attributes:
        name: Name of the first layer.
        channels: Current output channels.
        groups: Number of equal parts in which channels are removed (grouped convolutions, group normalization).
        scores: Importance, float (channels // groups,); higher is more important.
    """

    name: str
    channels: int
    groups: int
    scores: Tensor


def units(net: nn.Module, example: Tensor, score: Scorer) -> list[Unit]:
    """The prunable units of a network, in the order of its modules, without its output layers.

    Args:
        net: The network, in eval mode.
        example: An input.

    Raises:
        InputError: the importance scores no layer or is not finite, or Torch-Pruning can't trace the network.
    """
    with _tracing(net):
        graph = tp.DependencyGraph().build_dependency(net, example_inputs=[example])
        prunable = []
        for group in graph.get_all_groups(ignored_layers=output_layers(net, example)):
            scores = score(group)
            if scores is not None:
                layer = group[0].dep.target.module
                groups = _groups(group)
                mean = scores.detach().float().cpu().view(groups, -1).mean(0)
                prunable.append(Unit(_names(net)[layer], len(scores), groups, mean))
    if not prunable:
        raise InputError("prune: this importance scores no layer of this network; try `importance='l2'`")
    if not all(bool(unit.scores.isfinite().all()) for unit in prunable):
        raise InputError("pruning: the importance is not a finite number; are the checkpoint's weights?")
    order = {name: i for i, (name, _) in enumerate(net.named_modules())}
    return sorted(prunable, key=lambda unit: order[unit.name])


def allocate(
    prunable: Sequence[Unit], ratio: float, scope: str, multiple: int, original: Mapping[str, int] | None = None
) -> Widths:
    """The number of channels that each unit keeps.

    Args:
        ratio: Share of the original channels to remove, 0..1.
        scope: ``"global"`` removes the least important channels of the whole network, ``"uniform"`` the same share of
            each unit.
        multiple: Widths are rounded to the nearest multiple of this, at least one multiple. A narrower unit is not
            changed.
        original: Channels of each unit before the first step of pruning; None: the current ones.

    Raises:
        UnknownNameError: no such scope.
    """
    if scope not in SCOPES:
        raise UnknownNameError("pruning scope", scope, SCOPES)
    before = original or {unit.name: unit.channels for unit in prunable}
    if scope == "uniform":
        wanted = {unit.name: before[unit.name] * (1 - ratio) for unit in prunable}
    else:
        # Each score stands for one channel in every group.
        scores = torch.cat([unit.scores.repeat_interleave(unit.groups) for unit in prunable])
        stay = min(len(scores), round(sum(before[unit.name] for unit in prunable) * (1 - ratio)))
        # The threshold is the lowest score that stays. With equal scores, a few more channels stay.
        threshold = scores.sort(descending=True).values[stay - 1] if stay else math.inf
        wanted = {unit.name: float((unit.scores >= threshold).sum()) * unit.groups for unit in prunable}
    return {unit.name: _rounded(unit, wanted[unit.name], multiple) for unit in prunable}


def narrow(net: nn.Module, example: Tensor, score: Scorer, widths: Mapping[str, int]) -> None:
    """Removes the least important channels of each unit, in place, down to its width.

    Args:
        widths: The result of :func:`allocate`.
    """
    layers = dict(net.named_modules())
    ratios = {}
    for unit in units(net, example, score):
        parts = unit.channels // unit.groups
        keep = widths.get(unit.name, unit.channels) // unit.groups
        # Half a channel above the whole number, because the library truncates and its subtraction may round down.
        ratios[layers[unit.name]] = 1 - (keep + 0.5) / parts if keep < parts else 0.0
    with _tracing(net):
        pruner = tp.pruner.BasePruner(
            net, [example], score, pruning_ratio=0.0, pruning_ratio_dict=ratios, ignored_layers=output_layers(net, example),
            # The library's defaults are mutable, and all pruners share them.
            in_channel_groups={}, out_channel_groups={},
        )  # fmt: skip
        pruner.step()
    net.zero_grad(set_to_none=True)


def output_layers(net: nn.Module, example: Tensor) -> list[nn.Module]:
    """The layers whose output channels are those of the network: no other weighted layer follows them."""
    made: dict[Any, nn.Module] = {}

    def remember(layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        if output.grad_fn is not None:
            made[output.grad_fn] = layer

    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    hooks = [layer.register_forward_hook(remember) for layer in net.modules() if isinstance(layer, kinds)]
    try:
        with torch.enable_grad(), _all_require_grad(net):
            output = net(example)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(output, Tensor) or output.grad_fn is None:
        raise InputError(f"pruning: expected a network that gives one tensor, got {type(output).__name__}")
    todo, seen, last = [output.grad_fn], set(), []
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in made:
            last.append(made[node])
        else:
            todo += [before for before, _ in node.next_functions if before is not None]
    return last


def _rounded(unit: Unit, wanted: float, multiple: int) -> int:
    step = math.lcm(multiple, unit.groups)
    # Nearest, with halves up: for multiples of 8, round() would take both 12 and 20 to 16.
    if wanted >= unit.channels or unit.channels <= step:
        return unit.channels
    return min(unit.channels, max(step, int(wanted / step + 0.5) * step))


def _groups(group: Any) -> int:
    multiple = 1
    for item in group:
        layer = item.dep.target.module
        if isinstance(layer, nn.GroupNorm):
            multiple = math.lcm(multiple, layer.num_groups)
        elif isinstance(layer, nn.modules.conv._ConvNd) and layer.groups not in (1, layer.out_channels):  # not depthwise
            multiple = math.lcm(multiple, layer.groups)
    return multiple


def _names(net: nn.Module) -> dict[nn.Module, str]:
    return {layer: name for name, layer in net.named_modules()}


@contextmanager
def _all_require_grad(net: nn.Module) -> Iterator[None]:
    # The dependency graph comes from autograd, whose graph lacks frozen layers.
    before = {p: p.requires_grad for p in net.parameters()}
    for p in before:
        p.requires_grad_(True)
    try:
        yield
    finally:
        for p in net.parameters():
            p.requires_grad_(before.get(p, True))


@contextmanager
def _tracing(net: nn.Module) -> Iterator[None]:
    with warnings.catch_warnings(), torch.enable_grad(), _all_require_grad(net):
        warnings.simplefilter("ignore")  # the library's warnings are for its own developers
        try:
            yield
        except SegEdgeError:
            raise
        except Exception as error:  # unknown operations cause exceptions of many classes
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise InputError(
                f"pruning: Torch-Pruning can't follow this network ({reason}); it takes convolutional networks, "
                "no transformers; choose another model"
            ) from error
