#!/usr/bin/env bash
# NNCF's quantize() with default settings: the levels of each layer's weights.
# guess: all weights use -127...127; seen: the first convolution uses 7 bits (-64...64), the others 8, whatever engine
# will run the file. ONNX Runtime's quantizer gives the first layer 8 bits.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q nncf==3.4.0 onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6

"$dir/venv/bin/python" - "$dir" 2>/dev/null <<'PY'
import logging
import sys

import nncf
import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

logging.disable(logging.WARNING)
random = np.random.default_rng(0)
weights = {f"w{i}": random.normal(0, 0.1, (8, size, 3, 3)).astype(np.float32) for i, size in enumerate((3, 8, 8))}
nodes, last = [], "x"
for name in weights:
    nodes.append(helper.make_node("Conv", [last, name], [f"conv_{name}"], name=f"conv_{name}", pads=[1] * 4))
    nodes.append(helper.make_node("Relu", [f"conv_{name}"], [f"relu_{name}"], name=f"relu_{name}"))
    last = f"relu_{name}"
shapes = {"x": [1, 3, 16, 16], last: [1, 8, 16, 16]}
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
onnx.save(model, sys.argv[1] + "/float.onnx")
images = [random.normal(size=(1, 3, 16, 16)).astype(np.float32) for _ in range(10)]


class Reader(CalibrationDataReader):
    left = iter([{"x": image} for image in images])

    def get_next(self):
        return next(self.left, None)


def largest(quantized: onnx.ModelProto) -> list[int]:
    """The largest level of each convolution's weights, in the order of the layers."""
    arrays = [numpy_helper.to_array(t) for t in quantized.graph.initializer if len(t.dims) == 4]
    names = [t.name for t in quantized.graph.initializer if len(t.dims) == 4]
    return [int(abs(array.astype(int)).max()) for _, array in sorted(zip(names, arrays), key=lambda pair: pair[0])]


of_nncf = largest(nncf.quantize(model, nncf.Dataset(images, lambda image: {"x": image})))
whole = {"per_channel": True, "weight_type": QuantType.QInt8}
quantize_static(sys.argv[1] + "/float.onnx", sys.argv[1] + "/int8.onnx", Reader(), **whole)
of_ort = largest(onnx.load(sys.argv[1] + "/int8.onnx"))
print("nncf", nncf.__version__, "onnxruntime", ort.__version__)
print("largest weight level by layer: NNCF", of_nncf, "ONNX Runtime", of_ort)
sys.exit(0 if of_nncf == [64, 127, 127] and of_ort == [127, 127, 127] else 1)
PY
