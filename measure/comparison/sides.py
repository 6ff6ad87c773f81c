"""Two trainings side by side: six metrics on one split, image by image, with the interval of their difference."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.metrics import ConfusionMatrix, number
from ...core.progress import Count, Progress, Silent
from ...core.shipped import CHECKPOINT
from ...datasets.dataset import SegDataset
from ...runtime.segmenter import Segmenter
from ...train.checkpoint import load_checkpoint
from ...train.checkpoint.names import BEST
from ...train.models.registry import parameters
from ...train.torch_engine import TorchEngine
from ..evaluation import check_classes
from ..opening import two_checkpoints
from .titles import METRICS

_RESAMPLES = 2000


@dataclass
class Run:
    """One side.

    Attributes:
        name: For tables and images.
        checkpoint: The file.
        model: Name of the network.
        params: Its weights.
        rows: Its ``metrics.csv``, epoch by epoch; empty where there is none.
        matrix: All images together.
        image_iou, image_dice: Mean over the classes that occur in an image or its mask, image by image.
    """

    name: str
    checkpoint: Path
    model: str
    params: int
    rows: list[dict[str, float]]
    matrix: ConfusionMatrix
    image_iou: list[float] = field(default_factory=list)
    image_dice: list[float] = field(default_factory=list)

    def metrics(self) -> dict[str, float | None]:
        """The six: accuracy of all pixels; IoU, F1, sensitivity and specificity as means over the classes, of all pixels
        together; Dice as a mean over images. F1 and Dice are one formula, so that only the two ways to average differ."""
        counts = self.matrix.counts.astype(np.float64)
        hit, true, guessed, total = np.diag(counts), counts.sum(1), counts.sum(0), counts.sum()
        return {
            "accuracy": number(self.matrix.pixel_accuracy),
            "miou": number(self.matrix.miou),
            "f1": _mean(_ratio(2 * hit, true + guessed)),
            "dice": _mean(np.array(self.image_dice)),
            "sensitivity": _mean(_ratio(hit, true)),
            "specificity": _mean(_ratio(total - true - guessed + hit, total - true)),
        }


@dataclass
class Comparison:
    """Two runs on one split.

    Attributes:
        runs: Both sides.
        data: The split.
        notes: What could not be compared.
    """

    runs: tuple[Run, Run]
    data: SegDataset
    notes: list[str]

    def ranking(self) -> list[int]:
        """Images from the worst to the best mean of both sides' IoU; images without a labelled pixel are left out."""
        a, b = (np.array(run.image_iou) for run in self.runs)
        mean = (a + b) / 2
        return [int(i) for i in np.argsort(mean, kind="stable") if np.isfinite(mean[i])]

    def to_dict(self, cases: int) -> dict[str, Any]:
        """What ``compare --json`` writes; ``cases`` best and worst images are named."""
        a, b = (run.metrics() for run in self.runs)
        order = self.ranking()
        return {
            "data": str(self.data.root),
            "split": self.data.split,
            "images": len(self.data),
            "runs": [
                {
                    "name": run.name, "checkpoint": str(run.checkpoint), "model": run.model, "params": run.params,
                    "epochs": len(run.rows), "seconds_per_epoch": _seconds(run.rows), "metrics": run.metrics(),
                    "per_class": run.matrix.per_class(self.data.labels),
                }
                for run in self.runs
            ],
            "difference": {key: None if a[key] is None or b[key] is None else b[key] - a[key] for key in METRICS},  # type: ignore[operator]  # fmt: skip
            "image_iou_difference": self.interval(),
            "best": [self._case(i) for i in order[::-1][:cases]],
            "worst": [self._case(i) for i in order[:cases]],
            "notes": self.notes,
        }  # fmt: skip

    def interval(self) -> dict[str, Any]:
        """Mean over images of the second run's IoU minus the first one's, with a 95 % interval.

        Paired bootstrap over images (Efron and Tibshirani, 1993), for both saw the same ones. It says nothing about the
        luck of a training: for that, train with several seeds.
        """
        a, b = (np.array(run.image_iou) for run in self.runs)
        known = (b - a)[np.isfinite(a) & np.isfinite(b)]
        if len(known) < 2:
            return {"mean": number(known.mean()) if len(known) else None, "low": None, "high": None}
        drawn = np.random.default_rng(0).integers(0, len(known), (_RESAMPLES, len(known)))
        low, high = np.percentile(known[drawn].mean(1), (2.5, 97.5))
        return {"mean": float(known.mean()), "low": float(low), "high": float(high)}

    def _case(self, index: int) -> dict[str, Any]:
        return {"image": self.data.images[index].name, "iou": [run.image_iou[index] for run in self.runs]}


def compare_runs(
    runs: Sequence[str | Path],
    open_split: Callable[[Segmenter], SegDataset],
    threads: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Evaluates two trainings through the runtime's pre- and post-processing.

    Args:
        runs: Two folders of ``seg-edge train``, or checkpoints.
        open_split: A model → the dataset's split with its classes.
        threads: CPU threads; None takes every core.
        progress: Told of the images done, run by run.

    Raises:
        InputError: not two runs, or the same one twice.
        ModelFileError, DataError: what can't be read, or classes that differ.
    """
    files = two_checkpoints(runs)
    notes: list[str] = []
    names = [file.parent.name if file.name in (BEST, CHECKPOINT) else file.stem for file in files]
    done: list[Run] = []
    data: SegDataset | None = None
    for position, file in enumerate(files):
        with Segmenter(TorchEngine.from_checkpoint(file, threads)) as segmenter:
            data = data or open_split(segmenter)
            check_classes(segmenter, data)
            name = _named(names, position)
            done.append(_evaluated(name, file, segmenter, data, notes, (progress or Silent()).count(name)))
    assert data is not None
    return Comparison((done[0], done[1]), data, notes)


def _named(names: list[str], position: int) -> str:
    return names[position] if names[0] != names[1] else f"{names[position]} ({'AB'[position]})"


def _evaluated(name: str, file: Path, segmenter: Segmenter, data: SegDataset, notes: list[str], count: Count) -> Run:
    rows = read_history(file.parent / "metrics.csv")
    if not rows:
        notes.append(f"{name}: no curves, for {file.parent / 'metrics.csv'} is missing")
    classes = len(data.labels)
    run = Run(
        name, file, segmenter.spec.name, parameters(load_checkpoint(file).model), rows, ConfusionMatrix(classes)
    )  # fmt: skip
    for done, (frame_bgr, target) in enumerate(data, 1):
        image = ConfusionMatrix(classes)
        image.update(segmenter(frame_bgr), target)
        run.matrix.counts += image.counts
        run.image_iou.append(image.miou)
        hit, both = np.diag(image.counts), image.counts.sum(0) + image.counts.sum(1)
        dice = _mean(_ratio(2.0 * hit, both))
        run.image_dice.append(float("nan") if dice is None else dice)
        count(done, len(data))
    return run


def read_history(file: Path) -> list[dict[str, float]]:
    """The epochs of a ``metrics.csv``; none where it is missing.

    Raises:
        DataError: a cell that is no number.
    """
    if not file.is_file():
        return []
    with open(file, encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    try:
        return [{key: float(value) for key, value in row.items() if value} for row in rows]
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: not a table of numbers ({error}); expected that of seg-edge train") from error


def _seconds(rows: list[dict[str, float]]) -> float | None:
    known = [row["seconds"] for row in rows if "seconds" in row]
    return sum(known) / len(known) if known else None


def _ratio(part: Any, whole: Any) -> npt.NDArray[np.float64]:
    result = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
