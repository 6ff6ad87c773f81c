"""Zones as pixels of a frame, and areas in them."""

from __future__ import annotations

import numpy as np
import pytest

from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.runtime.areas import AreaCounter, Zone, Zones
from seg_edge.runtime.frame import counting

RNG = np.random.default_rng(5)


def zone(name, *rings, size=(1.0, 1.0)):
    return Zone(name, (tuple(np.array(ring, float) for ring in rings),), size)


def picture(mask):
    return ["".join(".#"[value] for value in row) for row in mask.astype(int)]


def test_a_triangle():
    found = zone("a", [[0, 0], [8, 0], [0, 4]], size=None).inside((4, 8))
    assert picture(found) == ["#######.", "#####...", "###.....", "#......."]


def test_a_hole_and_two_polygons():
    ring = zone("a", [[0, 0], [6, 0], [6, 5], [0, 5]], [[2, 1], [4, 1], [4, 4], [2, 4]], size=None).inside((5, 6))
    assert picture(ring) == ["######", "##..##", "##..##", "##..##", "######"]
    boxes = [np.array([[x, 0], [x + 3, 0], [x + 3, 1], [x, 1]], float) for x in (0, 2)]
    assert picture(Zone("b", ((boxes[0],), (boxes[1],)), None).inside((1, 6))) == ["#####."]  # their union


def test_neighbours_share_no_pixel_and_leave_none_out():
    x = 0.437
    left, right = zone("l", [[0, 0], [x, 0], [x, 1], [0, 1]]), zone("r", [[x, 0], [1, 0], [1, 1], [x, 1]])
    a, b = left.inside((11, 37)), right.inside((11, 37))
    assert (a ^ b).all()


def test_pixels_of_another_size_are_scaled():
    drawn = zone("a", [[100, 0], [200, 0], [200, 100], [100, 100]], size=(100, 200))
    assert picture(drawn.inside((2, 4))) == ["..##", "..##"]


def test_corners_outside_the_frame_are_cut():
    assert zone("a", [[-5, -5], [9, -5], [9, 9], [-5, 9]]).inside((3, 3)).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 53), (120, 161)])
def test_areas_are_numpys_whatever_the_zones(size_hw):
    zones = Zones([zone(f"z{n}", [[0, 0], [1, 0], [1, 1], [0, 1]], RNG.random((5, 2)) * 1.4 - 0.2) for n in range(8)])
    mask = RNG.integers(0, 5, size_hw, np.uint8)  # 3 and 4 are void
    inside = [each.inside(size_hw) for each in zones.zones]
    if not all(each.any() for each in inside):
        return
    counter = AreaCounter(("a", "b", "c"), zones)
    arguments = counter.arguments(size_hw)
    counting.count_mask(mask, **arguments)
    areas = counter.areas(arguments["counts"], size_hw)
    assert areas.zones == ("frame", *zones.names)
    for row, pixels in enumerate([np.ones(size_hw, bool), *inside]):
        assert areas.sizes[row] == pixels.sum()
        assert areas.pixels[row].tolist() == np.bincount(mask[pixels], minlength=5)[:3].tolist()
    assert areas.share("b", "z3") == areas.pixels[4, 1] / inside[3].sum()
    with pytest.raises(UnknownNameError, match="did you mean 'z3'"):
        areas.share("b", "z_3")


def test_refusals():
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    with pytest.raises(InputError, match="zone frame|'frame', which is the whole frame"):
        zone("frame", square)
    with pytest.raises(InputError, match="3 to 10000 corners"):
        zone("a", square[:2])
    with pytest.raises(InputError, match="finite"):
        zone("a", [[0, 0], [1, float("nan")], [1, 1]])
    with pytest.raises(InputError, match="two of the name 'a'"):
        Zones([zone("a", square), zone("a", square)])
    with pytest.raises(InputError, match="1 to 64 zones of different names, got 0"):
        Zones([])
    outside = AreaCounter(("a",), Zones([zone("far", np.array(square) + 2.0)]))
    with pytest.raises(InputError, match="zone far: covers no pixel of a frame of 20x10"):
        outside.arguments((10, 20))
