"""TensorRT's dialect of Q/DQ: a mechanical rewrite of ``model.int8.onnx``, in memory.

TensorRT quantizes to int8 with zero point 0 only, and takes biases as float. What it does with other graphs (tried with
TensorRT-RTX 1.7): an int32 bias and a zero point of 128 are errors; **a uint8 tensor with zero point 0 is read as int8 with
the same scale, so that everything above half of its range saturates**, with a warning only. So such a scale is widened here
until int8 covers the range: 127 levels remain of 255.
"""

from __future__ import annotations

import numpy as np
import onnx

from ...calib.graph import Array, set_weight, weights
from ...core.errors import ModelFileError

_Q, _DQ = "QuantizeLinear", "DequantizeLinear"
#: int8 levels above 0, of the 255 that uint8 has: how much wider a level must be.
_WIDEN = 255 / 127


def for_tensorrt(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with int8 activations at zero point 0 and float biases; a graph without Q/DQ comes back as it is.

    Args:
        model: A graph whose activations are uint8 with zero point 0 or 128, or int8 with zero point 0; scales, zero points
            and quantized constants are initializers.

    Raises:
        ModelFileError: another zero point, or one that is computed in the graph.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = weights(result)
    kept: list[onnx.NodeProto] = []
    for node in result.graph.node:
        if node.op_type == _DQ and node.input[0] in known and known[node.input[0]].dtype == np.int32:
            set_weight(result, node.output[0], _real(node, known))
            continue
        if node.op_type in (_Q, _DQ) and not (node.op_type == _DQ and node.input[0] in known):
            _to_int8(result, node, known)
        kept.append(node)
    copies = []
    for node in kept:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del result.graph.node[:]
    result.graph.node.extend(copies)
    del result.graph.value_info[:]
    used = {name for node in copies for name in node.input}
    constants = [tensor for tensor in result.graph.initializer if tensor.name in used]
    del result.graph.initializer[:]
    result.graph.initializer.extend(constants)
    return result


def _to_int8(model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, Array]) -> None:
    scale_name, zero_name = node.input[1], node.input[2] if len(node.input) > 2 else ""
    if scale_name not in known or (zero_name and zero_name not in known):
        raise ModelFileError(f"TensorRT: {node.name}: scale and zero point must be constants in the graph; export it again")
    scale = known[scale_name]
    zero = known[zero_name] if zero_name else np.zeros(1, np.uint8)  # what ONNX says where there is none
    if zero.dtype == np.int8 and not zero.any():
        return
    if zero.dtype != np.uint8 or not (np.all(zero == 0) or np.all(zero == 128)):
        raise ModelFileError(
            f"TensorRT: {node.name}: zero point {zero.ravel()[:4].tolist()} ({zero.dtype}); TensorRT takes int8 with zero "
            "point 0, which is the twin of uint8 with 0 or 128 only; export the model again"
        )
    widen = _WIDEN if np.all(zero == 0) else 1.0
    names = [f"{scale_name}.{'wide' if widen > 1 else 'same'}", f"{zero_name or node.name}.int8"]
    if names[0] not in known:
        known[names[0]] = np.asarray(scale * scale.dtype.type(widen), scale.dtype)
        set_weight(model, names[0], known[names[0]])
    if names[1] not in known:
        known[names[1]] = np.zeros(scale.shape, np.int8)
        set_weight(model, names[1], known[names[1]])
    node.input[1] = names[0]
    if len(node.input) > 2:
        node.input[2] = names[1]
    else:
        node.input.append(names[1])


def _real(node: onnx.NodeProto, known: dict[str, Array]) -> Array:
    """What a DequantizeLinear of a constant gives: its levels times its scale."""
    levels, scale = known[node.input[0]], known[node.input[1]]
    if len(node.input) > 2 and node.input[2] and known[node.input[2]].any():
        raise ModelFileError(f"TensorRT: {node.name}: an int32 bias with a zero point; export the model again")
    return np.asarray(levels.astype(np.float64) * scale, scale.dtype)
