"""Large images: tiles, and files that are read and written in strips."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.batch import PredictOptions, large, predict
from seg_edge.core.errors import InputError
from seg_edge.datasets.dataset import read_mask
from seg_edge.datasets.encodings.png import PngWriter
from seg_edge.runtime import Segmenter
from seg_edge.runtime.tiled import TiledSegmenter

TILES = PredictOptions(formats=("mask", "palette", "csv"), tile="32x40", overlap=8, confidence="probability")
FILES = ("masks/a.png", "palette/a.png", "confidence/a.png")


@pytest.fixture
def frame(colour_frame):
    return colour_frame(150, 210)


def test_masks_of_a_folder(tiny_model, tmp_path, frame):
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    report = predict(tmp_path / "a.png", tmp_path / "o", tiny_model, TILES.with_(formats=("mask", "overlay")))
    assert report.images == 1
    with Segmenter(tiny_model) as seg:
        expected = TiledSegmenter(seg, (32, 40), 8).segment(frame).mask
        assert (expected != seg(frame)).any()
    np.testing.assert_array_equal(read_mask(tmp_path / "o" / "masks" / "a.png"), expected)
    assert (tmp_path / "o" / "overlays" / "a.jpg").exists()


@pytest.mark.parametrize("kind", ["png", "grey png", "alpha png", "strips tif", "tiles tif", "big tif"])
def test_what_is_read_in_strips_gives_the_same_pixels(tiny_model, tmp_path, frame, monkeypatch, kind):
    pyvips = pytest.importorskip("pyvips")
    if kind == "grey png":
        frame = np.ascontiguousarray(frame[..., :1])
    elif kind == "alpha png":
        frame = np.dstack((frame, frame[..., :1]))
    file = tmp_path / f"a.{kind[-3:]}"
    if file.suffix == ".png":
        cv2.imwrite(str(file), frame)
    else:
        image = pyvips.Image.new_from_array(np.ascontiguousarray(frame[..., ::-1]))
        image.tiffsave(str(file), tile=kind == "tiles tif", bigtiff=kind == "big tif", compression="deflate")
    plain = cv2.imread(str(file))
    cv2.imwrite(str(tmp_path / "a.bmp"), plain)
    predict(tmp_path / "a.bmp", tmp_path / "whole", tiny_model, TILES)
    monkeypatch.setattr(large, "LARGE", 1000)
    assert large.is_large(str(file))
    assert not large.is_large(str(tmp_path / "a.bmp"))
    report = predict(file, tmp_path / "strips", tiny_model, TILES)
    assert (report.images, report.failed) == (1, 0)
    for name in FILES:
        a, b = (cv2.imread(str(tmp_path / out / name), cv2.IMREAD_UNCHANGED) for out in ("whole", "strips"))
        np.testing.assert_array_equal(a, b)
    rows = [json.loads((tmp_path / out / "manifest.jsonl").read_text()) for out in ("whole", "strips")]
    for name in ("size", "shares", "outputs"):
        assert rows[0][name] == rows[1][name]
    again = predict(file, tmp_path / "strips", tiny_model, TILES.with_(resume=True))
    assert again.skipped == 1


def test_a_large_image_that_is_cut_off_leaves_no_file(tiny_model, tmp_path, frame, monkeypatch):
    pytest.importorskip("pyvips")
    cv2.imwrite(str(tmp_path / "a.png"), np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    monkeypatch.setattr(large, "LARGE", 1000)
    report = predict(tmp_path / "a.png", tmp_path / "o", tiny_model, TILES)
    assert (report.images, report.failed) == (0, 1)
    assert "is it whole?" in report.errors[0][1]
    assert not [path for path in (tmp_path / "o").rglob("*") if path.suffix in (".png", ".tmp")]


@pytest.mark.parametrize(
    ("write", "options", "text"),
    [
        ({}, {"formats": ("mask", "coco")}, "for which the formats mask, palette, csv and confidence are written, not coco"),
        ({"dtype": np.uint16}, {}, "expected 8 bits per channel"),
    ],
)
def test_large_images_that_are_refused(tiny_model, tmp_path, frame, monkeypatch, write, options, text):
    pytest.importorskip("pyvips")
    cv2.imwrite(str(tmp_path / "a.png"), frame.astype(write.get("dtype", np.uint8)))
    monkeypatch.setattr(large, "LARGE", 1000)
    report = predict(tmp_path / "a.png", tmp_path / "o", tiny_model, TILES.with_(**options))
    assert report.failed == 1
    assert text in report.errors[0][1]


def test_an_image_on_its_side_is_refused(tiny_model, tmp_path, frame, monkeypatch):
    pyvips = pytest.importorskip("pyvips")
    image = pyvips.Image.new_from_array(frame).copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.tiffsave(str(tmp_path / "a.tif"))
    monkeypatch.setattr(large, "LARGE", 1000)
    assert "is turned by its orientation 6" in predict(tmp_path / "a.tif", tmp_path / "o", tiny_model, TILES).errors[0][1]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"overlap": 8}, "`overlap`: is that of tiles"),
        ({"tile": (32, 40), "decode": "scaled"}, "tiles are cut from the image in full"),
        ({"tile": "32*40"}, "`tile`: expected HEIGHTxWIDTH"),
    ],
)
def test_refused_options(words, text):
    with pytest.raises(InputError, match=text):
        PredictOptions(**words)


def test_a_png_in_strips_wants_all_its_rows(tmp_path):
    mask = np.random.default_rng(0).integers(0, 3, (20, 30), np.uint8)
    with open(tmp_path / "a.png", "wb") as file:
        writer = PngWriter(file, 20, 30)
        for rows in (mask[:7], mask[7:8], mask[8:]):
            writer.add(rows)
        writer.close()
        with pytest.raises(ValueError, match="20 rows are missing"):
            PngWriter(file, 20, 30).close()
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED), mask)
