"""The frames that measurements are fed with."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.datasets.opening import open_dataset
from seg_edge.measure.workload.frames import dataset_frames, generated_frames


def test_generated_frames_are_structured_different_and_repeatable():
    frames = generated_frames((72, 128), count=3)
    assert all(frame.shape == (72, 128, 3) and frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in frames)
    again = generated_frames((72, 128), count=3)
    assert all((a == b).all() for a, b in zip(frames, again, strict=True))
    assert (frames[0] != frames[1]).mean() > 0.5
    for frame in frames:
        small = frame.astype(np.float64)
        steps = np.abs(np.diff(small, axis=1)).mean()
        # Between a flat frame (0) and noise (85 levels from pixel to pixel): edges, but not everywhere.
        assert small.std() > 20
        assert 2 < steps < 25


@pytest.mark.parametrize("size_hw", [(1, 1), (2, 300), (300, 2)])
def test_generated_frames_of_odd_sizes(size_hw):
    assert generated_frames(size_hw, count=2)[1].shape == (*size_hw, 3)


def test_dataset_frames_are_spread_over_the_split_and_stretched(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    for i in range(10):
        image = np.full((20, 30, 3), 20 * i, np.uint8)
        cv2.imwrite(str(tmp_path / f"images/val/{i:02}.png"), image)
        cv2.imwrite(str(tmp_path / f"labels/val/{i:02}.png"), np.zeros((20, 30), np.uint8))
    dataset = open_dataset(tmp_path, "val")
    frames = dataset_frames(dataset, (40, 90), count=4)
    assert [frame.shape for frame in frames] == [(40, 90, 3)] * 4
    assert [int(frame[0, 0, 0]) // 20 for frame in frames] == [0, 3, 6, 9]
    assert len(dataset_frames(dataset, (20, 30), count=99)) == 10
