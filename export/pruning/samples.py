"""Training images for pruning: losses for the importances that need gradients, and statistics of batch normalization."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from ...calib.statistics import Track, silent
from ...core.errors import InputError
from ...core.spec import ModelSpec
from ...datasets.dataset import SegDataset
from ...train.losses.terms import SegmentationLoss, class_weights
from ..checks.frames import Frame, evenly_spaced, network_input
from .importance import Loss


def losses(dataset: SegDataset, spec: ModelSpec, count: int) -> Iterator[Loss]:
    """The training loss for each of up to ``count`` images, evenly spaced over a split, at every second pixel.

    Class weights follow the frequencies of the classes in these images.
    """
    pairs = []
    for index in evenly_spaced(len(dataset), count):
        frame, mask = dataset.read(index)
        pairs.append((network_input(frame, spec), torch.from_numpy(mask)))
    counts = np.bincount(np.concatenate([mask.numpy().ravel() for _, mask in pairs]), minlength=256)
    known = counts[: len(spec.labels) + len(dataset.sets)].astype(np.float64)
    weights = class_weights(known / max(known.sum(), 1.0))
    criterion = SegmentationLoss(weights, spec.labels.ignore_index, sets=dataset.sets).eval()
    for frame, target in pairs:
        image = _normalized(frame, spec)

        def loss(net: nn.Module, image: Tensor = image, target: Tensor = target) -> Tensor:
            value: Tensor = criterion(net(image), target[None])
            return value

        yield loss


def estimate_statistics(
    net: nn.Module, dataset: SegDataset, spec: ModelSpec, count: int, batch: int = 4, track: Track[list[int]] = silent
) -> None:
    """Measures the statistics of batch normalization again, on up to ``count`` images, evenly spaced over a split.

    After pruning, the stored means and variances don't match the activations any more (Li et al., "EagleEye", 2020,
    adaptive batch normalization). Plain averages over all batches replace the moving averages. Weights don't change;
    the network is in eval mode afterwards.

    Args:
        track: Wraps the loop over the batches, to show progress.

    Raises:
        InputError: a single image, for a network that normalizes globally pooled features: one value has no variance.
    """
    layers = [layer for layer in net.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    layers = [layer for layer in layers if layer.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    net.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average
        layer.train()
    with torch.no_grad():
        for indices in track(_batches(evenly_spaced(len(dataset), count), batch), "statistics"):
            frames = [network_input(dataset.read(k)[0], spec) for k in indices]
            try:
                net(torch.cat([_normalized(frame, spec) for frame in frames]))
            except ValueError as error:
                if len(frames) > 1:
                    raise
                raise InputError(
                    f"`images=1`: this network normalizes what it pools over a whole image, which takes two ({error}); "
                    "pass more `images`"
                ) from error
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    net.eval()


def _batches(indices: list[int], batch: int) -> list[list[int]]:
    """Splits indices into batches of about ``batch``, none of one image: pooled features would have no variance."""
    count = max(1, min(-(-len(indices) // batch), len(indices) // 2))
    return [indices[i * len(indices) // count : (i + 1) * len(indices) // count] for i in range(count)]


def _normalized(frame: Frame, spec: ModelSpec) -> Tensor:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (spec.mean, spec.std))
    rgb = torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).permute(0, 3, 1, 2).float()
    return (rgb - mean) / std
