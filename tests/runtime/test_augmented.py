"""Test-time augmentation: the mean of the probabilities of what a frame looks like in several views."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from seg_edge.batch import PredictOptions, predict
from seg_edge.cli.main import main
from seg_edge.core.errors import InputError, UnknownNameError
from seg_edge.datasets.dataset import read_mask
from seg_edge.measure import EvaluateOptions, evaluate
from seg_edge.runtime import Segmenter
from seg_edge.runtime.augmented import AugmentedSegmenter


def softmax(logits):
    powers = np.exp(logits - logits.max(0))
    return powers / powers.sum(0)


def test_flip_is_the_mean_of_a_frame_and_its_mirror_image(tiny_model, monkeypatch):
    frame = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    with Segmenter(tiny_model) as seg:
        augmented = AugmentedSegmenter(seg, ["flip"])
        # A network that sees left and right differently: its logits fall from left to right.
        slope = np.linspace(1, 0, 10, dtype=np.float32)
        plain = seg.logits(frame)
        monkeypatch.setattr(augmented, "_infer", lambda image: seg.logits(image[..., :]) * slope)
        mirrored = seg.logits(np.ascontiguousarray(frame[:, ::-1])) * slope
        expected = (softmax(plain * slope) + softmax(mirrored)[:, :, ::-1]) / 2
        found = augmented.logits(frame)
    np.testing.assert_allclose(softmax(found), expected, atol=1e-6)
    np.testing.assert_allclose(np.exp(found).sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("views", [("scale",), ("flip", "scale")])
def test_scale_sees_the_frame_larger(tiny_model, colour_frame, views):
    frame = colour_frame(96, 120)
    with Segmenter(tiny_model, confidence="probability") as seg:
        augmented = AugmentedSegmenter(seg, views)
        assert augmented.logits(frame).shape == (3, 12, 15)
        result = augmented.segment(frame, overlay=True)
        plain = seg.process(frame)
    assert result.overlay_bgr.shape == frame.shape
    assert result.confidence.shape == (96, 120)
    assert 0.9 < (result.mask == plain.mask).mean() <= 1  # a local network says the same at another scale, but at borders
    with Segmenter(tiny_model) as seg:
        small = AugmentedSegmenter(seg, views).segment(frame[::2, ::2].copy(), (96, 120))
        assert small.mask.shape == (96, 120)


def test_predict_writes_what_the_views_say(tiny_model, tmp_path, colour_frame):
    frame = colour_frame(70, 90)
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    predict(tmp_path / "a.png", tmp_path / "o", tiny_model, PredictOptions(formats="mask", tta="flip,scale"))
    with Segmenter(tiny_model) as seg:
        expected = AugmentedSegmenter(seg, ["flip", "scale"]).segment(frame).mask
    np.testing.assert_array_equal(read_mask(tmp_path / "o" / "masks" / "a.png"), expected)
    with pytest.raises(InputError, match="was written with tta"):
        predict(tmp_path / "a.png", tmp_path / "o", tiny_model, PredictOptions(formats="mask", resume=True))


def test_val_says_both(tiny_model, tmp_path, colour_frame, capsys):
    for name in ("images", "labels"):
        (tmp_path / "data" / name / "val").mkdir(parents=True)
    for number in range(2):
        frame = colour_frame(64, 80)
        cv2.imwrite(str(tmp_path / "data/images/val" / f"{number}.png"), frame)
        cv2.imwrite(str(tmp_path / "data/labels/val" / f"{number}.png"), frame.argmax(2).astype(np.uint8))
    plain = evaluate(tiny_model, tmp_path / "data").to_dict()
    assert "tta" not in plain
    words = ["val", str(tiny_model), "--data", str(tmp_path / "data"), "--tta", "flip", "--json", str(tmp_path / "v.json")]
    assert main(words) == 0
    report = json.loads((tmp_path / "v.json").read_text())
    assert report["miou"] == plain["miou"]
    assert report["tta"]["views"] == ["flip"]
    assert report["tta"]["miou"] == pytest.approx(report["miou"], abs=0.05)  # a network that sees left and right alike
    assert np.sum(report["tta"]["confusion"]) == np.sum(report["confusion"]) == 2 * 64 * 80
    assert "with flip: mIoU" in capsys.readouterr().out


def test_refusals(tiny_model, tiny_onnx, tmp_path):
    with Segmenter(tiny_model) as seg, pytest.raises(UnknownNameError, match="tta"):
        AugmentedSegmenter(seg, ["flop"])
    for options in (PredictOptions, EvaluateOptions):
        with pytest.raises(UnknownNameError, match="did you mean 'flip'"):
            options(tta="flap")
    with pytest.raises(InputError, match="views are of whole images"):
        PredictOptions(tta="flip", tile=(32, 40))
    tiny_onnx(tmp_path / "l.onnx", output="labels")
    with Segmenter(tmp_path / "l.onnx") as seg, pytest.raises(InputError, match="gives no logits"):
        AugmentedSegmenter(seg, ["flip"])
