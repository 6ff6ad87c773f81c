"""Polygons, drawn again and compared with the mask."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.datasets.encodings.polygons import feature_collection, polygons


def grid(text):
    return np.array([[int(cell) for cell in row] for row in text.split()], np.uint8)


def drawn(regions, size_hw):
    """Even-odd filling with vertical edges: a pixel is inside where an odd number of them lies at or left of it."""
    edges = np.zeros((size_hw[0], size_hw[1] + 1), np.int64)
    for region in regions:
        for ring in region:
            for (x, y), (x2, y2) in zip(ring[:-1], ring[1:], strict=True):
                if x == x2:
                    edges[min(y, y2) : max(y, y2), x] += 1
    return np.cumsum(edges, 1)[:, :-1] % 2 == 1


def area(ring):
    x, y = np.array(ring).T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def test_a_region_with_a_hole():
    mask = grid("00000 01110 01010 01110 00000")
    assert polygons(mask)[1] == [
        [[[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]], [[2, 3], [3, 3], [3, 2], [2, 2], [2, 3]]],
    ]  # fmt: skip


def test_pixels_that_touch_at_a_corner_are_two_regions():
    for mask in (grid("10 01"), grid("01 10")):
        regions = polygons(mask)[1]
        assert [len(region) for region in regions] == [1, 1]
        assert [area(region[0]) for region in regions] == [1, 1]


def test_a_value_that_does_not_occur():
    assert set(polygons(np.full((3, 4), 2, np.uint8))) == {2}


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 5), (40, 33)])
def test_drawn_again_it_is_the_mask(size, classes):
    for seed in range(6):
        mask = np.random.default_rng(seed).integers(0, classes, size, np.uint8)
        for value in range(classes):
            regions = polygons(mask).get(value, [])
            assert (drawn(regions, size) == (mask == value)).all()
            assert sum(area(ring) for region in regions for ring in region) == (mask == value).sum()
            for region in regions:
                assert area(region[0]) > 0
                assert all(area(hole) < 0 for hole in region[1:])
                assert all(ring[0] == ring[-1] for ring in region)


def test_feature_collection():
    collection = feature_collection(grid("001 001"), ("sky", "road", "car"), [0, 1, 2])
    assert [feature["properties"] for feature in collection["features"]] == [
        {"id": 0, "name": "sky"}, {"id": 1, "name": "road"},
    ]  # fmt: skip
    assert collection["features"][1]["geometry"] == {
        "type": "MultiPolygon", "coordinates": [[[[2, 0], [3, 0], [3, 2], [2, 2], [2, 0]]]],
    }  # fmt: skip
