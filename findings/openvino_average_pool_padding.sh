#!/usr/bin/env bash
# AveragePool between Q/DQ pairs with count_include_pad=1, in OpenVINO and ONNX Runtime.
# guess: padding counts as the real number 0, as in float; seen: OpenVINO 2026.4.1 pools the stored levels and pads them
# with level 0, which stands for -zero_point * scale: here -3.6. Only the border of the mask is wrong.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

"$dir/venv/bin/python" <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
from onnx import TensorProto, helper, numpy_helper


def pool(zero_point: int) -> bytes:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        helper.make_node("AveragePool", ["b"], ["c"], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"]),
    ]
    image = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4, 4]) for name in "xy"]
    numbers = {"s": np.array(0.03, np.float32), "z": np.array(zero_point, np.uint8)}
    constants = [numpy_helper.from_array(value, name) for name, value in numbers.items()]
    graph = helper.make_graph(nodes, "pool", image[:1], image[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


image = np.full((1, 1, 4, 4), 0.9, np.float32)
corners = {}
for zero_point in (0, 120):
    data = pool(zero_point)
    theirs = ort.InferenceSession(data).run(None, {"x": image})[0]
    core = ov.Core()
    ours = core.compile_model(core.read_model(data), "CPU")(image)[0]
    corners[zero_point] = (round(float(theirs[0, 0, 0, 0]), 2), round(float(ours[0, 0, 0, 0]), 2))
    print(f"zero point {zero_point}: corner in ONNX Runtime and in OpenVINO: {corners[zero_point]}")
print("openvino", ov.__version__, "onnxruntime", ort.__version__)
sys.exit(0 if corners == {0: (0.39, 0.39), 120: (0.39, -1.59)} else "the behaviour changed")
PY
