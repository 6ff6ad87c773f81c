"""Labels that are sets of classes: the marginal loss of datasets that each label some classes only.

Shi et al., "Marginal loss and exclusion loss for partially supervised multi-organ segmentation" (2021), equations 3 to 6
(after Fang and Yan, 2020): where a dataset does not label some classes, their probabilities and the background's are summed,
and cross entropy and Dice are those of the sums. Here the sum belongs to the pixel, not to the image, so that mixed images
(ClassMix, CutMix) and batches of several datasets need nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Relations(NamedTuple):
    """How labels and classes stand to each other; both axes run over the classes, then the sets.

    Attributes:
        within: bool (S, T): a pixel labelled T is in S.
        known: bool (S, T): whether it is in S can be told from its label.
    """

    within: Tensor
    known: Tensor


def relations(classes: int, sets: Sequence[Sequence[int]]) -> Relations:
    """
    Args:
        classes: Number of classes.
        sets: Class numbers of each set.
    """
    every = torch.eye(classes + len(sets), classes)
    for row, members in zip(every[classes:], sets, strict=True):
        row[list(members)] = 1
    common = every @ every.T
    # T is within S if all that it has is in S too; it is outside if they have nothing in common; else it can't be told.
    within = common == every.sum(1)
    return Relations(within, within | (common == 0))


def with_sets(log_p: Tensor, sets: Sequence[Sequence[int]]) -> Tensor:
    """Appends the logarithms of the sets' probabilities, equation 3.

    Args:
        log_p: float (N, C, h, w), logarithms of class probabilities.
        sets: Class numbers of each of the G sets.

    Returns:
        float (N, C + G, h, w).
    """
    # Not log_p[:, members]: the gradient of indexing is many times slower on a CPU.
    outside = torch.full((len(sets), log_p.shape[1], 1, 1), -torch.inf, device=log_p.device)
    for row, members in zip(outside, sets, strict=True):
        row[list(members)] = 0.0
    return torch.cat((log_p, *((log_p + row).logsumexp(1, keepdim=True) for row in outside)), 1)


def set_dice(p: Tensor, target: Tensor, valid: Tensor, about: Relations) -> Tensor:
    """1 - Dice, mean over the classes and sets that occur.

    A pixel doesn't count for a class or set where its label leaves open whether it belongs to it; without sets this is the
    usual Dice loss.

    Args:
        p: float (N, S, h, w), probabilities of classes and sets.
        target: int64 (N, h, w), 0 to S - 1 where ``valid``.
        valid: bool (N, h, w).
    """
    size = p.shape[1]
    label = torch.where(valid, target, size).flatten()
    one_hot = torch.nn.functional.one_hot(label, size + 1)[:, :size].to(p.dtype)
    mass = p.movedim(1, 0).flatten(1) @ one_hot  # (S, T): probability of S at the pixels labelled T
    hit = (mass * about.within).sum(1)
    predicted = (mass * about.known).sum(1)
    true = about.within.to(p.dtype) @ one_hot.sum(0)
    occurs = one_hot.sum(0) > 0
    score = 2 * hit[occurs] / (true[occurs] + predicted[occurs])
    return 1 - score.mean()
