#!/usr/bin/env bash
# TensorRT-RTX's builder on a depthwise convolution between Q/DQ pairs (it builds without a GPU).
# guess: the INT8 plan reads a quarter of the bytes of the float plan; seen: each channel is padded to four with zeros,
# so the convolution reads as many bytes as in float, and the engine stores 3 x channels x height x width zeros.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --no-compile tensorrt-rtx==1.7.1.116 onnx==1.23.2 numpy==2.4.6

"$dir/venv/bin/python" <<'PY'
import re
import sys

import numpy as np
import onnx
import tensorrt_rtx as trt
from onnx import TensorProto, helper, numpy_helper


class Log(trt.ILogger):
    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.lines = []

    def log(self, severity, message) -> None:
        self.lines.append(message)


def build(size: int, groups: int) -> tuple[int, str]:
    """Bytes of the engine of an INT8 convolution with 32 channels, and the shape that the convolution reads."""
    levels = {"s": np.float32(0.03), "z": np.int8(0), "w": np.ones((32, 32 // groups, 3, 3), np.int8)}
    scales = {"ws": np.full(32, 0.01, np.float32), "wz": np.zeros(32, np.int8)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["f"], axis=0),
        helper.make_node("Conv", ["d", "f"], ["c"], name="conv", pads=[1] * 4, group=groups),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["e"]),
        helper.make_node("DequantizeLinear", ["e", "s", "z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 32, size, size]) for name in "xy"]
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in {**levels, **scales}.items()]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, log).parse(model.SerializeToString())
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    engine = builder.build_serialized_network(network, config)
    layer = re.search(r"Name: conv\S*, LayerType: correlation, .*", "\n".join(log.lines))[0]
    shape, kind = re.search(r"Dimensions: \[([\d,]+)\].*?Datatype: (\w+)", layer).groups()
    return engine.nbytes, f"{kind} {shape}"


print("tensorrt_rtx", trt.__version__)
plain, depthwise = ([build(size, groups) for size in (64, 256)] for groups in (1, 32))
for name, (small, large) in (("one group", plain), ("depthwise", depthwise)):
    print(f"{name}: reads {small[1]} and {large[1]}; the larger image adds {large[0] - small[0]:,} bytes to the engine")
zeros = 3 * 32 * (256**2 - 64**2)
padded = plain[0][1] == "Int8 1,32,64,64" and depthwise[0][1] == "Int8 1,128,64,64"
stored = plain[1][0] - plain[0][0] < 10_000 < zeros <= depthwise[1][0] - depthwise[0][0]
sys.exit(0 if padded and stored else "the behaviour changed")
PY
