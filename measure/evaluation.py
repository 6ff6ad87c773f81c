"""Metrics of a model on a dataset, through the same pre- and post-processing that the runtime uses on live frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.metrics import ConfusionMatrix
from ..datasets.dataset import SegDataset
from ..datasets.merged import settle
from ..runtime.segmenter import Segmenter


def evaluate(
    segmenter: Segmenter, dataset: SegDataset, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Runs every image of a split and compares masks at the labels' own resolution.

    Args:
        segmenter: The model.
        dataset: Its classes must be the model's: open it with ``labels=segmenter.labels`` where the folder doesn't say them.
        progress: Called with (images done, images in all) after each image.

    Returns:
        What ``val --json`` writes: model, data, split, images, engine, pixel_accuracy, miou, fw_iou, per_class, confusion.

    Raises:
        DataError: other classes than the model's, or an image or label that can't be read.
        EngineError: the engine failed.
    """
    check_classes(segmenter, dataset)
    matrix = ConfusionMatrix(len(segmenter.labels))
    mask = None
    for done, (frame_bgr, target) in enumerate(dataset, 1):
        # The buffer is reused while sizes stay the same, which in a dataset they nearly always do.
        mask = segmenter(frame_bgr, out=mask if mask is not None and mask.shape == target.shape else None)
        # A void value below 255 lies above every class, so the matrix skips it; see Labels.
        matrix.update(*settle(mask, np.asarray(target), len(segmenter.labels), dataset.sets))
        if progress is not None:
            progress(done, len(dataset))
    return {
        "model": segmenter.spec.name,
        "data": str(dataset.root),
        "split": dataset.split,
        "images": len(dataset),
        "engine": segmenter.engine.name,
        **matrix.report(segmenter.labels),
    }


def check_classes(segmenter: Segmenter, dataset: SegDataset) -> None:
    """Raises DataError unless the dataset's classes are the model's, in the same order."""
    mine, theirs = segmenter.labels.names, dataset.labels.names
    if mine == theirs:
        return
    if len(mine) != len(theirs):
        what = f"it has {len(theirs)} classes, the model {segmenter.spec.name} has {len(mine)}"
    else:
        at = next(i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
        what = f"its class {at} is {theirs[at]!r}, the model's ({segmenter.spec.name}) is {mine[at]!r}"
    raise DataError(
        f"dataset {dataset.root}: {what}; name the model's classes in the dataset's classes.json, or evaluate on a dataset "
        "with the classes that the model was trained on"
    )
