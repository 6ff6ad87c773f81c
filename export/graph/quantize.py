"""INT8: QuantizeLinear / DequantizeLinear pairs around a float graph, from calibrated scales.

Placement follows the patterns that ONNX Runtime, OpenVINO and TensorRT all fuse:

- One pair on the input of every convolution.
- One pair behind every convolution and its ReLU, never between the two.
- One scale on both sides of operations that only move values (Resize, MaxPool), and on all inputs of a Concat. These
  operations then run on 8-bit data without requantization.

Weights are symmetric int8 per output channel. By default they are scaled so that the kernels of no processor saturate
(:func:`seg_edge.calib.scales.weight_scales`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ...calib.bias_correction import correct_biases
from ...calib.cache import Calibration
from ...calib.graph import Frames, attribute, consumers, convolutions, set_weight, weights
from ...calib.observers import observer
from ...calib.scales import QuantParams, activation_params, fit_bias, quantize_weight, weight_scales
from ...calib.statistics import check_frames, collect, silent
from ...core.errors import ModelFileError
from ...runtime.modelfile.dialect import mean_levels
from .options import QuantOptions

_QUANTIZED = ("Conv", "Concat", "Resize", "MaxPool", "Add")
_MOVES_VALUES = ("Resize", "MaxPool")
_ACTIVATIONS = ("Relu", "Clip")
# Name of the constant that to_onnx subtracts from the frames. It is not imported, because to_onnx needs torch.
MEAN = "mean_bgr"


def prepare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which node names are unique and every convolution has its own float bias initializer.

    Raises:
        ModelFileError: the graph has no convolution, or computes the weights of a convolution.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = weights(result)
    used: set[str] = set()
    for i, node in enumerate(result.graph.node):
        if not node.name or node.name in used:
            node.name = f"{node.op_type}_{i}"
        used.add(node.name)
    biases: set[str] = set()
    for node in convolutions(result):
        if node.input[1] not in known or (len(node.input) > 2 and node.input[2] and node.input[2] not in known):
            raise ModelFileError(f"quantize: {node.name}: weights must be constants in the graph; export the model again")
        value = (
            known[node.input[2]]
            if len(node.input) > 2 and node.input[2]
            else np.zeros(len(known[node.input[1]]), np.float32)
        )
        name = f"{node.name}.bias"
        set_weight(result, name, value)
        del node.input[2:]
        node.input.append(name)
        biases.add(name)
    if not biases:
        raise ModelFileError("quantize: the graph has no convolution; expected a segmentation network")
    return _without_unused(result)


def quantized_tensors(model: onnx.ModelProto, *, output: bool = True, keep_float: Collection[str] = ()) -> list[str]:
    """The activation tensors that get a Q/DQ pair, in graph order.

    Args:
        output: Whether the graph's output may get a pair.
        keep_float: Names of convolutions that stay in float. A tensor that only these read gets no pair. With the names
            of all convolutions, the graph is not quantized at all.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    unquantized = float_nodes(model, keep_float)
    chosen: dict[str, None] = {}
    for node in model.graph.node:
        if node.op_type not in _QUANTIZED or not _supported(node) or node.name in unquantized:
            continue
        for name in node.input[:1] if node.op_type in ("Conv", *_MOVES_VALUES) else node.input:
            if name and name not in known:
                chosen[name] = None
        result = node.output[0]
        after = readers.get(result, [])
        if len(after) == 1 and after[0].op_type in _ACTIVATIONS and result not in outputs:
            result = after[0].output[0]
        # A pair that no 8-bit node reads would cost accuracy and gain no speed.
        if not any(each.name in unquantized for each in readers.get(result, [])):
            chosen[result] = None
    if not output:
        for name in outputs:
            chosen.pop(name, None)
    order = {name: i for i, name in enumerate(name for node in model.graph.node for name in node.output)}
    return sorted(chosen, key=lambda name: order.get(name, -1))


