"""Which channels matter: the scores by which pruning chooses, from the library Torch-Pruning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ...core.errors import InputError, UnknownNameError

#: Scores of a group of layers that can only be pruned together: float (channels,).
Scorer = Callable[[Any], Tensor | None]
#: A sample or batch's loss, as a function of the network; called with gradients on.
Loss = Callable[[nn.Module], Tensor]

#: Name → what it is and the paper it is from.
IMPORTANCES: dict[str, str] = {
    "l1": "mean L1 norm of a channel's weights (Li et al., 2017)",
    "l2": "mean squared L2 norm of a channel's weights over its group (Fang et al., DepGraph, 2023)",
    "bn": "scale of batch normalization (Liu et al., Network Slimming, 2017)",
    "lamp": "L2 norm, normalized layer by layer (Lee et al., LAMP, 2021)",
    "taylor": "first-order change of the loss on training images (Molchanov et al., 2019)",
    "hessian": "second-order change of the loss, diagonal, on training images (LeCun et al., Optimal Brain Damage, 1989)",
    "random": "random, the baseline that every other one must beat",
}
#: Those that need training images.
NEED_DATA = ("taylor", "hessian")


def check_importance(name: str) -> None:
    """Raises UnknownNameError if there is no such importance."""
    if name not in IMPORTANCES:
        raise UnknownNameError("importance", name, IMPORTANCES)


def scorer(name: str, net: nn.Module, losses: Iterable[Loss] | None = None, seed: int = 0) -> Scorer:
    """The scoring function of a name in :data:`IMPORTANCES`.

    Args:
        net: The network that will be scored. ``taylor`` and ``hessian`` leave gradients in it; it is put into eval mode.
        losses: For ``taylor`` and ``hessian``: one loss for each training sample.

    Raises:
        UnknownNameError: no such importance.
        InputError: the importance needs training images and there are none.
    """
    check_importance(name)
    if name in NEED_DATA:
        if losses is None:
            raise InputError(f"--importance {name}: is measured on training images; pass --data DIR")
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
        # It multiplies squared weights by what it finds in ``grad``. Its own accumulate_grad() looks parameters up by name
        # in a table by parameter, and so keeps the last sample alone (1.6.1): _fill_gradients takes its place.
        "hessian": tp.importance.GroupHessianImportance,
    }[name]()
    result: Scorer = made
    return result


def _fill_gradients(net: nn.Module, losses: Iterable[Loss], squared: bool) -> None:
    """Puts the samples' mean gradient into ``grad``, or the mean of its square (the Fisher information's diagonal)."""
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
        raise InputError("pruning: the training split gave no image to measure importance on; check --data")
    for p, total in totals.items():
        p.grad = total / count
