"""Comparison of two trainings: six metrics on one split, image by image, with the interval of their difference."""

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
    """One of the two trainings.

    Attributes:
        name: Name in tables and images.
        checkpoint: The checkpoint file.
        model: Name of the network.
        params: Number of parameters.
        rows: Rows of ``metrics.csv``, epoch by epoch; empty without the file.
        matrix: Confusion matrix of all images together.
        image_iou, image_dice: Per image, the mean over the classes that occur in the image or its mask.
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
        """The six metrics, fractions 0..1.

        Accuracy is that of all pixels. IoU, F1, sensitivity and specificity are means over the classes, computed from
        all pixels together. Dice is a mean over images. F1 and Dice have the same formula and differ in the averaging
        only.
        """
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
        runs: Both runs.
        data: The split.
        notes: Notes on metrics that could not be compared.
    """

    runs: tuple[Run, Run]
    data: SegDataset
    notes: list[str]

    def ranking(self) -> list[int]:
        """Images from the worst to the best mean IoU of both runs, without images that have no labelled pixel."""
        a, b = (np.array(run.image_iou) for run in self.runs)
        mean = (a + b) / 2
        return [int(i) for i in np.argsort(mean, kind="stable") if np.isfinite(mean[i])]

    def extremes(self, cases: int) -> tuple[list[int], list[int]]:
        """The best and the worst images, up to ``cases`` of each; no image is both, and a single one is the worst."""
        order = self.ranking()
        return order[::-1][: min(cases, len(order) // 2)], order[: min(cases, len(order) - len(order) // 2)]

    def to_dict(self, cases: int) -> dict[str, Any]:
        """The content of ``compare --json``, with the names of the ``cases`` best and worst images."""
        a, b = (run.metrics() for run in self.runs)
        best, worst = self.extremes(cases)
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
            "best": [self._case(i) for i in best],
            "worst": [self._case(i) for i in worst],
            "notes": self.notes,
        }  # fmt: skip

    def interval(self) -> dict[str, Any]:
        """Mean over images of the second run's IoU minus the first one's, with a 95 % interval.

        Paired bootstrap over images (Efron and Tibshirani, 1993), because both runs have the same images. The interval
        does not cover the variation between trainings, which takes trainings with several seeds.
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
        open_split: A function from a model to the dataset's split with the model's classes.
        threads: CPU threads; None is every core.
        progress: Receives the number of images done, run by run; None is silent.

    Raises:
        InputError: not two runs, or the same run twice.
        ModelFileError, DataError: a file can't be read, or the classes differ.
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
    """The epochs of a ``metrics.csv``; empty if the file is missing.

    Raises:
        DataError: a cell is not a number.
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
