"""The map of confidence: against exact arithmetic, alike on every instruction set, thresholds, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.core.labels import Labels
from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import kernels
from seg_edge.runtime.frame.confidence import Confidence
from seg_edge.runtime.frame.fit import Window

ISAS = kernels.available_isas()
MEASURES = ("probability", "margin")


def upsampled(logits, height, width, window=None):
    """float64 (C, height, width): bilinear between pixel centres, edges clamped; a window shows a part of the input."""
    top, left, view_h, view_w, of_h, of_w = window or (0, 0, 1, 1, 1, 1)

    def axis(values, size, start, length, of):
        count = values.shape[-1]
        at = np.clip((start + (np.arange(size) + 0.5) * length / size) * count / of - 0.5, 0, count - 1)
        low = np.minimum(at.astype(int), count - 1)
        high = np.minimum(low + 1, count - 1)
        return values[..., low] + (values[..., high] - values[..., low]) * (at - low)

    rows = axis(logits.astype(np.float64).swapaxes(1, 2), height, top, view_h, of_h).swapaxes(1, 2)
    return axis(rows, width, left, view_w, of_w)


def exact(logits, size_hw, measure, scale=1.0, window=None):
    """float64 (H, W), 0 to 255."""
    values = upsampled(logits, *size_hw, window) * scale
    shares = np.exp(values - values.max(0))
    shares = np.sort(shares / shares.sum(0), axis=0)
    best = shares[-1]
    return 255 * (best - (shares[-2] if measure == "margin" and len(shares) > 1 else 0))


def on(isa, logits, size_hw, measure, scale=1.0, mask=None, threshold=0, below=255, threads=1, window=None):
    out = np.full(size_hw, 77, np.uint8)
    _kernels.confidence(logits, out, measure, scale, mask, threshold, below, isa, threads, window)
    return out


def test_two_pixels_by_hand():
    # Softmax of (0, ln 3) is (1/4, 3/4); of equal logits one half each.
    logits = np.array([[[0, 5]], [[np.log(3), 5]]], np.float32)
    assert kernels.confidence(logits, (1, 2)).tolist() == [[191, 128]]
    assert kernels.confidence(logits, (1, 2), "margin").tolist() == [[128, 0]]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 9), (3, 7, 5), (11, 12, 17), (256, 3, 4)])
@pytest.mark.parametrize("size_hw", [(1, 1), (5, 63), (24, 64), (9, 65), (2, 130)])
def test_every_instruction_set_is_within_one_of_exact_arithmetic(measure, shape, size_hw):
    logits = (np.random.default_rng(len(shape)).normal(size=shape) * 4).astype(np.float32)
    maps = [on(isa, logits, size_hw, measure) for isa in ISAS]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    assert np.abs(maps[0] - exact(logits, size_hw, measure)).max() < 0.51


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint8])
def test_other_types_and_a_letterbox(measure, dtype):
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 100, (5, 9, 14)).astype(dtype)
    scale = 1.0 if dtype is np.float16 else 0.07
    window = Window(3, 5, 20, 31, 36, 56)
    maps = [on(isa, codes, (40, 71), measure, scale, window=window) for isa in ISAS]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    assert np.abs(maps[0] - exact(codes, (40, 71), measure, scale, window)).max() < 0.51


@pytest.mark.parametrize("measure", MEASURES)
def test_logits_that_are_no_numbers(measure):
    bad = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 0, 1e-40], np.float32)
    logits = np.random.default_rng(1).choice(bad, (4, 6, 7)).astype(np.float32)
    maps = [on(isa, logits, (13, 67), measure) for isa in ISAS]
    for other in maps[1:]:
        np.testing.assert_array_equal(other, maps[0])
    one = np.array([[[np.nan]], [[1]], [[-np.inf]]], np.float32)
    assert kernels.confidence(one, (1, 1), measure).item() == 255  # what is no number, and minus infinity, has no share


def test_threads_change_nothing():
    logits = np.random.default_rng(2).normal(size=(3, 20, 30)).astype(np.float32)
    np.testing.assert_array_equal(*(on(None, logits, (500, 300), "margin", threads=n) for n in (1, 3)))


@pytest.mark.parametrize("isa", ISAS)
def test_pixels_below_the_threshold_get_another_label(isa):
    logits = np.random.default_rng(4).normal(size=(3, 5, 8)).astype(np.float32)
    before = np.arange(21 * 70, dtype=np.uint8).reshape(21, 70)
    mask = before.copy()
    sure = on(isa, logits, mask.shape, "probability", mask=mask, threshold=140, below=9)
    assert 0.1 < (sure < 140).mean() < 0.9
    np.testing.assert_array_equal(mask, np.where(sure < 140, 9, before))
    untouched = before.copy()
    on(isa, logits, mask.shape, "probability", mask=untouched, threshold=0)
    np.testing.assert_array_equal(untouched, before)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"measure": "entropy"}, ValueError, "measure must be 'probability' or 'margin', got 'entropy'"),
        ({"scale": 0.0}, ValueError, "scale must be a positive number"),
        ({"scale": float("nan")}, ValueError, "scale must be a positive number"),
        ({"threshold": 256}, ValueError, "threshold and below must be 0 to 255, got 256 and 255"),
        ({"mask": np.zeros((4, 5), np.uint8)}, ValueError, r"mask must be uint8 \(H, W\) with \(H, W\) = \(4, 4\)"),
        ({"out": np.zeros((4, 5), np.uint8)}, ValueError, r"out must be uint8 \(4, 4\)"),
        ({"logits_chw": np.zeros((2, 3, 3))}, TypeError, "logits_chw must be float32"),
        ({"threads": 65}, ValueError, "threads must be 1 to 64"),
    ],
)
def test_refusals(change, error, text):
    words = {"logits_chw": np.zeros((2, 3, 3), np.float32), "size_hw": (4, 4), **change}
    with pytest.raises(error, match=f"^confidence: {text}"):
        kernels.confidence(**words)


def test_a_mask_must_not_be_the_map():
    out = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="mask must not overlap out"):
        kernels.confidence(np.zeros((2, 3, 3), np.float32), (4, 4), out=out, mask=out)


def test_what_options_mean():
    labels = Labels(("road", "car"), ((0, 0, 0), (1, 1, 1)), ignore_index=200)
    assert Confidence.make(labels) is None
    assert Confidence.make(labels, "margin") == Confidence("margin", 0, 200)
    assert Confidence.make(labels, least=1, below="car") == Confidence("probability", 255, 1)
    assert Confidence.make(labels, least=0.2) == Confidence("probability", 51, 200)  # 51 / 255 is 0.2: it stays
    for words, error in (({"measure": "probabilty"}, UnknownNameError), ({"least": 1.1}, InputError)):
        with pytest.raises(error):
            Confidence.make(labels, **words)
    with pytest.raises(UnknownNameError, match="did you mean 'car'"):
        Confidence.make(labels, least=0.1, below="cars")
