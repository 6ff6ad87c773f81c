"""GeoJSON in pixels: predict's files, QuPath's; the round trips of masks are tests/datasets/writers'."""

from __future__ import annotations

import json

import numpy as np
import pytest

SQUARE = [[1, 1], [5, 1], [5, 4], [1, 4], [1, 1]]
HOLE = [[2, 2], [2, 3], [3, 3], [3, 2], [2, 2]]
MASK = np.zeros((6, 8), np.uint8)
MASK[1:4, 1:5] = 1
MASK[2, 2] = 0


def feature(*rings, kind="Polygon", **properties):
    return {
        "type": "Feature",
        "properties": properties or {"name": "car"},
        "geometry": {"type": kind, "coordinates": [*rings]},
    }


def write(bench, *features, name="geojson/a.geojson", image="images/a.png", **more):
    bench.image(image)
    return bench.text(name, json.dumps({"type": "FeatureCollection", "features": [*features], **more}))


@pytest.mark.parametrize(
    ("name", "image", "out"),
    [
        ("geojson/a.geojson", "images/a.png", "a"),
        ("geojson/train/a.geojson", "images/train/a.JPG", "a"),
        ("geojson/cam1/a.geojson", "images/cam1/a.png", "cam1_a"),
        ("a.geojson", "a.png", "a"),
    ],
)
def test_polygons_with_holes(bench, name, image, out):
    write(bench, feature(SQUARE, HOLE), name=name, image=image)
    assert np.array_equal(bench.run("auto")[f"train/{out}"], MASK)
    assert bench.done.format == "geojson"
    assert bench.done.labels.names == ("background", "car")


def test_the_overlays_beside_it_are_not_the_images(bench):
    write(bench, feature(SQUARE, HOLE))
    for other in ("overlays/a.jpg", "masks/a.png"):
        bench.image(other)
    assert np.array_equal(bench.run("geojson")["train/a"], MASK)
    (bench.root / "images/a.png").unlink()
    assert "a.geojson: its image is missing; expected" in bench.refused("geojson")


def test_order_of_the_classes(bench):
    write(bench, feature(SQUARE, id=4, name="car"), feature(HOLE, id=2, name="tree"))
    bench.run("geojson")
    assert bench.done.labels.names == ("background", "tree", "car")
    bench.text("classes.json", json.dumps({"names": ["sky", "car", "tree"]}))
    (mask,) = bench.run("geojson", unlabelled="void").values()
    assert bench.done.labels.names == ("sky", "car", "tree")
    assert (mask[1, 1], mask[2, 2], mask[0, 0]) == (1, 2, 255)


def test_qupath(bench):
    bench.image("a.png")
    tumour = feature(SQUARE, HOLE, objectType="annotation", classification={"name": "Tumor", "color": [200, 0, 0]})
    bench.text("a.geojson", json.dumps([{**tumour, "id": "2c1f"}]))
    assert np.array_equal(bench.run("auto")["train/a"], MASK)
    assert bench.done.labels.names == ("background", "Tumor")


@pytest.mark.parametrize(
    ("own", "text"),
    [
        (feature(kind="Point"), "feature 0: a Point has no area; expected Polygon or MultiPolygon"),
        (feature(SQUARE[:3]), "a ring needs at least three corners and the first one again"),
        (feature(["no"]), "rings must be lists of pairs of numbers"),
        (feature([[99, 1], [5, 1], [5, 4], [99, 1]]), "the corner (99.0, 1.0) lies outside its image of 8x6 pixels"),
        (feature(SQUARE, colour="red"), "feature 0: says no class; expected a property name, class"),
    ],
)
def test_features_that_are_refused(bench, own, text):
    write(bench, own)
    assert text in bench.refused("geojson")


def test_coordinates_on_the_globe(bench):
    write(bench, feature(SQUARE), crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}})
    assert "has coordinates on the globe" in bench.refused("geojson")


def test_one_class_with_two_numbers(bench):
    write(bench, feature(SQUARE, id=1, name="car"), feature(HOLE, id=2, name="car"))
    assert "feature 1: car has the id 2 here and 1 elsewhere" in bench.refused("geojson")
