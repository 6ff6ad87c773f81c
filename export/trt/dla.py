"""Which layers run on a Jetson's DLA and which on the GPU: a dry run on the graph, without TensorRT.

Source of the rules: NVIDIA, "DLA Supported Layers and Restrictions", TensorRT documentation,
https://docs.nvidia.com/deeplearning/tensorrt/latest/inference-library/dla-layer-restrictions.html (general restrictions and
table of layers; read on 2026-11-21). The compiler of a real DLA may reject more layers, when a part does not fit its
memory. ``seg-edge build --dla-core`` on the device lists the layers that TensorRT runs on the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from ...calib.graph import Array, attribute, weights
from ...core.report import Cells, Report
from ..graph.batch import for_one_frame

Shape = tuple[int, ...]

MAX_BATCH, MAX_SIDE = 4096, 8192


@dataclass(frozen=True)
class DlaLayer:
    """One node of the graph.

    Attributes:
        name, op: The node and its ONNX operation.
        refused: Why the layer will run on the GPU; empty if it runs on DLA.
    """

    name: str
    op: str
    refused: str

    @property
    def device(self) -> str:
        return "GPU" if self.refused else "DLA"


@dataclass(repr=False)
class DlaReport(Report):
    """The layers that would run on DLA.

    Attributes:
        model: The model, as the caller named it.
        graph: The ONNX file.
        layers: Every node that computes something, in graph order.
    """

    model: str
    graph: Path
    layers: list[DlaLayer]

    def to_dict(self) -> dict[str, Any]:
        """The content of ``build --dry-run --json``."""
        rows = [
            {"name": layer.name, "op": layer.op, "device": layer.device, "refused": layer.refused or None}
            for layer in self.layers
        ]
        return {"model": self.model, "layers": rows}

    def title(self) -> str:
        return f"{self.graph}: what DLA will refuse: {summary(self.layers)}"

    def table(self) -> Cells:
        refused = [layer for layer in self.layers if layer.refused]
        return ["layer", "operation", "why it runs on the GPU"], [[each.name, each.op, each.refused] for each in refused]


@dataclass(frozen=True)
class _Node:
    node: onnx.NodeProto
    shapes: dict[str, Shape]
    known: dict[str, Array]

    @property
    def inputs(self) -> list[Shape]:
        """Shapes of the inputs without constants; of a convolution only the image: weights may be behind Q/DQ."""
        names = list(self.node.input[:1] if self.node.op_type in ("Conv", "ConvTranspose") else self.node.input)
        return [self.shapes[name] for name in names if name in self.shapes and name not in self.known]

    def pair(self, name: str, default: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        value = attribute(self.node, name) or default
        return int(value[0]), int(value[1])


def dry_run(model: onnx.ModelProto) -> list[DlaLayer]:
    """Every node that computes something, in graph order, and whether DLA can run it.

    Args:
        model: The graph. INT8 on DLA uses the fp32 graph with a calibration cache.
    """
    inferred = onnx.shape_inference.infer_shapes(for_one_frame(model))
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    shapes = {v.name: tuple(d.dim_value or -1 for d in v.type.tensor_type.shape.dim) for v in values}
    known = weights(model)
    for node in model.graph.node:
        if node.op_type == "Constant":
            known[node.output[0]] = onnx.numpy_helper.to_array(attribute(node, "value"))
    nodes = [_Node(node, shapes, known) for node in model.graph.node if node.op_type != "Constant"]
    return [DlaLayer(n.node.name or n.node.output[0], n.node.op_type, _refused(n)) for n in nodes]


def summary(layers: Sequence[DlaLayer]) -> str:
    """``"17 of 24 layers on DLA, 7 on the GPU; data changes between them 3 times"``"""
    on_dla = sum(not layer.refused for layer in layers)
    changes = sum(a.device != b.device for a, b in zip(layers, layers[1:], strict=False))
    return (
        f"{on_dla} of {len(layers)} layers on DLA, {len(layers) - on_dla} on the GPU; "
        f"data changes between them {changes} time{'s' if changes != 1 else ''}"
    )


def _refused(n: _Node) -> str:
    if n.node.op_type not in _RULES:
        if n.node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            return "DLA rejects Q/DQ: give it the fp32 graph and a calibration cache"
        return f"DLA has no {n.node.op_type}"
    for shape in (*n.inputs, *(n.shapes[name] for name in n.node.output if name in n.shapes)):
        if -1 in shape:
            return "a dimension is free: DLA needs fixed sizes"
        if len(shape) != 4:
            return f"a tensor of {len(shape)} dimensions: DLA takes (N, C, H, W)"
        if shape[0] > MAX_BATCH or max(shape[1:]) > MAX_SIDE:
            return f"size {shape}: at most batch {MAX_BATCH} and sides of {MAX_SIDE}"
    return _RULES[n.node.op_type](n)


def _within(quantity: str, values: Sequence[int], low: int, high: int) -> str:
    bad = [value for value in values if not low <= value <= high]
    return f"{quantity} {bad[0]}: DLA takes {low} to {high}" if bad else ""


def _conv(n: _Node) -> str:
    if n.node.input[1] not in n.known:
        return "its weights are computed in the graph"
    weight = n.known[n.node.input[1]]
    groups, dilation = int(attribute(n.node, "group", 1)), n.pair("dilations")
    pads = [int(p) for p in attribute(n.node, "pads") or (0, 0, 0, 0)]
    if groups > 1 and dilation != (1, 1):
        return "grouped and dilated at once"
    return (
        _within("kernel", weight.shape[2:], 1, 32)
        or _within("stride", n.pair("strides"), 1, 8)
        or _within("padding", pads, 0, 31)
        or _within("dilation", dilation, 1, 32)
        or _within("number of output channels", weight.shape[:1], 1, 8192)
        or _within("groups", [groups], 1, 8192)
    )


def _deconv(n: _Node) -> str:
    if n.node.input[1] not in n.known:
        return "its weights are computed in the graph"
    if int(attribute(n.node, "group", 1)) > 1 or n.pair("dilations") != (1, 1):
        return "grouped or dilated"
    if any(attribute(n.node, "pads") or ()) or any(attribute(n.node, "output_padding") or ()):
        return "padding must be 0"
    kernel = n.known[n.node.input[1]].shape[2:]
    long = sorted(kernel) in ([1, 64], [1, 96], [1, 128])
    return "" if long else _within("kernel", kernel, 1, 32) or _within("stride", n.pair("strides"), 1, 32)


def _pool(n: _Node) -> str:
    pads = [int(p) for p in attribute(n.node, "pads") or (0, 0, 0, 0)]
    if n.node.op_type == "AveragePool" and any(pads) and not attribute(n.node, "count_include_pad", 0):
        return "the average leaves out the padding"
    return (
        _within("window", n.pair("kernel_shape"), 1, 8)
        or _within("padding", pads, 0, 7)
        or _within("stride", n.pair("strides"), 1, 16)
    )


def _global_pool(n: _Node) -> str:
    return _within("window", n.inputs[0][2:], 1, 8)


def _resize(n: _Node) -> str:
    source, target = n.inputs[0], n.shapes[n.node.output[0]]
    if source[:2] != target[:2]:
        return "it resizes batch or channels"
    factors = [target[i] / source[i] for i in (2, 3)]
    mode = attribute(n.node, "mode", b"nearest")
    if mode not in (b"nearest", b"linear") or any(factor != int(factor) for factor in factors):
        return f"{mode.decode()} by {factors[0]:g} x {factors[1]:g}: DLA takes nearest and bilinear by whole factors"
    return _within(f"{mode.decode()} factor", [int(f) for f in factors], 1, 32 if mode == b"nearest" else 4)


def _concat(n: _Node) -> str:
    if len(n.inputs) < len(n.node.input):
        return "it joins constants"
    return "" if attribute(n.node, "axis") in (1, -3) else "axis must be the channels"


def _clip(n: _Node) -> str:
    low, high = (n.known.get(name) if name else None for name in (list(n.node.input[1:]) + ["", ""])[:2])
    if low is None or float(low) != 0 or high is None or not 1 <= float(high) <= 127:
        return "clipping must be from 0 to a bound of 1 to 127"
    return ""


def _transpose(n: _Node) -> str:
    return "" if (attribute(n.node, "perm") or [1])[0] == 0 else "it moves the batch axis"


def _reshape(n: _Node) -> str:
    return "" if n.inputs[0][0] == n.shapes[n.node.output[0]][0] else "it changes the batch axis"


def _softmax(n: _Node) -> str:
    axis = int(attribute(n.node, "axis", -1)) % 4
    return "over the batch axis" if axis == 0 else _within("axis length", [n.inputs[0][axis]], 1, 1024)


def _reduce(n: _Node) -> str:
    axes = attribute(n.node, "axes")
    if axes is None and len(n.node.input) > 1 and n.node.input[1] in n.known:
        axes = n.known[n.node.input[1]].ravel().tolist()
    if not axes or 0 in (int(axis) % 4 for axis in axes) or not attribute(n.node, "keepdims", 1):
        return "only over C, H and W, with keepdims"
    return ""


def _elementwise(n: _Node) -> str:
    known = {name: value.shape for name, value in n.known.items()}
    shapes = [n.shapes.get(name) or known.get(name, ()) for name in n.node.input]
    big = n.shapes[n.node.output[0]]
    for shape in shapes:
        # Whole images, one value per channel, or one value per image.
        if shape not in (big, (big[0], big[1], 1, 1), (big[0], 1, 1, 1)):
            return f"it broadcasts {shape} over {big}: DLA takes (N, C, H, W), (N, C, 1, 1) and (N, 1, 1, 1)"
    return ""


def _free(_n: _Node) -> str:
    return ""


_RULES: dict[str, Callable[[_Node], str]] = {
    "Conv": _conv,
    "ConvTranspose": _deconv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "Resize": _resize,
    "Concat": _concat,
    "Clip": _clip,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "ReduceMax": _reduce,
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "PRelu", "BatchNormalization", "Abs", "LRN"), _free),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"), _elementwise),
    **dict.fromkeys(("Slice", "Identity"), _free),
}
