"""Files of zones: the same two zones in every format."""

from __future__ import annotations

import json

import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime.areas import read_zones

LEFT, LOW = [[0, 0], [20, 0], [20, 30], [0, 30]], [[0, 15], [40, 15], [40, 30], [0, 30]]


def closed(ring):
    return [*ring, ring[0]]


def feature(name, kind, coordinates):
    return {"type": "Feature", "properties": {"name": name}, "geometry": {"type": kind, "coordinates": coordinates}}


FILES = {
    "own.json": json.dumps({
        "size": [30, 40], "zones": [{"name": "left", "polygon": LEFT}, {"name": "low", "polygon": LOW}],
    }),
    "relative.json": json.dumps({
        "zones": [
            {"name": "left", "polygon": (np.array(LEFT) / [40, 30]).tolist()},
            {"name": "low", "polygon": (np.array(LOW) / [40, 30]).tolist()},
        ],
    }),
    "a.geojson": json.dumps({
        "type": "FeatureCollection", "size": [30, 40],
        "features": [feature("left", "Polygon", [closed(LEFT)]), feature("low", "MultiPolygon", [[closed(LOW)]])],
    }),
    "labelme.json": json.dumps({
        "imagePath": "missing.jpg", "imageHeight": 30, "imageWidth": 40,
        "shapes": [
            {"label": "left", "shape_type": "polygon", "points": LEFT},
            {"label": "low", "shape_type": "rectangle", "points": [LOW[0], LOW[2]]},
        ],
    }),
    "cvat.xml": (
        '<annotations><version>1.1</version><image id="0" name="a.png" width="40" height="30">'
        '<polygon label="left" points="0,0;20,0;20,30;0,30"/><box label="low" xtl="0" ytl="15" xbr="40" ybr="30"/>'
        "</image></annotations>"
    ),
    "video.xml": (
        "<annotations><meta><task><original_size><width>40</width><height>30</height></original_size></task></meta>"
        '<track id="0" label="left"><polygon frame="0" points="0,0;20,0;20,30;0,30"/>'
        '<polygon frame="1" points="0,0;1,0;1,1"/></track>'
        '<track id="1" label="low"><box frame="0" xtl="0" ytl="15" xbr="40" ybr="30"/></track></annotations>'
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("size_hw", [(30, 40), (60, 80)])
def test_every_format_gives_the_same_zones(name, size_hw, tmp_path):
    path = tmp_path / name
    path.write_text(FILES[name])
    zones = read_zones(path)
    assert zones.names == ("left", "low")
    left, low = (zone.inside(size_hw) for zone in zones.zones)
    height, width = size_hw
    assert left[:, : width // 2].all()
    assert left.sum() == height * width // 2
    assert low[height // 2 :].all()
    assert low.sum() == height * width // 2


def test_pixels_without_a_size_are_the_frames_own(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"zones": [{"name": "a", "polygon": LEFT}]}))
    assert read_zones(path).zones[0].inside((60, 80)).sum() == 20 * 30


def test_shapes_of_one_name_are_one_zone(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"size": [30, 40], "zones": [{"name": "a", "polygon": ring} for ring in (LEFT, LOW)]}))
    assert read_zones(path).zones[0].inside((30, 40)).sum() == 900


def test_circles_and_turned_boxes(tmp_path):
    path = tmp_path / "a.json"
    circle = {"label": "c", "shape_type": "circle", "points": [[50, 50], [80, 50]]}
    path.write_text(json.dumps({"imageHeight": 100, "imageWidth": 100, "shapes": [circle]}))
    assert read_zones(path).zones[0].inside((100, 100)).sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    path = tmp_path / "a.xml"
    box = '<box label="b" xtl="40" ytl="10" xbr="60" ybr="90" rotation="90"/>'
    path.write_text(f'<annotations><image id="0" name="a" width="100" height="100">{box}</image></annotations>')
    turned = read_zones(path).zones[0].inside((100, 100))
    assert turned[40:60, 10:90].all()
    assert turned.sum() == 20 * 80


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.json", "{", "not readable as JSON"),
        ("a.json", "{}", "is none of the known formats; expected our own JSON"),
        ("a.json", '{"zones": []}', "has no zones"),
        ("a.json", '{"zones": [{"polygon": []}]}', "zone 1: has no 'name'"),
        ("a.json", '{"zones": [{"name": "a", "polygon": [[0, 0], [1, 1]]}]}', "zone a: expected polygons of 3 to"),
        ("a.json", '{"zones": [{"name": "a", "polygon": [[0, 0], [1, "x"], [0, 1]]}]}', "points must be pairs of numbers"),
        ("a.json", '{"size": [0, 4], "zones": [{"name": "a", "polygon": [[0, 0]]}]}', r"size: expected \[height, width\]"),
        ("a.json", json.dumps({"features": [feature("a", "Point", [0, 0])]}), "is a Point, which has no area"),
        ("a.json", json.dumps({"features": [feature("a", "Polygon", 3)]}), "its coordinates are no polygons"),
        ("a.json", '{"shapes": [{"label": "a", "shape_type": "line", "points": [[0, 0]]}]}', "is a line; expected"),
        ("a.xml", "<x/>", "is no CVAT XML"),
        ("a.xml", '<annotations><image name="a"><points label="b"/></image></annotations>', "expected a polygon, box or"),
        ("a.xml", '<annotations><image name="a"><polygon label="b"/></image></annotations>', "not as CVAT writes it"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(name, text, says, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        read_zones(path)
    assert str(path) in str(caught.value)


def test_a_missing_file():
    with pytest.raises(InputError, match="`zones`: /nowhere.json is no file"):
        read_zones("/nowhere.json")
