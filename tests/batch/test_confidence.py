"""How sure the masks are: files beside them, and what becomes of pixels below a limit."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.batch import PredictOptions, predict
from seg_edge.cli.main import main
from seg_edge.core.errors import InputError
from seg_edge.core.labels import Labels
from seg_edge.datasets.dataset import read_mask
from seg_edge.runtime import Segmenter


@pytest.fixture
def image(tmp_path, colour_frame):
    cv2.imwrite(str(tmp_path / "a.png"), colour_frame(48, 66))
    return tmp_path / "a.png"


def grey(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("measure", ["probability", "margin"])
def test_a_map_beside_the_mask(tiny_model, image, tmp_path, measure):
    report = predict(image, tmp_path / "o", tiny_model, PredictOptions(confidence=measure))
    assert report.images == 1
    with Segmenter(tiny_model, confidence=measure) as seg:
        result = seg.process(cv2.imread(str(image)))
    assert result.confidence.shape == (48, 66)
    assert len(np.unique(result.confidence)) > 3
    np.testing.assert_array_equal(grey(tmp_path / "o" / "confidence" / "a.png"), result.confidence)
    row = json.loads((tmp_path / "o" / "manifest.jsonl").read_text())
    assert row["outputs"]["confidence"] == "confidence/a.png"
    with Segmenter(tiny_model) as seg:
        plain = seg.process(cv2.imread(str(image)))
    assert plain.confidence is None
    np.testing.assert_array_equal(result.mask, plain.mask)
    np.testing.assert_array_equal(result.overlay_bgr, plain.overlay_bgr)


@pytest.mark.parametrize("below", ["void", "class1"])
def test_pixels_below_the_limit(tiny_model, image, tmp_path, below):
    options = PredictOptions(formats=("mask", "overlay"), confidence="probability", min_confidence=0.45, below=below)
    predict(image, tmp_path / "o", tiny_model, options)
    predict(image, tmp_path / "p", tiny_model, PredictOptions(formats=("mask", "overlay")))
    before, after = (read_mask(tmp_path / folder / "masks" / "a.png") for folder in "po")
    unsure = grey(tmp_path / "o" / "confidence" / "a.png") < 0.45 * 255
    assert 0.01 < unsure.mean() < 0.99
    np.testing.assert_array_equal(after, np.where(unsure, 255 if below == "void" else 1, before))
    with Segmenter(tiny_model, min_confidence=0.45, below=below) as seg:  # in the overlay too: void keeps the frame
        frame = cv2.imread(str(image))
        shown = seg.overlay(frame)
    if below == "void":
        np.testing.assert_array_equal(shown[unsure], frame[unsure])
        assert (shown[~unsure] != frame[~unsure]).any()


def test_void_has_a_category_where_there_is_a_background(tiny_onnx, image, tmp_path):
    labels = Labels(("background", "cat", "dog"), ((0, 0, 0), (255, 0, 0), (0, 255, 0)))
    tiny_onnx(tmp_path / "m.onnx", labels=labels)
    predict(image, tmp_path / "o", tmp_path / "m.onnx", PredictOptions(formats=("coco", "yolo"), min_confidence=0.45))
    document = json.loads((tmp_path / "o" / "coco.json").read_text())
    used = {row["category_id"] for row in document["annotations"]}
    assert 256 in used
    assert used <= {row["id"] for row in document["categories"]}
    assert "void" in (tmp_path / "o" / "yolo" / "data.yaml").read_text()


def test_a_model_without_logits_refuses_in_one_line(tiny_onnx, image, tmp_path, capsys):
    tiny_onnx(tmp_path / "l.onnx", output="labels")
    words = [str(tmp_path / "l.onnx"), str(image), "--out", str(tmp_path / "o"), "--confidence", "margin"]
    assert main(["predict", *words]) == 1
    error = capsys.readouterr().err.strip()
    assert error.count("\n") == 0
    assert "--confidence" in error
    assert "was exported with --head labels and gives no logits; export it with --head logits" in error
    assert not (tmp_path / "o" / "confidence").exists()


def test_refusals(tiny_model, image, tmp_path):
    with pytest.raises(InputError, match="`below`: says what pixels below `min_confidence` become"):
        PredictOptions(below="class1")
    with (
        Segmenter(tiny_model) as seg,
        pytest.raises(InputError, match="open it with the same `confidence`, `min_confidence` and `below`"),
    ):
        predict(image, tmp_path / "o", seg, PredictOptions(confidence="margin"))
    predict(image, tmp_path / "o", tiny_model, PredictOptions(formats="mask"))
    with pytest.raises(InputError, match="was written with min_confidence None, and this run has 0.5"):
        predict(image, tmp_path / "o", tiny_model, PredictOptions(formats="mask", min_confidence=0.5, resume=True))
