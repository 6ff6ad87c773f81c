"""Connected parts of a class, and their identity."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.runtime import Segmenter
from seg_edge.runtime.instances import ComponentTracker, components

PICTURE = """
##...##
##...##
...#...
....#..
2......
"""


def mask_of(picture):
    return np.array([[{".": 0, "#": 1, "2": 2}[letter] for letter in row] for row in picture.split()], np.uint8)


def test_parts_with_area_box_and_centroid():
    found = components(mask_of(PICTURE), 1, "car")
    assert (found.name, len(found)) == ("car", 3)
    assert found.area.tolist() == [4, 4, 2]
    assert found.boxes.tolist() == [[0, 0, 2, 2], [5, 0, 7, 2], [3, 2, 5, 4]]
    assert found.centroids.tolist() == [[0.5, 0.5], [5.5, 0.5], [3.5, 2.5]]
    assert found.mask(2).sum() == 2
    assert found.mask(2)[2, 3]
    assert found.parts.max() == 3


def test_corners_and_small_parts():
    mask = mask_of(PICTURE)
    assert components(mask, 1, connectivity=4).area.tolist() == [4, 4, 1, 1]
    large = components(mask, 1, min_area=3)
    assert large.area.tolist() == [4, 4]
    assert large.parts.max() == 2
    assert (large.parts > 0).sum() == 8
    assert len(components(mask, 7)) == 0
    assert components(mask, 7).boxes.shape == (0, 4)
    with pytest.raises(InputError, match="`connectivity`: expected 4 or 8, got 6"):
        components(mask, 1, connectivity=6)


def test_of_a_result(tiny_model):
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:, :, 0] = 255
    frame[8:24, 8:24] = frame[8:24, 40:56] = 0, 0, 255
    with Segmenter(tiny_model) as segmenter:
        result = segmenter.process(frame)
        found = result.components("class2")
        assert len(found) == 2
        assert sorted(box[0] > 30 for box in found.boxes.tolist()) == [False, True]
        with pytest.raises(UnknownNameError, match="did you mean 'class2'"):
            result.components("clas2")
        with pytest.raises(InputError, match="has no mask"):
            segmenter.process(frame, mask=False).components("class2")


def squares(*places):
    mask = np.zeros((60, 200), np.uint8)
    for x, size in places:
        mask[10 : 10 + size, x : x + size] = 1
    return components(mask, 1)


def test_identities_follow_motion():
    tracker = ComponentTracker()
    seen = []
    for step in range(15):
        found = tracker.update(squares((5 + 4 * step, 20), (150 - 4 * step, 16)))
        seen.append(found.ids.tolist())
    assert seen[0] == [1, 2]
    assert {tuple(sorted(ids)) for ids in seen[:12]} == {(1, 2)}


def test_gaps_are_bridged_and_long_ones_are_not():
    tracker = ComponentTracker(patience=2)
    assert tracker.update(squares((10, 20))).ids.tolist() == [1]
    for _ in range(2):
        assert tracker.update(squares()).ids.tolist() == []
    assert tracker.update(squares((12, 20))).ids.tolist() == [1]
    for _ in range(3):
        tracker.update(squares())
    assert tracker.update(squares((12, 20))).ids.tolist() == [2]
    assert tracker.count == 2


def test_the_best_overlap_wins():
    tracker = ComponentTracker()
    tracker.update(squares((10, 20), (60, 20)))
    found = tracker.update(squares((14, 20), (58, 18), (120, 8)))
    assert dict(zip(found.boxes[:, 0].tolist(), found.ids.tolist(), strict=True)) == {14: 1, 58: 2, 120: 3}


def test_supervision():
    pytest.importorskip("supervision", exc_type=ImportError)
    found = ComponentTracker().update(components(mask_of(PICTURE), 1, "car"))
    detections = found.to_supervision()
    assert detections.xyxy.tolist() == found.boxes.tolist()
    assert detections.mask.shape == (3, 5, 7)
    assert detections.area.tolist() == [4, 4, 2]
    assert detections.class_id.tolist() == [1, 1, 1]
    assert detections.tracker_id.tolist() == [1, 2, 3]
    assert detections["class_name"].tolist() == ["car"] * 3
    assert len(components(mask_of(PICTURE), 7).to_supervision()) == 0


def test_without_supervision(monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InputError, match="pip install supervision"):
        components(mask_of(PICTURE), 1).to_supervision()
