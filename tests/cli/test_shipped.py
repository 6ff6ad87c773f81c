"""The shipped model by its name, in every command that takes a model."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.shipped import DEFAULT, FOLDER

SENTENCE = f"{FOLDER / DEFAULT / 'model.int8.onnx'}: unet-s, int8 (shipped: 11 classes, sky, building, "


@pytest.fixture
def street(tmp_path):
    """Six pictures of generated streets with their classes."""
    words = ("--train", 4, "--val", 2, "--size", "96x128", "--seed", 3, "--workers", 1)
    assert main(["data", "synth", "--out", str(tmp_path / "street"), *map(str, words)]) == 0
    return tmp_path / "street"


def test_run_without_a_model_segments_streets(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report = tmp_path / "run.json"
    words = ["--source", street / "images" / "val", "--sink", tmp_path / "o.mp4", "--threads", 1, "--json", report]
    assert main(["run", *map(str, words)]) == 0
    assert SENTENCE in capsys.readouterr().out
    assert json.loads(report.read_text())["frames_out"] == 2


def test_predict_without_a_model_knows_sky_from_road(tmp_path, monkeypatch):
    """A street as a child draws it; the network has learned CamVid's."""
    monkeypatch.chdir(tmp_path)
    image = np.full((352, 480, 3), (235, 225, 215), np.uint8)
    image[200:] = (90, 90, 90)
    image[60:220, :120] = image[60:220, 360:] = (60, 80, 110)
    cv2.imwrite("street.png", image)
    assert main(["predict", "--source", "street.png", "--out", "o", "--engine", "onnxruntime", "--threads", "1"]) == 0
    names = json.loads((tmp_path / "o" / "classes.json").read_text())["names"]
    mask = cv2.imread("o/masks/street.png", cv2.IMREAD_UNCHANGED)
    most = {row: names[np.bincount(mask[row, 180:300].ravel()).argmax()] for row in (20, 330)}
    assert most == {20: "sky", 330: "road"}


def test_every_command_takes_the_name(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["verify", DEFAULT, "--engine", "onnxruntime", "--threads", "1"]) == 0
    assert main(["val", DEFAULT, "--data", str(street), "--threads", "1", "--json", "val.json"]) == 0
    assert json.loads((tmp_path / "val.json").read_text())["images"] == 2
    assert main(["bench", DEFAULT, "--duration", "0.1", "--engine", "onnxruntime", "--json", "bench.json"]) == 0
    assert "model.int8.onnx" in capsys.readouterr().out
    for verb in ("verify", "val --data .", "bench", "run --source ."):
        assert main([verb.split()[0], "unet-x", *verb.split()[1:]]) == 1
        assert "unet-x: no such" in capsys.readouterr().err


def test_training_begins_with_it_for_other_classes(street, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classes = json.loads((street / "classes.json").read_text())
    classes["names"][8] = "rickshaw"
    (street / "classes.json").write_text(json.dumps(classes))
    words = ["--data", str(street), "--init", DEFAULT, "--epochs", "1", "--batch", "2", "--workers", "0", "--out", "o"]
    assert main(["train", *words]) == 0
    assert f"--init {DEFAULT} does not know rickshaw; the head learns it anew" in capsys.readouterr().err
    report = json.loads((tmp_path / "o" / "report.json").read_text())
    assert report["params"] == json.loads((FOLDER / DEFAULT / "model.json").read_text())["provenance"]["params"]
    # Exported like any other, and pruned.
    assert main(["export", DEFAULT, "--out", "m", "--engine", "onnxruntime"]) == 0
    assert (tmp_path / "m" / "model.fp32.onnx").stat().st_size > 3_000_000
