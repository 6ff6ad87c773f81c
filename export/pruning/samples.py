"""Losses on training images, for the importances that need gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ...core.dataset import SegDataset
from ...core.spec import ModelSpec
from ...train.losses import SegmentationLoss, class_weights
from ..frames import evenly_spaced, network_input
from .importance import Loss


def losses(dataset: SegDataset, spec: ModelSpec, count: int) -> Iterator[Loss]:
    """One loss for each of up to ``count`` images, evenly spaced over a split: the loss of training, at every second pixel.

    Classes are weighted by their frequencies in these images.
    """
    pairs = []
    for index in evenly_spaced(len(dataset), count):
        frame, mask = dataset.read(index)
        pairs.append((network_input(frame, spec), torch.from_numpy(mask)))
    counts = np.bincount(np.concatenate([mask.numpy().ravel() for _, mask in pairs]), minlength=256)
    known = counts[: len(spec.labels)].astype(np.float64)
    criterion = SegmentationLoss(class_weights(known / max(known.sum(), 1.0)), spec.labels.ignore_index).eval()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    for frame, target in pairs:
        rgb = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).permute(0, 3, 1, 2).float()
        image = (rgb - mean) / std

        def loss(net: nn.Module, image: Tensor = image, target: Tensor = target) -> Tensor:
            value: Tensor = criterion(net(image), target[None])
            return value

        yield loss
