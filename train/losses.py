"""Losses, computed on a subgrid of the full-resolution labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def class_weights(frequencies: npt.NDArray[np.float64], offset: float = 1.10) -> Tensor:
    """Weights that lift rare classes: 1 / ln(offset + p), scaled to mean 1 over the pixels.

    Paszke et al., "ENet" (2016), section 5.1, with the offset that ESPNet and ERFNet use (1.10 instead of 1.02).
    """
    weights = 1.0 / np.log(offset + frequencies)
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


class SegmentationLoss(nn.Module):
    """Class-weighted cross entropy plus Dice, at every ``step``-th pixel along each axis.

    The pixels' grid starts at a random offset in each call, so that every label pixel counts in the long run; a step of
    2 costs a quarter of the full resolution.

    Args:
        weights: Weight of each class, float (classes,).
        ignore_index: Label of pixels that count nowhere.
        dice: Share of the Dice term (Milletari et al., "V-Net", 2016, equation 3, per class over the batch).
        step: Distance of the pixels that are used.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, ignore_index: int, dice: float = 0.5, step: int = 2) -> None:
        super().__init__()
        self.register_buffer("weights", weights, persistent=False)
        self.ignore_index = ignore_index
        self.dice = dice
        self.step = step

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """``logits``: float (N, C, h, w); ``target``: uint8 (N, H, W) → scalar."""
        height, width = target.shape[-2:]
        first_y, first_x = torch.randint(0, self.step, (2,)).tolist() if self.training else (0, 0)
        rows = sampling_matrix(logits.shape[2], height, first_y, self.step).to(logits.device)
        columns = sampling_matrix(logits.shape[3], width, first_x, self.step).to(logits.device)
        target = target[:, first_y :: self.step, first_x :: self.step].long()
        with torch.autocast(logits.device.type, enabled=False):
            logits = rows @ (logits.float().contiguous() @ columns.T)
            log_p = F.log_softmax(logits, 1)
            loss = F.nll_loss(log_p, target, self.weights, ignore_index=self.ignore_index)
            if not bool((target != self.ignore_index).any()):
                return logits.sum() * 0.0  # nothing labelled in this batch: nll_loss would be 0/0
            return loss + self.dice * self._dice(log_p.exp(), target) if self.dice else loss

    def _dice(self, p: Tensor, target: Tensor) -> Tensor:
        classes = p.shape[1]
        valid = target != self.ignore_index
        index = torch.where(valid, target, 0).unsqueeze(1)
        p_true = p.gather(1, index).squeeze(1)
        flat = torch.where(valid, target, classes).flatten()
        hit = torch.zeros(classes + 1, device=p.device).index_add(0, flat, p_true.flatten())[:classes]
        true = torch.bincount(flat, minlength=classes + 1)[:classes].float()
        predicted = (p * valid.unsqueeze(1)).sum((0, 2, 3))
        present = true > 0
        score = 2 * hit[present] / (true[present] + predicted[present])
        return 1 - score.mean()
