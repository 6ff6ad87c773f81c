"""Stand-in scores: regions, not noise and not one class; the network itself still runs."""

from __future__ import annotations

import numpy as np

from seg_edge.measure.workload.frames import generated_frames
from seg_edge.measure.workload.untrained import UntrainedSegmenter, street_scores
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine


def test_stand_ins_have_regions_of_every_class():
    for frame in generated_frames((360, 640), count=3):
        scores = street_scores(frame, 11, (88, 120))
        assert (scores.shape, scores.dtype, scores.flags.c_contiguous) == ((11, 88, 120), np.float32, True)
        best = scores.argmax(0)
        assert len(np.unique(best)) == 11
        changes = (best[:, 1:] != best[:, :-1]).mean()
        assert 0.02 < changes < 0.15  # one class everywhere is 0, noise is 0.9


def test_the_network_runs_and_its_scores_are_replaced(tiny_model, monkeypatch):
    calls = []
    real = OnnxRuntimeEngine._infer
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lambda self, frames: calls.append(1) or real(self, frames))
    frames = generated_frames((60, 80), count=2)
    with UntrainedSegmenter(tiny_model, engine="onnxruntime", threads=1) as segmenter:
        assert segmenter.feed(frames) == 2 * 3 * 8 * 10 * 4
        masks = [segmenter(frames[0]) for _ in range(4)]
    assert len(calls) == 4
    assert (masks[0] != masks[1]).any()  # the stand-ins take turns
    assert (masks[0] == masks[2]).all()
    assert len(np.unique(masks[0])) == 3


def test_class_numbers_are_left_alone(tiny_onnx, tmp_path):
    tiny_onnx(tmp_path / "labels.onnx", output="labels")
    with UntrainedSegmenter(tmp_path / "labels.onnx", engine="onnxruntime") as segmenter:
        assert segmenter.feed(generated_frames((60, 80), count=1)) == 0
        assert segmenter(np.zeros((60, 80, 3), np.uint8)).shape == (60, 80)
