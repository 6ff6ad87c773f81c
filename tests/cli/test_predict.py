"""``seg-edge predict`` as a user calls it."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.datasets.dataset import read_mask
from seg_edge.runtime import Segmenter


@pytest.fixture
def images(tmp_path, colour_frame):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in (("a", (48, 66)), ("b", (32, 40)), ("c", (90, 30))):
        cv2.imwrite(str(folder / f"{name}.png"), colour_frame(*size))
    return folder


def predict(*words):
    return main(["predict", *map(str, words)])


def test_folder(tiny_model, images, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(tiny_model, "--source", images, "--out", out) == 0
    assert f"{out}: 3 images" in capsys.readouterr().out
    assert sorted(os.listdir(out / "masks")) == ["a.png", "b.png", "c.png"]
    assert sorted(os.listdir(out / "overlays")) == ["a.jpg", "b.jpg", "c.jpg"]
    with Segmenter(tiny_model) as seg:
        for name in "abc":
            frame = cv2.imread(str(images / f"{name}.png"))
            np.testing.assert_array_equal(read_mask(out / "masks" / f"{name}.png"), seg(frame))
            overlay = cv2.imread(str(out / "overlays" / f"{name}.jpg")).astype(int)
            assert abs(overlay - seg.overlay(frame)).mean() < 6
    assert json.loads((out / "classes.json").read_text())["names"] == ["class0", "class1", "class2"]


def test_one_image_masks_only(tiny_model, images, tmp_path):
    assert predict(tiny_model, "--source", images / "a.png", "--out", tmp_path / "out", "--no-overlay") == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["classes.json", "manifest.jsonl", "masks", "predict.json"]


def test_overlays_only_and_limit(tiny_model, images, tmp_path):
    assert predict(tiny_model, "--source", images, "--out", tmp_path / "out", "--no-masks", "--max-frames", 2) == 0
    assert sorted(os.listdir(tmp_path / "out" / "overlays")) == ["a.jpg", "b.jpg"]
    assert not (tmp_path / "out" / "masks").exists()


def test_corrupt_image_is_counted_and_named(tiny_model, images, tmp_path, capsys):
    (images / "b.png").write_bytes(b"x")
    assert predict(tiny_model, "--source", images, "--out", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert "2 images, 1 failed" in captured.out
    assert "1 of 3 images can't be read" in captured.err
    assert "--resume tries them again" in captured.err
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert "b.png: not a readable image (1 bytes)" in rows[1]["error"]
    assert sorted(os.listdir(tmp_path / "out" / "masks")) == ["a.png", "c.png"]


def test_the_source_is_not_overwritten(tiny_model, images, tmp_path, capsys):
    assert main(["predict", str(tiny_model), "--source", str(images), "--out", str(tmp_path / "o")]) == 0
    masks = {path: path.read_bytes() for path in (tmp_path / "o" / "masks").iterdir()}
    words = ["predict", str(tiny_model), "--source", str(tmp_path / "o" / "masks"), "--out", str(tmp_path / "o")]
    capsys.readouterr()
    assert main(words) == 1
    assert "is the source folder: its images would be replaced" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in masks} == masks
    assert main([*words, "--no-masks"]) == 0  # overlays only: nothing is lost


def test_video(tiny_model, images, tmp_path):
    assert main(["run", str(tiny_model), "--source", str(images / "a.png"), "--sink", str(tmp_path / "v.mp4")]) == 0
    assert predict(tiny_model, "--source", tmp_path / "v.mp4", "--out", tmp_path / "out") == 0
    assert os.listdir(tmp_path / "out" / "masks") == ["v_000000.png"]


def test_the_model_may_come_first_or_be_left_out(tiny_model, images, tmp_path):
    assert predict(tiny_model, images / "a.png", images / "b.png", "--out", tmp_path / "o", "--format", "mask") == 0
    assert sorted(os.listdir(tmp_path / "o" / "masks")) == ["a.png", "b.png"]
    assert predict(images / "a.png", "--out", tmp_path / "p", "--format", "csv", "--json", tmp_path / "r.json") == 0
    assert (tmp_path / "p" / "shares.csv").read_text().startswith("image,height,width,sky,")
    assert json.loads((tmp_path / "r.json").read_text())["images"] == 1


@pytest.mark.parametrize("words", [[], ["--out", "o"], ["images"]])
def test_what_is_missing_is_a_usage_error(words, capsys):
    assert predict(*words) == 2
    assert capsys.readouterr().err.startswith("seg-edge: error: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--source", "IMAGES", "--out", "OUT", "--no-masks", "--no-overlay"], "leave nothing to write"),
        (["--source", "absent", "--out", "OUT"], "source absent: no such file or folder"),
    ],
)
def test_errors_are_one_line(tiny_model, images, tmp_path, capsys, words, message):
    table = {"IMAGES": str(images), "OUT": str(tmp_path / "out")}
    assert predict(tiny_model, *(table.get(word, word) for word in words)) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()
