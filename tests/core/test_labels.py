from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import DataError, UnknownNameError
from seg_edge.core.labels import CAMVID, Labels, colorize, default_palette, preset

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_round_trip():
    labels = Labels(("road", "car"), (RED, BLUE), 7)
    assert labels.to_dict() == {"names": ["road", "car"], "palette": [[255, 0, 0], [0, 0, 255]], "ignore_index": 7}
    assert Labels.from_dict(labels.to_dict()) == labels
    assert len(labels) == 2


def test_palette_and_ignore_index_may_be_left_out():
    labels = Labels.from_dict({"names": ["a", "b", "c"]})
    assert labels == Labels(("a", "b", "c"), default_palette(3), 255)


def test_palette_in_the_order_of_frames():
    palette = Labels(("a", "b"), ((1, 2, 3), (4, 5, 6))).palette_bgr
    assert palette.dtype == np.uint8
    assert palette.flags["C_CONTIGUOUS"]
    assert palette.tolist() == [[3, 2, 1], [6, 5, 4]]


@pytest.mark.parametrize(
    ("names", "palette", "ignore_index", "text"),
    [
        ((), (), 255, "expected 1 to 255 names, got 0"),
        (tuple(map(str, range(256))), (RED,) * 256, 255, "expected 1 to 255 names, got 256"),
        (("a", "b", "a"), (RED, GREEN, BLUE), 255, "names must be unique, got a, b, a"),
        (("a", "b"), (RED,), 255, "2 names but 1 colours"),
        (("a",), ((0, 0, 256),), 255, "three numbers from 0 to 255"),
        (("a",), ((-1, 0, 0),), 255, "three numbers from 0 to 255"),
        (("a",), ((0, 0),), 255, "three numbers from 0 to 255"),
        (("a", "b"), (RED, BLUE), 1, r"ignore_index must lie in 2\.\.255 \(above every class\), got 1"),
        (("a", "b"), (RED, BLUE), 256, r"ignore_index must lie in 2\.\.255"),
    ],
)
def test_bad_classes(names, palette, ignore_index, text):
    with pytest.raises(DataError, match=text):
        Labels(names, palette, ignore_index)


@pytest.mark.parametrize("ignore_index", [2, 255])
def test_bounds_of_ignore_index(ignore_index):
    assert Labels(("a", "b"), (RED, BLUE), ignore_index).ignore_index == ignore_index


def test_as_many_classes_as_fit():
    assert len(Labels.numbered(255)) == 255


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"names": ["a"], "colours": []}, "unknown key 'colours'; valid keys: names, palette, ignore_index"),
        ({}, "expected names, palette"),
        ({"names": 3}, "expected names, palette"),
        ({"names": "road"}, "names must be a list, got 'road'"),
        ({"names": ["a"], "palette": [[1, 2]]}, "expected names, palette"),
        ({"names": ["a"], "palette": ["red"]}, "expected names, palette"),
        ({"names": ["a"], "ignore_index": "void"}, "expected names, palette"),
        ({"names": ["a"], "ignore_index": float("inf")}, "expected names, palette"),
        ({"names": ["a"], "ignore_index": 0}, "ignore_index must lie in"),
    ],
)
def test_bad_dict(data, text):
    with pytest.raises(DataError, match=text):
        Labels.from_dict(data)


def test_numbered():
    labels = Labels.numbered(3, 9)
    assert labels.names == ("class0", "class1", "class2")
    assert labels.ignore_index == 9


def test_default_colours_differ():
    assert len(set(default_palette(64))) == 64


def test_presets():
    assert preset("camvid") is CAMVID
    assert (len(CAMVID), CAMVID.ignore_index, CAMVID.names[3]) == (11, 11, "road")
    with pytest.raises(UnknownNameError, match="unknown class list 'camvdi': did you mean 'camvid'"):
        preset("camvdi")


def test_colorize():
    mask = np.array([[0, 1], [1, 255]], np.uint8)
    picture = colorize(mask, (RED, BLUE))
    assert picture.dtype == np.uint8
    assert picture.tolist() == [[[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [0, 0, 0]]]