def float_nodes(model: onnx.ModelProto, keep_float: Collection[str]) -> set[str]:
    """Names of the nodes that read float tensors.

    These are the convolutions ``keep_float``, and the operations in front of them (Concat, Resize, MaxPool, Add) whose
    result no 8-bit convolution reads.

    Raises:
        ModelFileError: no convolution has one of the names.
    """
    if not keep_float:
        return set()
    if missing := sorted(set(keep_float) - {node.name for node in convolutions(model)}):
        raise ModelFileError(f"quantize: the graph has no convolution {missing[0]}; take a name from the sensitivity table")
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    unquantized = set(keep_float)
    for node in reversed(model.graph.node):
        if node.op_type in _QUANTIZED and node.op_type != "Conv":
            after = readers.get(node.output[0], [])
            behind = [each for relu in after if relu.op_type in _ACTIVATIONS for each in readers.get(relu.output[0], [])]
            used = [each for each in after if each.op_type not in _ACTIVATIONS] + behind
            if used and all(each.name in unquantized for each in used) and node.output[0] not in outputs:
                unquantized.add(node.name)
    return unquantized


def scale_groups(model: onnx.ModelProto, tensors: Sequence[str]) -> list[list[str]]:
    """Tensors that must share one scale: those on both sides of a Resize, MaxPool or Concat."""
    group = {name: {name} for name in tensors}
    for node in model.graph.node:
        if node.op_type in _MOVES_VALUES and _supported(node):
            related = [node.input[0], node.output[0]]
        elif node.op_type == "Concat":
            related = [*node.input, node.output[0]]
        else:
            continue
        members = set().union(*(group[name] for name in related if name in group))
        for name in members:
            group[name] = members
    unique = {id(members): members for members in group.values()}
    position = {name: i for i, name in enumerate(tensors)}
    return [sorted(members, key=position.__getitem__) for members in unique.values()]


def calibrate(
    model: onnx.ModelProto,
    frames: Sequence[Frames],
    options: QuantOptions,
    *,
    track: Callable[..., Any] = silent,
) -> Calibration:
    """Scales and corrected biases of a graph that :func:`prepare` returned.

    Args:
        frames: uint8 (N, H, W, 3) each, at the network's input size.
        track: Wraps the loop of each pass, to show progress.

    Raises:
        UnknownNameError: no such observer.
        DataError: no frames, frames of a single colour, or values that are not finite.
    """
    rule = observer(options.observer)
    check_frames(frames)
    tensors = quantized_tensors(model, output=options.quantize_output)
    statistics = collect(model, tensors, frames, track=track)
    activations: dict[str, QuantParams] = {}
    for group in scale_groups(model, tensors):
        ranges = [rule(statistics[name]) for name in group]
        params = activation_params(min(low for low, _ in ranges), max(high for _, high in ranges))
        activations.update(dict.fromkeys(group, params))
    biases = {}
    if options.bias_correction:
        simulated = insert(model, Calibration(activations, {}), options)
        biases = correct_biases(model, simulated, frames, track=track)
    return Calibration(activations, biases)


