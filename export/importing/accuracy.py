"""The accuracy of both sides of an import on a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...core.labels import Labels
from ...core.progress import Progress
from ...datasets.dataset import SegDataset
from ...datasets.opening import named_for
from ...measure.evaluation import evaluate_split
from ...runtime.segmenter import Segmenter
from ..checks.frames import evenly_spaced
from ..checks.measure import accuracy
from .original import Original, OriginalEngine
from .proof import agreement_with, best_alternative
from .report import ImportReport

#: Images on which other preprocessings are tried.
_TRIED = 6


def measure_accuracy(
    report: ImportReport, original: Original, path: Path, dataset: SegDataset, labels: Labels, engine: str,
    threads: int | None, progress: Progress,
) -> None:  # fmt: skip
    """Adds the mIoU of both sides, and a warning if another preprocessing fits the dataset clearly better.

    Raises:
        DataError: the dataset has other classes.
    """
    data = named_for(dataset, labels)
    assert report.step is not None
    report.step.miou = accuracy(path, data, engine, threads, progress.count(f"mIoU on {engine}"))["miou"]
    with Segmenter(OriginalEngine(path, report.spec, original, report.preprocessing)) as segmenter:
        report.original_miou = evaluate_split(segmenter, data, progress.count("mIoU of the original"))["miou"]
    warning = _better_preprocessing(report, original, data)
    if warning:
        report.notes.append(warning)
        progress.say(warning)


def _better_preprocessing(report: ImportReport, original: Original, data: SegDataset) -> str:
    pairs = [data.read(i) for i in evenly_spaced(len(data), _TRIED)]
    frames, masks = [frame for frame, _ in pairs], [np.asarray(mask) for _, mask in pairs]
    stated = report.preprocessing
    now = agreement_with(original, frames, masks, stated, ignore=data.labels.ignore_index)
    found = best_alternative(original, frames, masks, stated, now, ignore=data.labels.ignore_index)
    if found is None:
        return ""
    return f"warning: on the dataset, {100 * now:.1f} % of the pixels are right; {found}: check the preprocessing"
