"""COCO's run lengths from the kernel, against those from NumPy, which are tested against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.datasets.encodings import rle
from seg_edge.runtime.frame import kernels


def expected(mask):
    return {value: row["counts"] for value, row in rle.coco_rle(mask).items()}


def test_columns_by_eye():
    mask = np.array([[0, 0, 2], [0, 1, 2], [1, 1, 2]], np.uint8)
    # Columns: 0 0 1 | 0 1 1 | 2 2 2. Counts of 0: 0 2 1 1 5, of 1: 2 1 1 2 3; from the fourth on less the one two before.
    assert kernels.coco_rle(mask) == {0: "021" + "O4", 1: "211" + "12", 2: "63"}  # O is -1


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (8, 8), (9, 31), (64, 65), (97, 203)])
@pytest.mark.parametrize("values", [1, 2, 12, 256])
def test_the_same_as_numpy(shape, values):
    rng = np.random.default_rng(values)
    noise = rng.integers(0, values, shape, np.uint8)
    blobs = np.kron(rng.integers(0, values, (-(-shape[0] // 7), -(-shape[1] // 5)), np.uint8), np.ones((7, 5), np.uint8))
    for mask in (noise, np.ascontiguousarray(blobs[: shape[0], : shape[1]]), np.full(shape, 255, np.uint8)):
        assert kernels.coco_rle(mask) == expected(mask)


def test_counts_of_several_letters():
    mask = np.zeros((3000, 700), np.uint8)
    mask[1500:, 300:] = 1
    mask[-1, -1] = 0
    assert kernels.coco_rle(mask) == expected(mask)


@pytest.mark.parametrize(
    ("mask", "error", "text"),
    [
        (np.zeros((4, 4), np.int32), TypeError, "coco_rle: mask must be uint8 (H, W), got int32 (4, 4)"),
        (np.zeros((4, 4, 1), np.uint8), ValueError, "got uint8 (4, 4, 1)"),
        (np.zeros((0, 4), np.uint8), ValueError, "sides of 1 to 16384, got uint8 (0, 4)"),
        (np.zeros((4, 8), np.uint8)[:, ::2], ValueError, "use np.ascontiguousarray(mask)"),
        ([[0]], TypeError, "got list"),
    ],
)
def test_refusals(mask, error, text):
    with pytest.raises(error) as caught:
        kernels.coco_rle(mask)
    assert text in str(caught.value)