def quantize(
    model: onnx.ModelProto, calibration: Calibration, options: QuantOptions, keep_float: Collection[str] = ()
) -> onnx.ModelProto:
    """The INT8 graph of a float graph that :func:`prepare` returned.

    Args:
        keep_float: Names of convolutions that stay in float.

    Raises:
        ModelFileError: the result is not a valid ONNX model, or ``keep_float`` names no convolution.
    """
    result = insert(model, calibration, options, keep_float)
    if options.int32_bias:
        quantize_biases(result)
    result = _without_unused(result)
    try:
        # The shapes stay in the file: engines' dialects need those around each Resize, even where onnx is missing.
        result = onnx.shape_inference.infer_shapes(result, strict_mode=True)
        onnx.checker.check_model(result, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelFileError(f"quantize: the INT8 graph is not valid ({error}); report this") from error
    return result


def insert(
    model: onnx.ModelProto, calibration: Calibration, options: QuantOptions, keep_float: Collection[str] = ()
) -> onnx.ModelProto:
    """Inserts the Q/DQ pairs of activations and weights. Biases stay float; those of the calibration are corrected."""
    unquantized = float_nodes(model, keep_float)
    tensors = set(quantized_tensors(model, output=options.quantize_output, keep_float=keep_float))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for name, bias in calibration.biases.items():
        set_weight(result, name, bias)
    _snap_mean(result)
    graph = result.graph
    known = weights(result)
    outputs = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []

    def pair(tensor: str, source: str, target: str) -> None:
        params = calibration.activations[tensor]
        constants = [f"{tensor}.scale", f"{tensor}.zero_point"]
        set_weight(result, constants[0], np.float32(params.scale))
        set_weight(result, constants[1], np.uint8(params.zero_point))
        nodes.append(helper.make_node("QuantizeLinear", [source, *constants], [f"{tensor}.q"], name=f"{tensor}.Q"))
        nodes.append(helper.make_node("DequantizeLinear", [f"{tensor}.q", *constants], [target], name=f"{tensor}.DQ"))

    for node in list(graph.node):
        if node.name not in unquantized:
            for i, name in enumerate(node.input):
                node.input[i] = renamed.get(name, name)
        if node.op_type == "Conv" and node.name not in unquantized:
            scale = calibration.activations[_original(node.input[0], renamed)].scale
            nodes.append(_quantize_conv(result, node, known, scale, options.weights))
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name not in tensors:
                continue
            if name in outputs:  # the output of the graph keeps its name
                node.output[i] = f"{name}.float"
                pair(name, node.output[i], name)
            else:
                renamed[name] = f"{name}.dq"
                pair(name, name, renamed[name])
    copies = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    del graph.value_info[:]
    return result


def quantize_biases(model: onnx.ModelProto) -> None:
    """Turns the float biases of a Q/DQ graph into int32 behind a DequantizeLinear, in place.

    The scale of a bias is input scale times weight scale: the scale of the accumulators in integer kernels.
    """
    known = weights(model)
    made_by = {node.output[0]: node for node in model.graph.node}
    nodes: list[onnx.NodeProto] = []
    for node in list(model.graph.node):
        if node.op_type == "Conv" and node.input[1] in made_by:
            name = node.input[2]
            scales = known[made_by[node.input[0]].input[1]] * known[made_by[node.input[1]].input[1]]
            constants = [f"{name}.int32", f"{name}.scale", f"{name}.zero_point"]
            limit = np.iinfo(np.int32)
            levels = np.clip(np.rint(known[name].astype(np.float64) / scales), limit.min, limit.max)
            set_weight(model, constants[0], levels.astype(np.int32))
            set_weight(model, constants[1], scales.astype(np.float32))
            set_weight(model, constants[2], np.zeros(len(scales), np.int32))
            nodes.append(helper.make_node("DequantizeLinear", constants, [f"{name}.dq"], name=f"{name}.DQ", axis=0))
            node.input[2] = f"{name}.dq"
        nodes.append(node)
    copies = [_copy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def float_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions in float: those whose input or weights don't come from a DequantizeLinear."""
    made_by = {node.output[0]: node.op_type for node in model.graph.node}
    return [
        node.name for node in convolutions(model) if any(made_by.get(name) != "DequantizeLinear" for name in node.input[:2])
    ]


def _snap_mean(model: onnx.ModelProto) -> None:
    """Moves the means of preprocessing by about 0.1 grey levels, so that they can be subtracted in 8 bits.

    Every engine then subtracts the same means, in float or in 8 bits. One level of the network's input is about ten
    times as wide as the change.
    """
    mean = weights(model).get(MEAN)
    if mean is not None and mean.min() >= 0:
        levels, width = mean_levels(mean)
        set_weight(model, MEAN, (levels * width).astype(np.float32))


def _quantize_conv(
    model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, Any], input_scale: float, kind: str
) -> onnx.NodeProto:
    weight, bias = known[node.input[1]], known[node.input[2]]
    scales = fit_bias(weight_scales(weight, kind), bias, input_scale)
    # Named after the node, not the tensor: two convolutions with the same weights may need different scales.
    constants = [f"{node.name}.weight.int8", f"{node.name}.weight.scale", f"{node.name}.weight.zero_point"]
    set_weight(model, constants[0], quantize_weight(weight, scales))
    set_weight(model, constants[1], scales)
    set_weight(model, constants[2], np.zeros(len(scales), np.int8))
    node.input[1] = f"{node.name}.weight.dq"
    return helper.make_node("DequantizeLinear", constants, [node.input[1]], name=f"{node.name}.weight.DQ", axis=0)


def _original(name: str, renamed: dict[str, str]) -> str:
    return next((old for old, new in renamed.items() if new == name), name)


def _supported(node: onnx.NodeProto) -> bool:
    # Linear and cubic resizing compute new values; nearest only moves values.
    return node.op_type != "Resize" or attribute(node, "mode", b"nearest") == b"nearest"


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.initializer[:]
    result.graph.initializer.extend(kept)
    return result


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
