"""Photographs whose EXIF orientation turns them: annotations of the upright image, or of the one as stored."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.datasets.imagefiles import exif
from seg_edge.datasets.opening import open_dataset

pillow = pytest.importorskip("PIL.Image", reason="Pillow comes with the train extra")
#: As stored: 24 x 16 pixels, red in a box at the upper left.
STORED = np.zeros((16, 24, 3), np.uint8)
BOX = np.s_[2:7, 3:14]
STORED[BOX] = (255, 0, 0)


def photo(path, turned, format="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pillow.fromarray(STORED)
    tags = image.getexif()
    tags[0x0112] = turned
    image.save(path, format, exif=tags)


def annotate(bench, turned, of, with_size=True):
    """A LabelMe file with the red box, drawn on the image as viewers show it or as it is stored."""
    photo(bench.root / "train/a.png", turned)
    red = STORED[..., 0] > 0
    shown = exif.upright(red, turned) if of == "upright" else red
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    points = [[int(columns[0]), int(rows[0])], [int(columns[-1]) + 1, int(rows[-1]) + 1]]
    size = {"imageHeight": shown.shape[0], "imageWidth": shown.shape[1]} if with_size else {}
    shapes = [{"label": "red", "shape_type": "rectangle", "points": points}]
    bench.text("train/a.json", json.dumps({"shapes": shapes, "imagePath": "a.png", **size}))


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("of", ["upright", "stored"])
def test_the_mask_lies_on_what_was_annotated(bench, turned, of):
    annotate(bench, turned, of)
    bench.run("labelme", exif=of)
    frame, mask = open_dataset(bench.done.data, "train").read(0)
    assert np.array_equal(mask == 1, frame[..., 2] > 128)
    assert bench.done.reading.rotated == (["a"] if turned > 1 else [])


@pytest.mark.parametrize("turned", [5, 6, 7, 8])
@pytest.mark.parametrize(("of", "passed"), [("stored", "upright"), ("upright", "stored")])
def test_the_wrong_choice_is_named_where_sizes_tell(bench, turned, of, passed):
    annotate(bench, turned, of)
    line = bench.refused("labelme", exif=passed)
    assert f"its EXIF orientation {turned} (" in line
    assert f"pass `exif='{of}'`" in line


def test_it_is_said_where_nothing_tells(bench):
    """Turned by 180 degrees, both sizes are equal."""
    annotate(bench, 3, "upright")
    bench.run("labelme")
    assert (
        "1 images are rotated by EXIF orientation; annotations are taken for the upright image; if the tool ignored EXIF: "
        "`exif='stored'`: a" in bench.done.notes
    )
    bench.run("labelme", exif="stored")
    assert any("are taken for the pixels as stored: a" in note for note in bench.done.notes)


@pytest.mark.parametrize("turned", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_read_as_opencv_reads_it(tmp_path, format, turned):
    photo(tmp_path / "a", turned, format)
    data = (tmp_path / "a").read_bytes()
    assert exif.orientation(data) == turned
    assert exif.orientation(data[:40]) in (1, turned)  # cut off
    pixels = np.frombuffer(data, np.uint8)
    shown = cv2.imdecode(pixels, cv2.IMREAD_COLOR)
    stored = cv2.imdecode(pixels, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if format != "TIFF":  # which OpenCV leaves as it is stored
        assert np.array_equal(exif.upright(stored, turned), shown)


def test_files_without_orientation():
    assert exif.orientation(b"") == exif.orientation(b"\xff\xd8\xff\xe1") == exif.orientation(b"GIF89a") == 1
    assert exif.orientation(cv2.imencode(".jpg", STORED)[1].tobytes()) == 1
