from __future__ import annotations

import json
import math

import numpy as np
import pytest

from seg_edge.core.labels import Labels
from seg_edge.core.metrics import ConfusionMatrix, agreement


def naive(pairs, classes):
    """Every figure straight from its definition on sets of pixels; NaN where it is 0 / 0."""

    def ratio(part, whole):
        return part / whole if whole else math.nan

    predicted = np.concatenate([p.ravel() for p, _ in pairs])
    target = np.concatenate([t.ravel() for _, t in pairs])
    predicted, target = predicted[target < classes], target[target < classes]
    rows = []
    for k in range(classes):
        tp = int(((predicted == k) & (target == k)).sum())
        fp = int(((predicted == k) & (target != k)).sum())
        fn = int(((predicted != k) & (target == k)).sum())
        tn = int(((predicted != k) & (target != k)).sum())
        rows.append(
            {
                "iou": ratio(tp, tp + fp + fn),
                "dice": ratio(2 * tp, 2 * tp + fp + fn),
                "precision": ratio(tp, tp + fp),
                "sensitivity": ratio(tp, tp + fn),
                "specificity": ratio(tn, tn + fp),
            }
        )
    shares = [float((target == k).mean()) if target.size else 0.0 for k in range(classes)]
    known = [row["iou"] for row in rows if not math.isnan(row["iou"])]
    return {
        "rows": rows,
        "miou": ratio(sum(known), len(known)),
        "pixel_accuracy": float((predicted == target).mean()) if target.size else math.nan,
        "fw_iou": sum(s * r["iou"] for s, r in zip(shares, rows, strict=True) if s) if target.size else math.nan,
    }


def same(value, expected):
    return value is None if math.isnan(expected) else value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("void", [255, 7])
def test_against_the_definitions(seed, void):
    """Random masks in two updates; with seeds 0 and 1 some classes are in no label, or nowhere at all."""
    rng = np.random.default_rng(seed)
    classes = 7
    true = (2, 5) if seed == 0 else (0, classes - 2) if seed == 1 else (0, classes)
    guess = (0, classes - 1) if seed < 2 else (0, classes)
    pairs = []
    for shape in ((13, 17), (5, 9)):
        target = rng.integers(*true, shape).astype(np.uint8)
        target[rng.random(shape) < 0.2] = void
        predicted = np.where(rng.random(shape) < 0.5, np.minimum(target, guess[1] - 1), rng.integers(*guess, shape))
        pairs.append((predicted.astype(np.uint8), target))
    matrix = ConfusionMatrix(classes)
    for predicted, target in pairs:
        matrix.update(predicted, target)
    expected, labels = naive(pairs, classes), Labels.numbered(classes)
    report = matrix.report(labels)
    for key in ("miou", "pixel_accuracy", "fw_iou"):
        assert same(report[key], expected[key]), key
    for row, right, name in zip(report["per_class"], expected["rows"], labels.names, strict=True):
        assert row.pop("name") == name
        assert set(row) == set(right)
        for key, value in row.items():
            assert same(value, right[key]), (name, key)
    if seed < 2:
        assert report["per_class"][6]["iou"] is None  # in no label and never guessed
    json.dumps(report, allow_nan=False)


def test_by_hand():
    """Three classes, ten pixels: rows are true classes, columns guesses."""
    #                    a  b  c
    counts = np.array([[4, 1, 0],  # a
                       [2, 1, 0],  # b
                       [0, 0, 2]])  # c  # fmt: skip
    matrix = ConfusionMatrix(3)
    target, predicted = (axis.repeat(counts.ravel()) for axis in np.divmod(np.arange(9), 3))
    matrix.update(predicted, target)
    assert matrix.counts.tolist() == counts.tolist()
    assert matrix.support.tolist() == [5, 3, 2]
    a, b, c = matrix.per_class(Labels.numbered(3))
    assert a["iou"] == 4 / 7  # 4 hits, 2 too many, 1 missed
    assert a["dice"] == 8 / 11
    assert a["precision"] == 4 / 6
    assert a["sensitivity"] == 4 / 5
    assert a["specificity"] == 3 / 5  # of the 5 others, 2 were called a
    assert b["specificity"] == 6 / 7
    assert {key: value for key, value in c.items() if key != "name"} == dict.fromkeys(
        ("iou", "dice", "precision", "sensitivity", "specificity"), 1.0
    )
    assert matrix.pixel_accuracy == 0.7
    assert matrix.miou == pytest.approx((4 / 7 + 1 / 4 + 1) / 3)
    assert matrix.fw_iou == pytest.approx(0.5 * 4 / 7 + 0.3 * 1 / 4 + 0.2)


