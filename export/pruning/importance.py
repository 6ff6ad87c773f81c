"""Importance of channels: the scores by which pruning chooses, from the library Torch-Pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ...core.errors import InputError
from ...core.options import check_name
from .names import IMPORTANCES, NEED_DATA

#: Scores of a group of layers that can only be pruned together: float (channels,).
Scorer = Callable[[Any], Tensor | None]
#: The loss of a sample or batch as a function of the network; called with gradients enabled.
Loss = Callable[[nn.Module], Tensor]


def scorer(name: str, net: nn.Module, losses: Iterable[Loss] | None = None, seed: int = 0) -> Scorer:
    """The scoring function of a name in :data:`IMPORTANCES`.

    Args:
        net: The network to score; set to eval mode. ``taylor`` and ``hessian`` leave gradients in its parameters.
        losses: For ``taylor`` and ``hessian``: one loss for each training sample.

    Raises:
        UnknownNameError: no such importance.
        InputError: the importance needs training images, and there are none.
    """
    check_name("importance", name, IMPORTANCES)
    if name in NEED_DATA:
        if losses is None:
            raise InputError(f"`importance='{name}'`: is measured on training images; pass `data`, a dataset folder")
        net.eval()
        _fill_gradients(net, losses, squared=name == "hessian")
    if name == "random":
        generator = torch.Generator().manual_seed(seed)

        def random(group: Any) -> Tensor:
            return torch.rand(len(group[0].idxs), generator=generator)

        return random
    made = {
        "l1": lambda: tp.importance.GroupMagnitudeImportance(p=1),
        "l2": lambda: tp.importance.GroupMagnitudeImportance(p=2),
        "bn": tp.importance.BNScaleImportance,
        "lamp": tp.importance.LAMPImportance,
        "taylor": tp.importance.GroupTaylorImportance,
        # This class multiplies squared weights by ``grad``. Its accumulate_grad() looks up parameters by name in a
        # table whose keys are parameters, so that it keeps the last sample only (1.6.1). _fill_gradients replaces it.
        "hessian": tp.importance.GroupHessianImportance,
    }[name]()
    result: Scorer = made
    return result


def _fill_gradients(net: nn.Module, losses: Iterable[Loss], squared: bool) -> None:
    """Writes the samples' mean gradient into ``grad``, or the mean square (diagonal of the Fisher information)."""
    totals = {p: torch.zeros_like(p) for p in net.parameters() if p.requires_grad}
    count = 0
    for loss in losses:
        net.zero_grad(set_to_none=True)
        loss(net).backward()  # type: ignore[no-untyped-call]
        for p, total in totals.items():
            if p.grad is not None:
                total += p.grad.square() if squared else p.grad
        count += 1
    if not count:
        raise InputError("prune: the training split gave no image to measure importance on; check `data`")
    for p, total in totals.items():
        p.grad = total / count
