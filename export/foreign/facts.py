"""Size and precision of a network, by its graph."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

_QUANTIZED = ("QuantizeLinear", "QLinearConv", "ConvInteger", "DequantizeLinear")


def parameters(model: onnx.ModelProto) -> int:
    """Number of values in the constants of the graph."""
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer)


def macs(model: onnx.ModelProto) -> int | None:
    """Multiply-accumulates of convolutions and matrix products; None where a shape can't be inferred."""
    try:
        inferred = shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # onnx's errors share no public base class; the count is optional
        return None
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    shapes |= {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
    total = 0
    for node in inferred.graph.node:
        if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
            continue
        left, right, out = (shapes.get(name, []) for name in (node.input[0], node.input[1], node.output[0]))
        if not left or not right or not out or 0 in (*left, *right, *out):
            return None
        if node.op_type == "Conv":
            total += int(np.prod(out) * np.prod(right[1:]))
        elif node.op_type == "ConvTranspose":
            total += int(np.prod(left) * np.prod(right[1:]))
        else:
            words = {item.name: helper.get_attribute_value(item) for item in node.attribute}
            total += int(np.prod(out)) * int(left[-2] if words.get("transA") else left[-1])
    return total


def precision_of(model: onnx.ModelProto) -> str:
    """``"int8"`` of a quantized graph, ``"fp16"`` if most weights are float16, else ``"fp32"``."""
    if any(node.op_type in _QUANTIZED for node in model.graph.node):
        return "int8"
    kinds = [tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) > 1]
    return "fp16" if kinds and kinds.count(TensorProto.FLOAT16) > len(kinds) / 2 else "fp32"