def test_dice_is_the_harmonic_mean_of_precision_and_sensitivity():
    matrix = ConfusionMatrix(4)
    matrix.counts += np.random.default_rng(0).integers(1, 50, (4, 4))
    for row in matrix.per_class(Labels.numbered(4)):
        p, s = row["precision"], row["sensitivity"]
        assert row["dice"] == pytest.approx(2 * p * s / (p + s))
        assert row["dice"] == pytest.approx(2 * row["iou"] / (1 + row["iou"]))


def test_nothing_counted_is_null_not_zero():
    matrix = ConfusionMatrix(2)
    matrix.update(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    report = matrix.report(Labels.numbered(2))
    assert report.pop("confusion") == [[0, 0], [0, 0]]
    rows = report.pop("per_class")
    assert set(report.values()) == {None}
    assert {value for row in rows for key, value in row.items() if key != "name"} == {None}


def test_one_class_has_no_specificity():
    matrix = ConfusionMatrix(1)
    matrix.update(np.zeros(3, np.uint8), np.zeros(3, np.uint8))
    assert matrix.per_class(Labels.numbered(1)) == [
        {"name": "class0", "iou": 1.0, "dice": 1.0, "precision": 1.0, "sensitivity": 1.0, "specificity": None}
    ]


def test_255_classes_in_bytes():
    """The product of true class and number of classes doesn't fit the masks' own type."""
    matrix = ConfusionMatrix(255)
    mask = np.arange(256, dtype=np.uint8)
    matrix.update(np.minimum(mask, 254), mask)
    assert matrix.counts.tolist() == np.eye(255, dtype=int).tolist()


def test_what_is_guessed_on_void_is_not_looked_at():
    matrix = ConfusionMatrix(2)
    matrix.update(np.array([0, 200]), np.array([0, 255]))
    assert matrix.counts.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("predicted", "target", "kind", "text"),
    [
        (np.array([0]), np.array([0, 1]), ValueError, r"predicted \(1,\) and target \(2,\) must have one shape"),
        (np.array([0, 2]), np.array([0, 1]), ValueError, r"predicted values must lie in 0\.\.1, got 2"),
        (np.array([1, -3]), np.array([0, 1]), ValueError, r"predicted values must lie in 0\.\.1, got -3"),
        (np.array([0, 1]), np.array([0, -100]), ValueError, "target values must be 0 or more, got -100; void is 2 or more"),
        (np.array([0.0, 1.0]), np.array([0, 1]), TypeError, "predicted must be class numbers .* got float64"),
        (np.array([0, 1]), np.array([0.0, 1.0], np.float32), TypeError, "target must be class numbers .* got float32"),
    ],
)
def test_bad_masks_count_nothing(predicted, target, kind, text):
    matrix = ConfusionMatrix(2)
    with pytest.raises(kind, match=text):
        matrix.update(predicted, target)
    assert matrix.counts.sum() == 0


def test_agreement():
    a = np.array([[0, 1], [2, 3]], np.uint8)
    b = np.array([[0, 1], [2, 0]], np.uint8)
    assert agreement(a, b) == 0.75
    assert agreement(a, a) == 1.0
    with pytest.raises(ValueError, match=r"one shape, got \(2, 2\) and \(4,\)"):
        agreement(a, a.ravel())
