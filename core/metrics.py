"""Segmentation metrics, computed from a confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .labels import Labels

Counts = npt.NDArray[np.int64]


class ConfusionMatrix:
    """Pixel counts: row = true class, column = predicted class.

    Args:
        classes: Number of classes; label values from ``classes`` up (void) are not counted.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts: Counts = np.zeros((classes, classes), np.int64)

    def update(self, predicted: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
        """Adds one or more masks.

        Args:
            predicted: integer, any shape, every value in 0..classes-1.
            target: integer, same shape.

        Raises:
            TypeError: a mask is not of integers.
            ValueError: the shapes differ, or a value is out of range.
        """
        for name, mask in (("predicted", predicted), ("target", target)):
            if mask.dtype.kind not in "ui":
                raise TypeError(f"ConfusionMatrix.update: {name} must be class numbers (integers), got {mask.dtype}")
        if predicted.shape != target.shape:
            raise ValueError(
                f"ConfusionMatrix.update: predicted {predicted.shape} and target {target.shape} must have one shape"
            )
        valid = target < self.classes
        guess, true = predicted[valid].astype(np.int64), target[valid].astype(np.int64)
        bad = guess[(guess < 0) | (guess >= self.classes)]
        if bad.size:
            raise ValueError(f"ConfusionMatrix.update: predicted values must lie in 0..{self.classes - 1}, got {bad[0]}")
        if true.size and true.min() < 0:
            raise ValueError(
                f"ConfusionMatrix.update: target values must be 0 or more, got {true.min()}; void is {self.classes} or more"
            )
        index = true * self.classes + guess
        self.counts += np.bincount(index, minlength=self.classes**2).reshape(self.classes, self.classes)

    @property
    def support(self) -> Counts:
        """True pixels per class, (classes,)."""
        return np.asarray(self.counts.sum(1))

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union per class, (classes,); NaN for classes that are neither true nor predicted."""
        hit = np.diag(self.counts)
        return _ratio(hit, self.counts.sum(0) + self.counts.sum(1) - hit)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes with a defined IoU, 0..1; NaN if no pixel was counted."""
        return _mean(self.iou)

    @property
    def pixel_accuracy(self) -> float:
        return float(_ratio(np.trace(self.counts), self.counts.sum()))

    @property
    def fw_iou(self) -> float:
        """Frequency-weighted IoU: IoU weighted by each class's share of the true pixels (Long et al., 2015)."""
        total = self.counts.sum()
        return float(np.nansum(self.iou * self.support) / total) if total else float("nan")

    def per_class(self, labels: Labels) -> list[dict[str, Any]]:
        """One row per class: IoU, Dice (= F1), precision, sensitivity (recall), specificity; null where undefined."""
        hit = np.diag(self.counts)
        predicted, true, total = self.counts.sum(0), self.counts.sum(1), self.counts.sum()
        columns = {
            "iou": self.iou,
            "dice": _ratio(2 * hit, predicted + true),
            "precision": _ratio(hit, predicted),
            "sensitivity": _ratio(hit, true),
            "specificity": _ratio(total - predicted - true + hit, total - true),
        }
        return [
            {"name": name} | {key: number(values[i]) for key, values in columns.items()}
            for i, name in enumerate(labels.names)
        ]

    def report(self, labels: Labels) -> dict[str, Any]:
        """The metrics part of ``val --json``."""
        return {
            "pixel_accuracy": number(self.pixel_accuracy),
            "miou": number(self.miou),
            "fw_iou": number(self.fw_iou),
            "per_class": self.per_class(labels),
            "confusion": self.counts.tolist(),
        }


def agreement(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Share of equal elements of two masks, 0..1. Raises ValueError if the shapes differ."""
    if a.shape != b.shape:
        raise ValueError(f"agreement: masks must have one shape, got {a.shape} and {b.shape}")
    return float(np.mean(a == b))


def number(value: Any) -> float | None:
    """A float for JSON; null for NaN."""
    return None if np.isnan(value) else float(value)


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _ratio(part: Any, whole: Any) -> npt.NDArray[np.float64]:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    result = np.full(part.shape, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
