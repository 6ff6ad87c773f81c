"""ADE20K's 150 classes through the whole chain, once: a training of a few steps, INT8, and a run with overlays and masks."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main

pytestmark = pytest.mark.usefixtures("quick_curves")

CLASSES = 150


def test_trained_exported_and_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "d" / kind / split).mkdir(parents=True)
        for number in range(2):
            mask = generator.integers(0, CLASSES, (4, 8)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
            mask[:16, :16] = CLASSES - 1
            cv2.imwrite(f"d/labels/{split}/{number}.png", mask)
            cv2.imwrite(f"d/images/{split}/{number}.png", np.stack([mask, 255 - mask, mask // 2], -1))
    names = [f"class {number}" for number in range(CLASSES)]
    (tmp_path / "d" / "classes.json").write_text(json.dumps({"names": names}))
    words = ["--data", "d", "--model", "unet-n", "--imgsz", "64x128", "--epochs", "1", "--batch", "2", "--workers", "0"]
    assert main(["train", *words, "--out", "o"]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "no pixel" in line]
    assert all("of 150 classes: class " in line and line.endswith(" more") for line in said)  # one line, not a hundred
    assert 1 <= len(said) <= 2
    words = ["--int8", "--data", "d", "--out", "m", "--engine", "onnxruntime", "--threads", "1", "--max-drop", "1"]
    assert main(["export", "o/best.pt", *words, "--max-class-drop", "1"]) == 0
    assert len(json.loads((tmp_path / "m" / "model.json").read_text())["labels"]["names"]) == CLASSES
    words = ["--source", "d/images/val", "--sink", "s/", "--engine", "onnxruntime", "--threads", "1", "--json", "run.json"]
    assert main(["run", "m/model.int8.onnx", *words]) == 0
    assert json.loads((tmp_path / "run.json").read_text())["frames_out"] == 2
    assert json.loads((tmp_path / "s" / "classes.json").read_text())["names"] == names
    for number in range(2):
        mask = cv2.imread(f"s/masks/{number}.png", cv2.IMREAD_UNCHANGED)
        assert mask.shape == (64, 128)
        assert mask.max() < CLASSES
        overlay = cv2.imread(f"s/overlays/{number}.jpg")
        assert np.abs(overlay.astype(int) - cv2.imread(f"d/images/val/{number}.png")).mean() > 3
