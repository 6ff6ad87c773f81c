"""``seg-edge run`` with areas: shares of the frame and of zones."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main

ZONES = {"zones": [{"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]}


@pytest.fixture
def images(tmp_path):
    """Blue on the left (class0), red on the right (class2); the second one is red."""
    folder = tmp_path / "images"
    folder.mkdir()
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :, 2] = 255
    cv2.imwrite(str(folder / "1.png"), image)
    image[:, :32] = 255, 0, 0
    cv2.imwrite(str(folder / "0.png"), image)
    (tmp_path / "zones.json").write_text(json.dumps(ZONES))
    return folder


def run(*words):
    return main(["run", *map(str, words)])


def test_areas_of_frame_and_zones(tiny_model, images, tmp_path):
    out = tmp_path / "a.csv", tmp_path / "a.png", tmp_path / "s.json"
    words = ["--zones", tmp_path / "zones.json", "--areas", out[0], "--plot", out[1], "--json", out[2]]
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 0
    rows = [row for row in csv.DictReader(out[0].read_text().splitlines()) if row["class"] == "class0"]
    assert [(row["name"], row["zone"], float(row["share"])) for row in rows] == [
        ("0", "frame", pytest.approx(0.5, abs=0.05)), ("0", "left", pytest.approx(1, abs=0.05)),
        ("1", "frame", 0), ("1", "left", 0),
    ]  # fmt: skip
    assert cv2.imread(str(out[1])) is not None
    frame, left = json.loads(out[2].read_text())["areas"]
    assert (frame["zone"], left["zone"], left["pixels"]) == ("frame", "left", 48 * 32)
    assert frame["classes"][2]["max"] == 1


def test_the_hud_names_areas(tiny_model, images, tmp_path, monkeypatch):
    from seg_edge.runtime.frame import hud

    drawn = []
    monkeypatch.setattr(hud, "write_lines", lambda _frame, lines: drawn.append(lines))
    words = ["--zones", tmp_path / "zones.json", "--hud", "--sink", tmp_path / "o.mp4"]
    assert run(tiny_model, "--source", images, *words) == 0
    assert drawn[-1][-2:] == ("frame: class2 100.0 %", "left: class2 100.0 %")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--zones", "missing.json"], "--zones: missing.json is no file"),
        (["--areas", "a.txt"], "--areas: expected a name ending in .csv, .jsonl, .parquet, got a.txt"),
        (["--plot", "a.txt"], "--plot: expected a name ending in .png, .svg, .pdf, got a.txt"),
    ],
)
def test_mistakes_are_one_line(tiny_model, images, words, says, capsys):
    assert run(tiny_model, "--source", images, "--sink", "none", *words) == 1
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "\n" not in error
