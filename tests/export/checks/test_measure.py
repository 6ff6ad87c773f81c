from __future__ import annotations

import numpy as np
import onnx
import pytest

from seg_edge.core.errors import UnknownNameError
from seg_edge.export.checks.measure import latencies, measured_engines, worst_class
from seg_edge.export.graph.to_onnx import to_onnx


def rows(**iou):
    return {"per_class": [{"name": name, "iou": value} for name, value in iou.items()]}


def test_the_worst_class_is_the_one_that_lost_most():
    found = worst_class(rows(road=0.9, car=0.5, sky=None, bus=0.1), rows(road=0.8, car=0.3, sky=0.0, bus=0.3))
    assert found == {"name": "car", "delta": pytest.approx(-0.2)}
    assert worst_class(rows(sky=None), rows(sky=None)) is None


def test_engines_are_checked_before_work():
    assert "onnxruntime" in measured_engines("auto")
    assert measured_engines("onnxruntime") == ["onnxruntime"]
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        measured_engines("onnxruntme")


def test_a_larger_network_takes_longer(nets, tmp_path):
    paths = {}
    for name, wide in (("small", 4), ("large", 64)):
        paths[name] = tmp_path / f"{name}.onnx"
        onnx.save(to_onnx(nets.trained(nets.TinyUNet(wide=wide)), nets.SPEC), paths[name])
    times = latencies(paths, np.zeros((1, 64, 96, 3), np.uint8), ["onnxruntime"], 1).table
    assert 0 < times["small"]["onnxruntime"] < times["large"]["onnxruntime"]
