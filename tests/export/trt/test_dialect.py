from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_edge.calib.graph import load, run, session, weights
from seg_edge.core.errors import ModelFileError
from seg_edge.export.checks.compare import compare
from seg_edge.export.graph.options import QuantOptions
from seg_edge.export.graph.quantize import calibrate, quantize
from seg_edge.export.trt import for_tensorrt


@pytest.fixture(scope="module")
def int8(tiny, nets):
    options = QuantOptions()
    return quantize(tiny, calibrate(tiny, nets.frames(4), options), options)


def zero_points(model):
    known = weights(model)
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    return [known[node.input[2]] for node in nodes]


def test_only_int8_at_zero_and_float_biases_are_left(int8):
    assert {str(zero.dtype) for zero in zero_points(int8)} == {"uint8", "int8", "int32"}
    result = for_tensorrt(int8)
    onnx.checker.check_model(result, full_check=True)
    assert {str(zero.dtype) for zero in zero_points(result)} == {"int8"}
    assert not any(zero.any() for zero in zero_points(result))
    known = weights(result)
    for node in result.graph.node:
        if node.op_type == "Conv":
            assert known[node.input[2]].dtype == np.float32
    assert "int32" not in {str(value.dtype) for value in known.values()}


def test_the_masks_stay_what_they_were(int8, nets):
    frames = nets.frames(4, seed=5)
    outputs = [
        [run(opened, frame)[0] for frame in frames]
        for opened in (session(int8, fuse_quantized=False), session(for_tensorrt(int8), fuse_quantized=False))
    ]
    found = compare(*outputs)
    # 127 levels instead of 255 behind each ReLU; of random weights, whose classes lie close together.
    assert found.agreement > 0.97
    assert found.max_abs_error < 0.05 * found.peak


def test_the_input_is_left_alone_and_float_graphs_too(int8, tiny):
    before = int8.SerializeToString()
    for_tensorrt(int8)
    assert int8.SerializeToString() == before
    assert [n.op_type for n in for_tensorrt(tiny).graph.node] == [n.op_type for n in tiny.graph.node]


def pair(scale: float, zero: np.ndarray) -> onnx.ModelProto:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="Q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="DQ"),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [8]) for name in "xy"]
    constants = [numpy_helper.from_array(np.float32(scale), "s"), numpy_helper.from_array(zero, "z")]
    graph = helper.make_graph(nodes, "pair", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def through(model: onnx.ModelProto, values: list[float]) -> list[float]:
    opened = session(model)
    return opened.run(None, {"x": np.array(values, np.float32)})[0].tolist()


def test_a_range_from_zero_is_kept_whole():
    """Left alone, TensorRT reads uint8 as int8 with the same scale: 255 would become 127."""
    values = [0.0, 1.0, 10.0, 100.0, 126.0, 200.0, 250.0, 255.0]
    model = pair(1.0, np.uint8(0))
    assert through(model, values) == values
    got = through(for_tensorrt(model), values)
    assert got[-1] == pytest.approx(255)
    # Half of a level of 255/127.
    assert max(abs(a - b) for a, b in zip(got, values, strict=True)) <= 1.01


def test_a_symmetric_range_is_exact():
    values = [-128.0, -3.0, 0.0, 1.0, 64.0, 127.0, 130.0, -200.0]
    model = pair(1.0, np.uint8(128))
    assert through(for_tensorrt(model), values) == through(model, values)


def test_other_zero_points_are_refused():
    with pytest.raises(
        ModelFileError, match="TensorRT: zero point 7 of Q; expected 0 or 128; it takes int8 with zero point 0"
    ):
        for_tensorrt(pair(1.0, np.uint8(7)))


def test_a_real_export(request):
    """The network of tests/data, as seg-edge export wrote it."""
    path = request.config.rootpath / "tests" / "data" / "street.int8.onnx"
    model = load(path)
    result = for_tensorrt(model)
    assert {str(zero.dtype) for zero in zero_points(result)} == {"int8"}
