"""Two training samples made into one: more of what is rare, in surroundings that it does not always have."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


def class_mix(sample: Pair, other: Pair, weights: Tensor, ignore_index: int) -> Pair:
    """Pastes half of the classes of ``other``, pixel by pixel, onto ``sample``.

    Olsson et al., "ClassMix" (2021), section 3.2, with labels in place of predictions, and with classes drawn by weight
    instead of evenly.

    Args:
        sample, other: Image uint8 (3, H, W) and mask uint8 (H, W), all of one size. They stay as they are.
        weights: Of the draw, float (classes,), above 0.
        ignore_index: Pixels with this label are never pasted.
    """
    image, mask = sample
    there = torch.unique(other[1])
    there = there[there != ignore_index].long()
    if not len(there):
        return sample
    chosen = there[torch.multinomial(weights[there], math.ceil(len(there) / 2))]
    paste = torch.isin(other[1].long(), chosen)
    return torch.where(paste, other[0], image), torch.where(paste, other[1], mask)


def cut_mix(sample: Pair, other: Pair) -> Pair:
    """Pastes a rectangle of ``other`` onto ``sample``, at its place: Yun et al., "CutMix" (2019), equation 2.

    Its share of the area is uniform in 0..1; what lies outside the image is cut off.

    Args:
        sample, other: Image uint8 (3, H, W) and mask uint8 (H, W), all of one size. They stay as they are.
    """
    height, width = sample[1].shape
    side = math.sqrt(torch.rand(()).item())
    y, x = (int(torch.randint(0, size, ())) for size in (height, width))
    half_h, half_w = round(height * side / 2), round(width * side / 2)
    box = (
        ..., slice(max(0, y - half_h), min(height, y + half_h)), slice(max(0, x - half_w), min(width, x + half_w)),
    )  # fmt: skip
    image, mask = sample[0].clone(), sample[1].clone()
    image[box], mask[box] = other[0][box], other[1][box]
    return image, mask


def draw_weights(frequencies: npt.NDArray[np.float64]) -> Tensor:
    """How :func:`class_mix` draws classes: by 1 / √frequency, so that one of a hundredth is ten times as likely.

    Args:
        frequencies: Share of each class among all pixels, (classes,); classes that never occur get the weight of the rarest.
    """
    present = frequencies[frequencies > 0]
    least = float(present.min()) if len(present) else 1.0
    return torch.tensor(1 / np.sqrt(np.maximum(frequencies, least)), dtype=torch.float32)
