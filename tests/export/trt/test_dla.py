from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from seg_edge.calib.graph import load
from seg_edge.export.graph.to_onnx import to_onnx
from seg_edge.export.trt.dla import dry_run, summary


def refused(op, shape=(1, 8, 16, 16), out=(1, 8, 16, 16), constants=(), **attributes):
    """DLA's answer to one node on a tensor of ``shape``."""
    names = [f"c{i}" for i in range(len(constants))]
    node = helper.make_node(op, ["x", *["" if c is None else n for n, c in zip(names, constants, strict=True)]], ["y"],
                            name="it", **attributes)  # fmt: skip
    graph = helper.make_graph(
        [node], "one", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.asarray(c), n) for n, c in zip(names, constants, strict=True) if c is not None],
    )  # fmt: skip
    (layer,) = dry_run(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert (layer.name, layer.op) == ("it", op)
    assert layer.device == ("GPU" if layer.refused else "DLA")
    return layer.refused


def weight(*shape):
    return np.zeros(shape, np.float32)


def test_the_family_runs_on_dla_but_for_its_first_steps(nets):
    layers = dry_run(to_onnx(nets.tiny(), nets.SPEC))
    assert [layer.name for layer in layers if layer.refused] == ["cast", "subtract_mean"]
    assert (
        summary(layers)
        == f"{len(layers) - 2} of {len(layers)} layers on DLA, 2 on the GPU; data changes between them 1 time"
    )


def test_qdq_is_refused_with_the_remedy(request):
    layers = dry_run(load(request.config.rootpath / "tests" / "data" / "street.int8.onnx"))
    assert {layer.refused for layer in layers if layer.op == "QuantizeLinear"} == {
        "DLA rejects Q/DQ: give it the fp32 graph and a calibration cache"
    }
    assert {layer.device for layer in layers if layer.op == "Conv"} == {"GPU"}


@pytest.mark.parametrize(
    ("answer", "arguments"),
    [
        ("", {"op": "Conv", "constants": (weight(8, 8, 3, 3),), "pads": [1, 1, 1, 1]}),
        ("", {"op": "Conv", "constants": (weight(8, 1, 3, 3),), "pads": [1, 1, 1, 1], "group": 8}),
        ("kernel 33", {"op": "Conv", "constants": (weight(8, 8, 33, 3),), "pads": [16, 1, 16, 1]}),
        ("stride 9", {"op": "Conv", "constants": (weight(8, 8, 1, 1),), "strides": [9, 1], "out": (1, 8, 2, 16)}),
        ("grouped and dilated", {"op": "Conv", "constants": (weight(8, 1, 3, 3),), "group": 8, "dilations": [2, 2],
                                 "pads": [2, 2, 2, 2]}),
        ("", {"op": "ConvTranspose", "constants": (weight(8, 8, 2, 2),), "strides": [2, 2], "out": (1, 8, 32, 32)}),
        ("padding must be 0", {"op": "ConvTranspose", "constants": (weight(8, 8, 3, 3),), "pads": [1, 1, 1, 1]}),
        ("grouped or dilated", {"op": "ConvTranspose", "constants": (weight(8, 1, 1, 1),), "group": 8}),
        ("", {"op": "MaxPool", "kernel_shape": [2, 2], "strides": [2, 2], "out": (1, 8, 8, 8)}),
        ("window 9", {"op": "MaxPool", "kernel_shape": [9, 9], "pads": [4, 4, 4, 4]}),
        ("leaves out the padding", {"op": "AveragePool", "kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("window 16", {"op": "GlobalAveragePool", "out": (1, 8, 1, 1)}),
        ("", {"op": "Resize", "constants": (None, np.float32([1, 1, 2, 2])), "out": (1, 8, 32, 32), "mode": "nearest"}),
        ("linear factor 8", {"op": "Resize", "constants": (None, np.float32([1, 1, 8, 8])), "out": (1, 8, 128, 128),
                             "mode": "linear"}),
        ("whole factors", {"op": "Resize", "constants": (None, np.float32([1, 1, 1.5, 1.5])), "out": (1, 8, 24, 24),
                           "mode": "nearest"}),
        ("", {"op": "Clip", "constants": (np.float32(0), np.float32(6))}),
        ("clipping", {"op": "Clip", "constants": (np.float32(-1), np.float32(6))}),
        ("", {"op": "Relu"}),
        ("", {"op": "Mul", "constants": (weight(1, 8, 1, 1),)}),
        ("broadcasts", {"op": "Mul", "constants": (weight(1, 1, 1, 16),)}),
        ("", {"op": "Softmax", "axis": 1}),
        ("over the batch", {"op": "Softmax", "axis": 0}),
        ("DLA has no Gather", {"op": "Gather", "constants": (np.int64([0, 1]),), "axis": 1, "out": (1, 2, 16, 16)}),
        ("of 3 dimensions", {"op": "Relu", "shape": (8, 16, 16), "out": (8, 16, 16)}),
        ("is free", {"op": "Relu", "shape": (1, 8, "H", 16), "out": (1, 8, "H", 16)}),
        ("at most batch 4096", {"op": "Relu", "shape": (1, 8193, 1, 1), "out": (1, 8193, 1, 1)}),
        ("", {"op": "ReduceMax", "axes": [2, 3], "out": (1, 8, 1, 1)}),
        ("keepdims", {"op": "ReduceMax", "axes": [0], "out": (1, 8, 16, 16)}),
        ("moves the batch", {"op": "Transpose", "perm": [1, 0, 2, 3], "out": (8, 1, 16, 16)}),
        ("of 2 dimensions", {"op": "ReduceMax", "axes": [2, 3], "keepdims": 0, "out": (1, 8)}),
    ],
)  # fmt: skip
def test_rules(answer, arguments):
    got = refused(**arguments)
    assert (answer in got) if answer else got == ""


def test_constants_are_no_layers(nets):
    model = to_onnx(nets.tiny(), nets.SPEC)
    assert "Constant" not in {layer.op for layer in dry_run(model)}
    assert isinstance(model, onnx.ModelProto)
