"""Run lengths against pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.datasets.encodings.rle import coco_rle

coco = pytest.importorskip("pycocotools.mask")


def blobs(height, width, classes, seed):
    """Large regions, as a network makes them."""
    coarse = np.random.default_rng(seed).integers(0, classes, (-(-height // 7), -(-width // 5)), np.uint8)
    return np.ascontiguousarray(np.kron(coarse, np.ones((7, 5), np.uint8))[:height, :width])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (31, 40), (97, 203)])
@pytest.mark.parametrize("make", ["blobs", "noise", "plain", "last"])
def test_the_same_as_pycocotools(size, make):
    rng = np.random.default_rng(3)
    mask = {
        "blobs": blobs(*size, 5, 1), "noise": rng.integers(0, 12, size, np.uint8), "plain": np.full(size, 255, np.uint8),
        "last": np.zeros(size, np.uint8),
    }[make]  # fmt: skip
    if make == "last":
        mask[-1, -1] = 7
    encoded = coco_rle(mask)
    assert sorted(encoded) == np.unique(mask).tolist()
    for value, rle in encoded.items():
        expected = coco.encode(np.asfortranarray(mask == value))
        assert rle == {"size": list(size), "counts": expected["counts"].decode()}


def test_long_runs_take_several_letters():
    mask = np.zeros((3000, 700), np.uint8)
    mask[1500:, 300:] = 1
    for value, rle in coco_rle(mask).items():
        assert rle["counts"] == coco.encode(np.asfortranarray(mask == value))["counts"].decode()
