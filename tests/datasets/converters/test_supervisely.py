"""Supervisely's projects: bitmaps with an origin, filled as its library fills, datasets as splits."""

from __future__ import annotations

import base64
import json
import zlib

import cv2
import numpy as np
import pytest

SIZE = (6, 8)


def bitmap(mask, x, y, packed=True, alpha=False):
    pixels = mask.astype(np.uint8) * 255
    if alpha:
        pixels = np.dstack([np.full((*mask.shape, 3), 255, np.uint8), pixels])
    data = cv2.imencode(".png", pixels)[1].tobytes()
    text = base64.b64encode(zlib.compress(data) if packed else data).decode()
    return {"classTitle": "car", "geometryType": "bitmap", "bitmap": {"origin": [x, y], "data": text}}


def polygon(exterior, interior=(), kind="polygon"):
    return {"classTitle": "car", "geometryType": kind, "points": {"exterior": exterior, "interior": list(interior)}}


def project(bench, objects, folders=("ds0",), name="a.png"):
    classes = [{"title": "road", "color": "#0000FF", "shape": "any"}, {"title": "car", "color": "#FF0000", "shape": "any"}]
    bench.text("meta.json", json.dumps({"classes": classes, "tags": []}))
    for folder in folders:
        bench.image(f"{folder}/img/{name}")
        size = {"height": SIZE[0], "width": SIZE[1]}
        bench.text(f"{folder}/ann/{name}.json", json.dumps({"size": size, "objects": objects, "tags": []}))


MASK = np.array([[1, 0, 1], [1, 1, 1]], bool)


@pytest.mark.parametrize(("packed", "alpha"), [(True, False), (True, True), (False, False)])
def test_bitmaps(bench, packed, alpha):
    project(bench, [bitmap(MASK, 4, 3, packed, alpha)])
    expected = np.zeros(SIZE, np.uint8)
    expected[3:5, 4:7][MASK] = 2
    assert np.array_equal(bench.run("auto")["train/a"], expected)
    assert bench.done.format == "supervisely"
    assert bench.done.labels.names == ("background", "road", "car")
    assert bench.done.labels.palette == ((0, 0, 0), (0, 0, 255), (255, 0, 0))


def test_bitmaps_that_leave_the_image(bench):
    project(bench, [bitmap(MASK, 6, -1)])
    assert "object 0: its mask of 3x2 at (6, -1) leaves the image" in bench.refused("supervisely")
    assert bench.run("supervisely", clip=True)["train/a"].sum() == 2 * 2


def test_borders_belong_to_polygons_and_to_their_holes(bench):
    project(bench, [polygon([[0, 0], [6, 0], [6, 5], [0, 5]], [[[2, 2], [3, 2], [3, 3], [2, 3]]])])
    expected = np.zeros(SIZE, np.uint8)
    expected[0:6, 0:7] = 2
    expected[2:4, 2:4] = 0
    assert np.array_equal(bench.run("supervisely")["train/a"], expected)
    project(bench, [polygon([[1, 1], [4, 3]], kind="rectangle")])
    assert bench.run("supervisely")["train/a"][1:4, 1:5].all()


def test_datasets_are_splits_or_part_of_names(bench):
    project(bench, [bitmap(MASK, 0, 0)], ("train", "val"))
    assert set(bench.run("supervisely")) == {"train/a", "val/a"}
    project(bench, [bitmap(MASK, 0, 0)], ("street", "yard"))
    names = {name.partition("/")[2] for name in bench.run("supervisely")}
    assert names == {"a", "street_a", "yard_a"}


def test_mistakes(bench):
    project(bench, [polygon([[0, 0], [1, 1]])])
    assert "a.png.json: object 0: a polygon needs at least three corners, got 2" in bench.refused("supervisely")
    project(bench, [polygon([[0, 0], [1, 1]], kind="line")])
    assert "object 0: a line has no area; expected bitmap, polygon or rectangle" in bench.refused("supervisely")
    project(bench, [bitmap(MASK, 0, 0) | {"bitmap": {"origin": [0, 0], "data": "AAAA"}}])
    assert "object 0: its bitmap is not a readable image" in bench.refused("supervisely")
    project(bench, [polygon([[0, 0], [60, 0], [60, 5]])])
    assert "the corner (60.0, 0.0) lies outside its image" in bench.refused("supervisely")
    (bench.root / "ds0/img/a.png").unlink()
    assert "its image " in bench.refused("supervisely")
    assert "no folder ann with JSON files" in bench.refused("supervisely", bench.root / "ds0/img")
