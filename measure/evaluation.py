"""Metrics of a model on a dataset, with the runtime's pre- and post-processing of live frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError, GateError
from ..core.metrics import ConfusionMatrix
from ..core.progress import Count, Progress, Silent
from ..core.report import MappingReport
from ..datasets.dataset import SegDataset
from ..datasets.merged import settle
from ..datasets.opening import for_model, open_dataset
from ..runtime.augmented import AugmentedSegmenter
from ..runtime.segmenter import Segmenter
from .opening import check_model, open_model
from .options import EvaluateOptions

_DEFAULTS = EvaluateOptions()
_COLUMNS = {
    "iou": "IoU", "dice": "Dice / F1", "precision": "precision", "sensitivity": "sensitivity", "specificity": "specificity",
}  # fmt: skip


class EvaluationReport(MappingReport):
    """The metrics of a model, as in ``val --json``: fractions 0..1; None is undefined.

    The keys are ``model``, ``data``, ``split``, ``images``, ``engine``, ``pixel_accuracy``, ``miou``, ``fw_iou``,
    ``per_class`` and ``confusion``; with test-time augmentation also ``tta``: its ``views``, and the same metrics again.
    """

    def title(self) -> str:
        about = f"{self['split']}, {self['images']} images, {self['engine']}"
        return f"{self['model']} on {self['data']} ({about}), %"

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
        rows = [[row["name"], *(percent(row[key]) for key in _COLUMNS)] for row in self["per_class"]]
        return ["class", *_COLUMNS.values()], rows

    def summary(self) -> str:
        """The figures of all classes together, in one line; those with test-time augmentation in a second one."""
        lines = [_line("", self)]
        if "tta" in self:
            lines.append(_line(f"with {' and '.join(self['tta']['views'])}: ", self["tta"]))
        return "\n".join(lines)


def _line(head: str, metrics: Mapping[str, Any]) -> str:
    return head + (
        f"mIoU {percent(metrics['miou'])} %   pixel accuracy {percent(metrics['pixel_accuracy'])} %   "
        f"frequency-weighted IoU {percent(metrics['fw_iou'])} %"
    )


def evaluate(
    model: str | Path | Segmenter,
    data: str | Path | SegDataset,
    options: EvaluateOptions = _DEFAULTS,
    *,
    progress: Progress | None = None,
) -> EvaluationReport:
    """Runs every image of a split and compares masks at the labels' own resolution.

    >>> report = evaluate("unet-s-camvid", "data")
    >>> report["images"], 0 < report["miou"] < 1
    (3, True)

    Args:
        model: A checkpoint (.pt), an exported model, an artefact folder, a shipped model's name, or an open Segmenter.
        data: Dataset folder, or an open split. A dataset without class names gets those of the model.
        options: Split, engine and threads. An open ``model`` or ``data`` keeps its own.
        progress: Receives the number of images done; None is silent.

    Returns:
        The metrics; :meth:`EvaluationReport.to_dict` is the content of ``val --json``.

    Raises:
        ModelFileError: no such model.
        DataError: no such dataset, other classes than the model's, or an image or label that can't be read.
        InputError: a checkpoint without torch, or with an engine of exported models.
        EngineError: the engine is missing or failed.
    """
    if not isinstance(model, Segmenter):
        check_model(model, options.engine)
    # Before the model, because the engine of checkpoints takes seconds to import.
    dataset = data if isinstance(data, SegDataset) else open_dataset(data, options.split)
    opened = nullcontext(model) if isinstance(model, Segmenter) else open_model(model, options.engine, options.threads)
    with opened as segmenter:
        if not isinstance(data, SegDataset):
            dataset = for_model(dataset, segmenter.spec)
        count = (progress or Silent()).count(f"{segmenter.engine.name}: {segmenter.engine.device}")
        return EvaluationReport(evaluate_split(segmenter, dataset, count, options.tta))


def evaluate_split(
    segmenter: Segmenter, dataset: SegDataset, count: Count | None = None, tta: Sequence[str] = ()
) -> dict[str, Any]:
    """:func:`evaluate` for an open model and an open split.

    Args:
        segmenter: The model.
        dataset: The split, with the same classes as the model. If the folder doesn't state classes, open it with
            ``labels=segmenter.labels``.
        count: Called with (images done, images in all) after each image.
        tta: Views of test-time augmentation, which is measured beside the plain model.

    Returns:
        The content of an :class:`EvaluationReport`.

    Raises:
        DataError: other classes than the model's, or an image or label that can't be read.
        EngineError: the engine failed.
    """
    check_classes(segmenter, dataset)
    matrix = ConfusionMatrix(len(segmenter.labels))
    augmented = AugmentedSegmenter(segmenter, tta) if tta else None
    second = ConfusionMatrix(len(segmenter.labels))
    mask = None
    for done, (frame_bgr, target) in enumerate(dataset, 1):
        # The buffer is reused while the size is the same, which is nearly always so in a dataset.
        mask = segmenter(frame_bgr, out=mask if mask is not None and mask.shape == target.shape else None)
        # A void value below 255 lies above every class, so the matrix skips it; see Labels.
        matrix.update(*settle(mask, np.asarray(target), len(segmenter.labels), dataset.sets))
        if augmented is not None:
            seen = augmented.segment(frame_bgr).mask
            assert seen is not None
            second.update(*settle(seen, np.asarray(target), len(segmenter.labels), dataset.sets))
        if count is not None:
            count(done, len(dataset))
    return {
        "model": segmenter.spec.name,
        "data": str(dataset.root),
        "split": dataset.split,
        "images": len(dataset),
        "engine": segmenter.engine.name,
        **matrix.report(segmenter.labels),
        **({"tta": {"views": list(tta), **second.report(segmenter.labels)}} if tta else {}),
    }


def require_miou(report: Mapping[str, Any], min_miou: float) -> None:
    """Raises GateError if the mIoU is below ``min_miou``, a fraction, or undefined.

    >>> require_miou({"data": "data", "miou": 0.7}, 0.72)
    Traceback (most recent call last):
        ...
    seg_edge.core.errors.GateError: val: mIoU 70.00 % on data is below `min_miou` 72 %
    """
    miou = report["miou"]
    if miou is None or miou < min_miou:
        got = "undefined" if miou is None else f"{100 * miou:.2f} %"
        raise GateError(f"val: mIoU {got} on {report['data']} is below `min_miou` {100 * min_miou:g} %")


def check_classes(segmenter: Segmenter, dataset: SegDataset) -> None:
    """Raises DataError unless dataset and model have the same classes in the same order."""
    mine, theirs = segmenter.labels.names, dataset.labels.names
    if mine == theirs:
        return
    if len(mine) != len(theirs):
        difference = f"it has {len(theirs)} classes, the model {segmenter.spec.name} has {len(mine)}"
    else:
        at = next(i for i, (a, b) in enumerate(zip(mine, theirs, strict=True)) if a != b)
        difference = f"its class {at} is {theirs[at]!r}, the model's ({segmenter.spec.name}) is {mine[at]!r}"
    raise DataError(
        f"dataset {dataset.root}: {difference}; name the model's classes in the dataset's classes.json, or evaluate on a "
        "dataset with the classes that the model was trained on"
    )


def percent(value: float | None) -> str:
    """A fraction as a cell: per cent with two decimals, a dash for None."""
    return "–" if value is None else f"{100 * value:.2f}"
