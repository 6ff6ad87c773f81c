"""Single layers in float16 inside an INT8 graph: float layers that a GPU computes faster than in float32.

Casts around each of these convolutions give the precision to a strongly typed builder: float16 for the convolution, 8
bits
for its neighbours. CPUs gain nothing: they have no float16 kernels, so ONNX Runtime and OpenVINO compute the
convolution in
float32 from the rounded weights.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from ...calib.graph import Frames, consumers, convolutions, run, session, set_weight, up_to, weights
from ...core.errors import ModelFileError

_LARGEST = float(np.finfo(np.float16).max)
# Live frames may cause larger values than the measured frames.
_MARGIN = 4.0


def half_range(model: onnx.ModelProto, layers: Sequence[str], frames: Sequence[Frames]) -> list[str]:
    """The convolutions whose weights, input and result stay well inside the range of float16.

    CPU engines compute a float16 graph in float32 and don't show an overflow, so the range is checked beforehand.

    Args:
        model: The float graph, see :func:`seg_edge.export.graph.quantize.prepare`.
        layers: Names of convolutions.
        frames: uint8 (N, H, W, 3) each.

    Returns:
        The layers whose values fit float16 with a margin of a factor of 4, in the given order.
    """
    nodes = [node for node in convolutions(model) if node.name in layers]
    if not nodes:
        return []
    made = {name for node in model.graph.node for name in node.output}
    tensors = list(dict.fromkeys(name for node in nodes for name in (node.input[0], node.output[0]) if name in made))
    opened = session(up_to(model, tensors))
    peaks = dict.fromkeys(tensors, 0.0)
    for frame in frames:
        for name, values in zip(tensors, run(opened, frame), strict=True):
            peaks[name] = max(peaks[name], float(np.abs(values).max()))
    known = weights(model)
    peaks.update({name: float(np.abs(known[name]).max()) for node in nodes for name in node.input[1:3]})
    # NaN fails the comparison, as it should.
    fits = {
        node.name
        for node in nodes
        if all(_MARGIN * peaks.get(name, 255.0) <= _LARGEST for name in (*node.input[:3], node.output[0]))
    }
    return [name for name in layers if name in fits]


def half_convolutions(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """A copy in which the given float convolutions, with their ReLU, compute in float16.

    Args:
        model: An INT8 graph of :func:`seg_edge.export.graph.quantize.quantize`.
        layers: Names of convolutions that are in float in ``model``.

    Raises:
        ModelFileError: a name is not a float convolution of the graph, or the result is not a valid graph.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = weights(result)
    chosen = {node.name: node for node in convolutions(result) if node.name in layers and node.input[1] in known}
    if missing := sorted(set(layers) - set(chosen)):
        raise ModelFileError(f"fp16 fallback: {missing[0]} is no float convolution of the graph; report this")
    outputs = {value.name for value in result.graph.output}
    readers = consumers(result)
    nodes: list[onnx.NodeProto] = []
    after: dict[str, onnx.NodeProto] = {}  # last node of a float16 part → the cast to float32 behind it
    for node in list(result.graph.node):
        if node.name in chosen and node.op_type == "Conv":
            source = f"{node.name}.input.half"
            nodes.append(helper.make_node("Cast", [node.input[0]], [source], name=f"{source}.cast", to=TensorProto.FLOAT16))
            node.input[0] = source
            for i, name in enumerate(node.input[1:3], 1):
                # A new name, because another convolution may read the same weights.
                node.input[i] = f"{node.name}.{'weight' if i == 1 else 'bias'}.half"
                set_weight(result, node.input[i], known[name].astype(np.float16))
            last, made = node, node.output[0]
            behind = readers.get(made, [])
            if len(behind) == 1 and behind[0].op_type == "Relu" and made not in outputs:
                last = behind[0]
                node.output[0] = last.input[0] = f"{made}.half"
                made = last.output[0]
            last.output[0] = f"{made}.half"
            after[last.output[0]] = helper.make_node(
                "Cast", [last.output[0]], [made], name=f"{made}.single.cast", to=TensorProto.FLOAT
            )
        nodes.append(node)
        if node.output[0] in after:
            nodes.append(after[node.output[0]])
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in result.graph.initializer if tensor.name in used]
    copies = [_copy(node) for node in nodes]
    del result.graph.node[:], result.graph.value_info[:]
    result.graph.node.extend(copies)
    initializers = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in kept]
    del result.graph.initializer[:]
    result.graph.initializer.extend(initializers)
    try:
        result = onnx.shape_inference.infer_shapes(result, strict_mode=True)
        onnx.checker.check_model(result, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelFileError(f"fp16 fallback: the graph is not valid ({error}); report this") from error
    return result


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
