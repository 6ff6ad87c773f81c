"""Losses, computed on a subgrid of the full-resolution labels: a table of terms, and sums of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import InputError
from .marginal import Relations, relations, set_dice, with_sets
from .options import DEFAULT_LOSS, parse_loss


def class_weights(frequencies: npt.NDArray[np.float64], strength: float = 1.0, offset: float = 1.10) -> Tensor:
    """Weights that lift rare classes: 1 / ln(offset + p), to the power of ``strength``, scaled to mean 1 over the pixels.

    Paszke et al., "ENet" (2016), section 5.1, with the offset that ESPNet and ERFNet use (1.10 instead of 1.02).
    """
    weights = np.log(offset + frequencies) ** -strength
    mean = float((weights * frequencies).sum()) or float(weights.mean())
    return torch.tensor(weights / mean, dtype=torch.float32)


def sampling_matrix(inputs: int, outputs: int, first: int, step: int) -> Tensor:
    """Bilinear interpolation along one axis as a matrix, (len(first, first + step, …), inputs).

    Row ``k`` samples position ``first + k·step`` of an axis of ``outputs`` pixels that ``inputs`` values span (half-pixel
    centres, clamped at the edges), as the runtime's kernel does. On CPUs this product is faster than
    ``interpolate`` with its backward pass, and it can leave pixels out.
    """
    position = ((torch.arange(first, outputs, step, dtype=torch.float64) + 0.5) * inputs / outputs - 0.5).clamp(
        0, inputs - 1
    )
    low = position.floor().long().clamp(max=max(inputs - 2, 0))
    fraction = position - low
    rows = torch.arange(len(position))
    matrix = torch.zeros(len(position), inputs, dtype=torch.float64)
    matrix[rows, low] = 1 - fraction
    if inputs > 1:
        matrix[rows, low + 1] += fraction
    return matrix.float()


class Pixels(NamedTuple):
    """What a term of the loss sees.

    Attributes:
        log_p: float (N, C, h, w), logarithms of class probabilities; where labels are sets, those of the sets follow.
        target: int64 (N, h, w).
        weights: float (C,), of the classes.
        ignore_index: Label of pixels that count nowhere; there is at least one other pixel.
        sets: How sets and classes stand to each other; None where every label is one class.
    """

    log_p: Tensor
    target: Tensor
    weights: Tensor
    ignore_index: int
    sets: Relations | None = None

    @property
    def valid(self) -> Tensor:
        """bool (N, h, w)."""
        return self.target != self.ignore_index

    @property
    def known(self) -> Tensor:
        """int64 (N, 1, h, w): the target, 0 where it is void."""
        return torch.where(self.valid, self.target, 0).unsqueeze(1)


def cross_entropy(pixels: Pixels) -> Tensor:
    """Class-weighted cross entropy."""
    log_p, target, weights, ignore_index, _ = pixels
    if log_p.is_cuda and torch.are_deterministic_algorithms_enabled():
        # CUDA's nll_loss2d has no deterministic version.
        weight = torch.where(pixels.valid, weights[pixels.known.squeeze(1)], 0.0)
        return -(weight * log_p.gather(1, pixels.known).squeeze(1)).sum() / weight.sum()
    return F.nll_loss(log_p, target, weights, ignore_index=ignore_index)


def ohem(pixels: Pixels, sure: float = 0.7, least: float = 1 / 16) -> Tensor:
    """Cross entropy of the hard pixels only: online hard example mining.

    Shrivastava et al. (2016), for pixels as in Yu et al., "BiSeNet" (2018): those whose true class has a probability below
    ``sure``, but at least the hardest ``least`` of all.
    """
    costs = -pixels.log_p.gather(1, pixels.known).squeeze(1)[pixels.valid]
    weight = pixels.weights[pixels.target[pixels.valid]]
    count = max(int((costs > -math.log(sure)).sum()), math.ceil(least * len(costs)))
    hard = costs.detach().topk(count).indices
    return (costs[hard] * weight[hard]).sum() / weight[hard].sum()


def focal(pixels: Pixels, gamma: float = 2.0) -> Tensor:
    """Lin et al., "Focal Loss for Dense Object Detection" (2017), equation 5, the class weights as alpha."""
    log_p = pixels.log_p.gather(1, pixels.known).squeeze(1)[pixels.valid]
    weight = pixels.weights[pixels.target[pixels.valid]]
    return -(weight * (1 - log_p.exp()) ** gamma * log_p).sum() / weight.sum()


def dice(pixels: Pixels) -> Tensor:
    """1 - Dice, mean over the classes that occur: Milletari et al., "V-Net" (2016), equation 3, per class over the batch."""
    p, target = pixels.log_p.exp(), pixels.target
    classes, valid = p.shape[1], pixels.valid
    if pixels.sets is not None:
        return set_dice(p, target, valid, pixels.sets)
    p_true = p.gather(1, pixels.known).squeeze(1)
    flat = torch.where(valid, target, classes).flatten()
    hit = torch.zeros(classes + 1, device=p.device).index_add(0, flat, p_true.flatten())[:classes]
    true = torch.bincount(flat, minlength=classes + 1)[:classes].float()
    predicted = (p * valid.unsqueeze(1)).sum((0, 2, 3))
    present = true > 0
    score = 2 * hit[present] / (true[present] + predicted[present])
    return 1 - score.mean()


#: Of a pixel's probability: what the Lovász loss takes for none.
NO_ERROR = 1e-3


def lovasz(pixels: Pixels) -> Tensor:
    """Berman et al., "The Lovász-Softmax loss" (2018), of the classes that occur, over the batch."""
    p, target = pixels.log_p.exp(), pixels.target
    known, inside = pixels.valid, pixels.known.squeeze(1)
    # An error is |t - p| = t + (1 - 2t)p: all of them, weighted, are one product and a constant.
    factors, constant = torch.zeros_like(p), torch.zeros((), device=p.device)
    present = torch.unique(target[known]).tolist()
    with torch.no_grad():
        for k in present:
            true, counted = (target == k).float(), known
            if pixels.sets is not None:
                counted = known & pixels.sets.known[k][inside]
                true = (pixels.sets.within[k][inside] & counted).float()
            # Pixels that don't count have no error, so that they come last, where slopes no longer matter.
            errors = (true - p[:, k]).abs() * counted
            slope = _lovasz_slope(errors.flatten(), true.flatten()).view_as(true) * counted
            factors[:, k] = slope * (1 - 2 * true)
            constant += (slope * true).sum()
    return ((factors * p).sum() + constant) / len(present)


def _lovasz_slope(errors: Tensor, true: Tensor) -> Tensor:
    """What each error is worth: the gradient of 1 - IoU's Lovász extension (Berman et al., algorithm 1).

    All of them are worth 1 together, and the worth of each depends only on larger ones. So those that are too small to
    matter take no part in the sorting, which is most of the work, and are worth 0: that changes the loss by less than
    :data:`NO_ERROR`.

    Args:
        errors: float (N,), 0 or more.
        true: float (N,), 1 where a pixel is of the class, else 0.
    """
    large = (errors > NO_ERROR).nonzero().squeeze(1)
    slope = torch.zeros_like(errors)
    if not len(large):
        return slope
    # Floats that are not negative stand in the order of their bits. On CPUs integers with their places in their lower
    # halves are sorted in less than half the time of floats.
    keys = (0x7FFFFFFF - errors[large].float().view(torch.int32).long() << 32) + large
    order = keys.sort().values & 0xFFFFFFFF
    count, true = true.sum(), true[order]
    intersection = count - true.cumsum(0)
    union = count + (1 - true).cumsum(0)
    jaccard = 1 - intersection / union
    return slope.index_copy_(0, order, torch.cat((jaccard[:1], jaccard[1:] - jaccard[:-1])))


def boundary(pixels: Pixels, tolerance: int = 2) -> Tensor:
    """1 - F1 of class boundaries: Bokhovkin and Burnaev, "Boundary Loss for Remote Sensing Imagery" (2019).

    A boundary is one pixel of the subgrid wide, and found if the other one's lies within ``tolerance`` pixels of it.
    """
    # A pixel beside void has no known boundary.
    valid = 1 - F.max_pool2d((~pixels.valid).float().unsqueeze(1), 3, 1, 1)
    p = pixels.log_p.exp()
    true = F.one_hot(pixels.known.squeeze(1), p.shape[1]).movedim(-1, 1).to(p.dtype)

    def edge(inside: Tensor) -> Tensor:
        return (F.max_pool2d(1 - inside, 3, 1, 1) - (1 - inside)) * valid

    def near(line: Tensor) -> Tensor:
        return F.max_pool2d(line, 2 * tolerance + 1, 1, tolerance)

    mine, theirs = edge(p), edge(true)
    present = theirs.sum((0, 2, 3)) > 0
    if not bool(present.any()):  # a single class has no boundary
        return p.sum() * 0.0
    precision = (mine * near(theirs)).sum((0, 2, 3)) / mine.sum((0, 2, 3)).clamp(min=1e-6)
    recall = (near(mine) * theirs).sum((0, 2, 3)) / theirs.sum((0, 2, 3)).clamp(min=1e-6)
    f1 = 2 * precision * recall / (precision + recall).clamp(min=1e-6)
    return 1 - f1[present].mean()


#: How the terms of :data:`.options.TERM_NAMES` are computed.
TERMS: dict[str, Callable[[Pixels], Tensor]] = {
    "ce": cross_entropy, "ohem": ohem, "focal": focal, "dice": dice, "lovasz": lovasz, "boundary": boundary,
}  # fmt: skip


#: Most values, pixels times classes, of an image that the loss looks at in evaluation.
EVALUATED = 1 << 19


def check_sets(loss: str, sets: Sequence[Sequence[int]]) -> None:
    """Raises InputError for a term that labels which are sets have no meaning for."""
    if sets and "boundary" in parse_loss(loss):
        # What lies between a labelled class and the unlabelled rest may be the boundary of any class in there.
        raise InputError(
            "`loss`: boundary needs datasets that label every class; pass other terms, or `unlabelled='background'`"
        )


class SegmentationLoss(nn.Module):
    """A sum of terms, at every ``step``-th pixel along each axis.

    The pixels' grid starts at a random offset in each call, so that every label pixel counts in the long run; a step of
    2 costs a quarter of the full resolution. In evaluation it starts at the first pixel, is not finer than the logits, and
    has at most :data:`EVALUATED` values an image: labels may be much larger than the network's input, and of many classes.

    Args:
        weights: Weight of each class, float (classes,).
        ignore_index: Label of pixels that count nowhere.
        loss: Terms of :data:`TERMS` and their weights, see :func:`.options.parse_loss`.
        step: Distance of the pixels that are used.
        sets: What labels from the number of classes up stand for, see :mod:`.marginal`; ``weights`` goes on with theirs.

    Raises:
        InputError: the boundary term with sets.
    """

    weights: Tensor

    def __init__(
        self, weights: Tensor, ignore_index: int, loss: str = DEFAULT_LOSS, step: int = 2, sets: Sequence[Sequence[int]] = ()
    ) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.ignore_index = ignore_index
        self.terms = parse_loss(loss)
        check_sets(loss, sets)
        self.sets = sets
        self.relations = relations(len(weights) - len(sets), sets) if sets else None
        self.step = step

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits``: float (N, C, h, w); ``target``: uint8 (N, H, W) → scalar."""
        height, width = target.shape[-2:]
        first_y, first_x, step_y, step_x = 0, 0, self.step, self.step
        if self.training:
            first_y, first_x = torch.randint(0, self.step, (2,)).tolist()
        else:
            least = math.ceil(math.sqrt(height * width * logits.shape[1] / EVALUATED))
            step_y, step_x = max(step_y, least, height // logits.shape[2]), max(step_x, least, width // logits.shape[3])
        rows = sampling_matrix(logits.shape[2], height, first_y, step_y).to(logits.device)
        columns = sampling_matrix(logits.shape[3], width, first_x, step_x).to(logits.device)
        target = target[:, first_y::step_y, first_x::step_x].long()
        with torch.autocast(logits.device.type, enabled=False):
            logits = rows @ (logits.float().contiguous() @ columns.T)
            if not bool((target != self.ignore_index).any()):
                return logits.sum() * 0.0  # nothing labelled in this batch: most terms would be 0/0
            log_p, about = F.log_softmax(logits, 1), None
            if self.relations is not None:
                log_p = with_sets(log_p, self.sets)
                about = Relations(*(table.to(logits.device) for table in self.relations))
            pixels = Pixels(log_p, target, self.weights, self.ignore_index, about)
            total: Tensor | None = None
            for name, weight in self.terms.items():
                term = TERMS[name](pixels)
                term = term if weight == 1 else weight * term
                total = term if total is None else total + term
            assert total is not None
            return total
