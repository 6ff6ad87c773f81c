"""A small valid graph for each row of the table that is about graphs: float32 ``x`` (1, 4, 8, 8) to ``y``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHAPE = (1, 4, 8, 8)
RNG = np.random.default_rng(5)
WEIGHTS = RNG.integers(-100, 100, (4, 4, 3, 3)).astype(np.int8)
FRAME = RNG.normal(0, 1, SHAPE).astype(np.float32)
Constants = dict[str, Any]
Shape = tuple[int | None, ...]


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Constants | None = None,
    opset: int = 17,
    shape: Shape = SHAPE,
) -> onnx.ModelProto:
    """The constants keep their types; numbers of Python are float32."""
    tensors = [
        numpy_helper.from_array(np.asarray(value, np.float32 if isinstance(value, float) else None), name)
        for name, value in (constants or {}).items()
    ]
    ends = (("x", shape), ("y", [None] * 4))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    graph = helper.make_graph(list(nodes), "small", values[:1], values[1:], tensors)
    opsets = [helper.make_opsetid("", opset)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=max(4, helper.find_min_ir_version_for(opsets)))
    onnx.checker.check_model(made)
    return onnx.shape_inference.infer_shapes(made)


def node(operator: str, *inputs: str, to: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), [to], name=f"the_{operator}", **attributes)


def pool(kernel: int, stride: int, pads: int, *, ceil: int = 1, size: int = 8) -> onnx.ModelProto:
    words = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pads] * 4, "ceil_mode": ceil}
    return model([node("MaxPool", "x", **words)], shape=(1, 4, size, size))


def resize(sizes: Sequence[int] | None = None, scale: float | None = None, **attributes: Any) -> onnx.ModelProto:
    made = {"s": np.array(sizes, np.int64)} if scale is None else {"s": np.array([1, 1, scale, scale], np.float32)}
    inputs = ("x", "", "", "s") if scale is None else ("x", "", "s")
    return model([node("Resize", *inputs, mode=attributes.pop("mode", "linear"), **attributes)], made, 18)


def conv(
    *, off: float = 1.0, kind: str = "Conv", zero_points: bool = True, shape: tuple[int, ...] = (), axis: int = 0,
    by_channel: bool = False, opset: int = 17, signed: bool = False,
) -> onnx.ModelProto:  # fmt: skip
    """A quantized convolution between two pairs."""
    x, w, y = 0.02, np.array([0.01, 0.02, 0.015, 0.01] if by_channel else 0.01, np.float32), 0.5
    bias = w.reshape(-1).astype(np.float64) * x * off
    zero_point = np.full(shape, 128 if zero_points and not signed else 0, np.int8 if signed else np.uint8)
    constants: Constants = {
        "sx": np.full(shape, x, np.float32), "zx": zero_point, "sy": np.full(shape, y, np.float32), "zy": zero_point,
        "sw": w, "zw": np.zeros(w.shape, np.int8), "w": WEIGHTS,
        "b": np.array([900_000, -700_000, 300_000, 50_000], np.int32),
        "sb": (bias if by_channel else bias.reshape(())).astype(np.float32),
        "zb": np.zeros(4 if by_channel else (), np.int32),
    }  # fmt: skip
    pair = ("sx", "zx") if zero_points else ("sx",)
    last = ("sy", "zy") if zero_points else ("sy",)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *pair], ["a"], name="first"),
        helper.make_node("DequantizeLinear", ["a", *pair], ["data"]),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["weight"], axis=axis),
        helper.make_node("DequantizeLinear", ["b", "sb", "zb"], ["bias"], axis=0),
        helper.make_node(kind, ["data", "weight", "bias"], ["c"], name="conv", pads=[1] * 4),
        helper.make_node("QuantizeLinear", ["c", *last], ["d"], name="last"),
        helper.make_node("DequantizeLinear", ["d", *last], ["y"]),
    ]
    return model(nodes, constants, opset)


def pair_around(kind: str) -> onnx.ModelProto:
    nodes = [
        node("Conv", "x", "w", to="c", pads=[1] * 4),
        node("QuantizeLinear", "c", "s", "z", to="q"),
        node("DequantizeLinear", "q", "s", "z"),
    ]
    return model(nodes, {"w": WEIGHTS * np.float32(0.01), "s": 0.0001, "z": np.array(0, kind)}, 21)


def blocked() -> onnx.ModelProto:
    """A quantized convolution whose weights have a scale for each two input channels."""
    made = conv(opset=21)
    weight = next(each for each in made.graph.node if "weight" in each.output)
    weight.CopyFrom(helper.make_node("DequantizeLinear", ["w", "sw"], ["weight"], name="blocked", axis=1, block_size=2))
    scales = next(each for each in made.graph.initializer if each.name == "sw")
    scales.CopyFrom(numpy_helper.from_array(np.full((4, 2, 3, 3), 0.01, np.float32), "sw"))
    onnx.checker.check_model(made, full_check=True)
    return made


def mean_pool(zero_point: int) -> onnx.ModelProto:
    nodes = [
        node("QuantizeLinear", "x", "s", "z", to="a"), node("DequantizeLinear", "a", "s", "z", to="b"),
        node("AveragePool", "b", to="c", kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"]),
    ]  # fmt: skip
    return model(nodes, {"s": 0.03, "z": np.array(zero_point, np.uint8)})


def upsample(*scales: float, shape: Shape = SHAPE) -> onnx.ModelProto:
    """By one scale, or by one for the rows and one for the columns."""
    made = {"s": np.array([1, 1, scales[0], scales[-1]], np.float32)}
    return model([node("Upsample", "x", "s", mode="nearest")], made, 9, shape)


def slopes(shape: tuple[int, ...]) -> onnx.ModelProto:
    made = {"slopes": np.arange(4, dtype=np.float32).reshape(shape)}
    return model([node("PRelu", "x", "slopes")], made, shape=(1, 4, 8, 4))  # as wide as it has channels


#: Name of a row → a graph that meets it.
MEETS: dict[str, onnx.ModelProto] = {
    "maxpool-ceil": pool(2, 3, 1),
    "resize-antialias": resize([1, 4, 3, 3], antialias=1, exclude_outside=1),
    "resize-antialias-other": resize([1, 4, 3, 3], mode="cubic", antialias=1, exclude_outside=1),
    "resize-antialias-border": resize([1, 4, 3, 3], antialias=1),
    "resize-aspect": model(
        [node("Resize", "x", "", "", "s", mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger")],
        {"s": np.array([16, 12], np.int64)}, 18,
    ),
    "resize-fractional-corners": resize(scale=2.6, coordinate_transformation_mode="align_corners"),
    "upsample-fractional": upsample(2.3),
    "upsample-fractional-free": upsample(2.3, shape=(1, 4, None, None)),
    "softmax-flattened": model([node("Softmax", "x", axis=1)], opset=11),
    "uint16-quantization": pair_around("uint16"),
    "bias-scale": conv(off=1.009),
    "blocked-weights": blocked(),
    "newest-opset": conv(opset=28),
    "average-pool-padding": mean_pool(120),
    "prelu-slopes": slopes((4,)),
    "int8-transposed": conv(kind="ConvTranspose"),
    "activation-scales": conv(shape=(1,)),
    "activation-channels": conv(shape=(4,), signed=True),
    "weight-scales-axis": conv(by_channel=True, axis=1),
    "no-zero-point": conv(zero_points=False),
}  # fmt: skip

#: Graphs that look like those and meet no row.
NEAR: dict[str, onnx.ModelProto] = {
    "a pooling whose last window holds a pixel": pool(3, 2, 1),
    "a pooling that rounds down": pool(2, 3, 1, ceil=0),
    "bilinear by a whole factor": resize([1, 4, 16, 16], coordinate_transformation_mode="half_pixel"),
    "antialias to more pixels": resize([1, 4, 16, 8], antialias=1),
    "corners to a size": resize([1, 4, 16, 16], coordinate_transformation_mode="align_corners"),
    "Upsample by 2": upsample(2.0),
    "Upsample to as many pixels": upsample(1.1),
    "Softmax of opset 9": model([node("Softmax", "x", axis=1)], opset=9),
    "LogSoftmax of opset 11": model([node("LogSoftmax", "x", axis=1)], opset=11),
    "a quantized convolution of opset 27": conv(opset=27),
    "Softmax of opset 13": model([node("Softmax", "x", axis=1)], opset=13),
    "Softmax over the last axis": model([node("Softmax", "x", axis=3)], opset=11),
    "a quantized convolution": conv(),
    "one by channel": conv(by_channel=True),
    "a bias scale that is 2 % off": conv(off=1.025),
    "a quantized mean with zero point 0": mean_pool(0),
    "slopes of the channels": slopes((4, 1, 1)),
}  # fmt: skip
