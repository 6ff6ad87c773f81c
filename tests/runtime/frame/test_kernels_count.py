"""Counts of pixels by the kernels, against NumPy's, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from seg_edge.runtime import _kernels
from seg_edge.runtime.frame import counting, kernels

ISAS = kernels.available_isas()
RNG = np.random.default_rng(11)


def division(h: int, w: int, count: int) -> tuple[Any, Any]:
    """Region of every pixel, uint16 (h, w), and the same for the kernels: boxes over each other."""
    ids = np.zeros((h, w), np.uint16)
    for number in range(count):
        y, x = RNG.integers(0, h), RNG.integers(0, w)
        ids[y : y + RNG.integers(1, h + 1), x : x + RNG.integers(1, w + 1)] = number
    last = np.ones((h, w), bool)
    last[:, :-1] = ids[:, 1:] != ids[:, :-1]
    rows = np.concatenate(([0], np.cumsum(last.sum(1)))).astype(np.uint32)
    ends = (np.nonzero(last)[1] + 1).astype(np.uint32)
    return ids, _kernels.regions(rows, ends, ids[last], count, w)


def counted(mask: Any, ids: Any, count: int) -> Any:
    return np.stack([np.bincount(mask[ids == number], minlength=256) for number in range(count)])


def zeros(count: int) -> Any:
    return np.zeros((count, 256), np.uint64)


@pytest.mark.parametrize("isa", ISAS)
def test_every_pass_counts_as_numpy_does(isa: str) -> None:
    for turn in range(60):
        h, w, dst_h, dst_w = (int(side) for side in RNG.integers(1, 90, 4))
        if turn % 20 == 0:
            dst_h, dst_w = 300, 401  # several threads
        count = int(RNG.integers(1, 9))
        logits = RNG.normal(size=(5, h, w)).astype(np.float32)
        logits[2] += 1.5  # so that some cells have one class
        ids, regions = division(dst_h, dst_w, count)
        mask, frame = np.empty((dst_h, dst_w), np.uint8), RNG.integers(0, 256, (dst_h, dst_w, 3), np.uint8)
        palette = RNG.integers(0, 256, (5, 3), np.uint8)
        made = [zeros(count) for _ in range(7)]
        _kernels.upsample_argmax(logits, mask, isa, 3, None, made[0], regions)
        _kernels.count(logits, (dst_h, dst_w), made[1], True, isa, 2, None, regions)
        _kernels.count(mask, (dst_h, dst_w), made[2], False, isa, 0, None, regions)
        for number, lines in ((3, None), (4, palette)):
            out = np.empty_like(frame)
            _kernels.upsample_overlay(
                logits, frame, palette, 0.5, out, None, isa, 2, lines, 1.0, None, made[number], regions
            )  # fmt: skip
            _kernels.blend(mask, frame, palette, 0.5, out, isa, 2, lines, 1.0, made[number + 2], regions)
        for counts in made:
            np.testing.assert_array_equal(counts, counted(mask, ids, count))


@pytest.mark.parametrize("isa", ISAS)
def test_noise_and_void_are_counted_too(isa: str) -> None:
    for h, w in ((1, 1), (1, 15), (3, 5), (16, 16), (7, 33), (2, 1000)):
        mask = RNG.integers(0, 256, (h, w), np.uint8)
        counts = zeros(1)
        _kernels.count(mask, (h, w), counts, False, isa)
        np.testing.assert_array_equal(counts[0], np.bincount(mask.ravel(), minlength=256))


def test_counts_are_added_to() -> None:
    counts = counting.count_mask(np.full((2, 3), 7, np.uint8), zeros(1))
    assert counting.count_mask(np.full((1, 4), 7, np.uint8), counts)[0, 7] == 10
    assert counts.sum() == 10


def test_counting_changes_no_picture() -> None:
    logits = RNG.normal(size=(4, 9, 11)).astype(np.float32)
    frame, palette = RNG.integers(0, 256, (50, 70, 3), np.uint8), RNG.integers(0, 256, (4, 3), np.uint8)
    with_counts = kernels.upsample_overlay(logits, frame, palette, counts=zeros(1))
    np.testing.assert_array_equal(with_counts, kernels.upsample_overlay(logits, frame, palette))


def test_refusals() -> None:
    mask = np.zeros((4, 6), np.uint8)
    _, regions = division(4, 6, 2)
    with pytest.raises(ValueError, match=r"counts must be uint64 \(R, 256\) with R = 1, or the number of regions"):
        counting.count_mask(mask, zeros(3), regions)
    with pytest.raises(TypeError, match="counts must be uint64"):
        counting.count_mask(mask, np.zeros((1, 256), np.int64))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"regions must be of the image's size \(5, 6\), got \(4, 6\)"):
        counting.count_mask(np.zeros((5, 6), np.uint8), zeros(2), regions)
    with pytest.raises(TypeError, match="mask must be uint8"):
        counting.count_mask(mask.astype(np.int32), zeros(1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ends", "ids"),
    [
        ([6, 6], [0, 2]),  # a region that doesn't exist
        ([5, 6], [0, 0]),  # a row that ends early
        ([7, 6], [0, 0]),  # beyond the width
        ([0, 6], [0, 0]),  # an empty run
    ],
)
def test_divisions_with_a_fault_are_refused(ends: list[int], ids: list[int]) -> None:
    rows = np.array([0, 1, 2], np.uint32)
    with pytest.raises(ValueError, match="every row must have runs whose ends ascend to the width"):
        _kernels.regions(rows, np.array(ends, np.uint32), np.array(ids, np.uint16), 2, 6)
