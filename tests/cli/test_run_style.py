"""``seg-edge run``: how the overlay looks, and smoothing over time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from seg_edge.cli.main import main
from seg_edge.core.labels import Labels
from seg_edge.runtime import segmenter


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full((48, 64, 3), 90, np.uint8))
    return path


def test_the_options_reach_the_segmenter(tiny_onnx, image, tmp_path, monkeypatch):
    model, made = tmp_path / "model.onnx", []
    names = tiny_onnx(model, labels=Labels.from_dict({"names": ["sky", "tree", "road"]})).labels.names

    class Kept(segmenter.Segmenter):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            made.append((self.style.alpha, self.style.contours, self._runner.painter._smoothers[0].weight))

    monkeypatch.setattr(segmenter, "Segmenter", Kept)
    words = ["--classes", names[0], "--classes", "road", "--contours", "--smooth", "0.4", "--alpha", "0.7"]
    assert main(["run", str(model), "--source", str(image), "--sink", "none", *words]) == 0
    assert made == [((0.7, 0.0, 0.7), True, 0.4)]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--classes", "raod"], "unknown class 'raod'"),
        (["--smooth", "0"], "smooth: expected the new frame's share, above 0 to 1 (1 smooths nothing), got 0.0"),
    ],
)
def test_one_line_says_what_is_wrong(tiny_model, image, words, text, capsys):
    assert main(["run", str(tiny_model), "--source", str(image), "--sink", "none", *words]) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert text in line
