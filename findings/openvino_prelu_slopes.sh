#!/usr/bin/env bash
# PRelu with slopes of shape [4] on maps that are 4 wide and have 4 channels.
# guess: ONNX broadcasts from the right, so slopes go along the width in every engine; seen: OpenVINO gives one slope to
# each channel, without a message.
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
from onnx.reference import ReferenceEvaluator

slopes = np.array([0, 1, 2, 3], np.float32)
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 2, 4]) for name in "xy"]
node = helper.make_node("PRelu", ["x", "slopes"], ["y"])
graph = helper.make_graph([node], "prelu", ends[:1], ends[1:], [numpy_helper.from_array(slopes, "slopes")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.checker.check_model(model, full_check=True)
data, image, core = model.SerializeToString(), np.full((1, 4, 2, 4), -1, np.float32), ov.Core()

answers = {
    "onnx's reference": ReferenceEvaluator(model).run(None, {"x": image})[0],
    "ONNX Runtime": ort.InferenceSession(data).run(None, {"x": image})[0],
    "OpenVINO": core.compile_model(core.read_model(data), "CPU")(image)[0],
}
seen = {}
for engine, answer in answers.items():
    seen[engine] = (-answer[0, 0, 0]).tolist(), (-answer[0, :, 0, 0]).tolist()
    print(f"{engine}: slopes along the width {seen[engine][0]}, along the channels {seen[engine][1]}")
print("openvino", ov.__version__, "onnxruntime", ort.__version__, "onnx", onnx.__version__)
width, channel = ([0, 1, 2, 3], [0, 0, 0, 0]), ([0, 0, 0, 0], [0, 1, 2, 3])
sys.exit(0 if list(seen.values()) == [width, width, channel] else "the behaviour changed")
PY
