"""Rewrites for graphs on which an engine computes something else: exact ones, made in memory when the engine opens a file.

The table of such graphs is :mod:`seg_edge.runtime.machine.disagreements`; rows with ``rewritten`` are made here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .onnxgraph import Graph, Node, node
from .opsets import flattened_softmax, gathered_upsampling, lowered_opset

#: The largest deviation of a bias's scale that counts as rounding.
_SAME = 1e-6
_INT32 = np.iinfo(np.int32)
#: Coordinates of a Resize that :func:`antialiased` rewrites.
PLAIN_COORDINATES = (b"half_pixel", b"pytorch_half_pixel")


def explicit_pools(graph: Graph) -> bool:
    """Rewrites MaxPool with ``ceil_mode=1`` into the padding that gives the same windows without it.

    ONNX drops a last window that begins in the padding at the end; OpenVINO keeps it. Padding never wins a maximum, so the
    padding at the end may be whatever makes the last window fit.

    Returns:
        Whether a node was rewritten. Nodes whose input has no known size stay.
    """
    changed = False
    for pool in [each for each in graph.nodes if each.op == "MaxPool" and each.attribute("ceil_mode") == 1]:
        size, kernel = graph.shapes.get(pool.inputs[0], ())[2:], pool.attribute("kernel_shape")
        if not isinstance(kernel, tuple) or len(size) != len(kernel) or not all(size) or len(pool.outputs) > 1:
            continue
        strides, dilations, pads = (pool.attribute(name) for name in ("strides", "dilations", "pads"))
        if pool.attribute("auto_pad") not in (None, b"NOTSET"):
            continue
        rank = len(kernel)
        strides = strides if isinstance(strides, tuple) else (1,) * rank
        dilations = dilations if isinstance(dilations, tuple) else (1,) * rank
        pads = pads if isinstance(pads, tuple) else (0,) * 2 * rank
        ends = []
        for axis in range(rank):
            length, begin, stride = int(size[axis] or 0), pads[axis], strides[axis]
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            count = pooled(length, reach, stride, begin, pads[rank + axis])
            ends.append(max(0, (count - 1) * stride + reach - length - begin))
        pool.set_attributes(ceil_mode=0, pads=[*pads[:rank], *ends])
        changed = True
    return changed


def pooled(length: int, reach: int, stride: int, begin: int, end: int) -> int:
    """The number of windows along one axis with ``ceil_mode=1``, as ONNX and PyTorch count them.

    Args:
        length: Pixels.
        reach: Pixels of a window, dilation included.
        stride: Pixels between windows.
        begin, end: Padding.
    """
    count = -(-(length + begin + end - reach) // stride) + 1
    return count - 1 if (count - 1) * stride >= length + begin else count


def antialiased(graph: Graph) -> bool:
    """Replaces linear Resize with ``antialias=1`` by the products with its weights; OpenVINO ignores the attribute.

    Returns:
        Whether a node was rewritten. Nodes of other modes and coordinates, or whose sizes aren't known, stay.
    """
    changed = False
    for resize in [each for each in graph.nodes if each.op == "Resize" and each.attribute("antialias") == 1]:
        size = graph.shapes.get(resize.inputs[0], ())[2:]
        factors = _factors(graph, resize, size)
        if factors is None or not _is_plain(resize):
            continue
        if all(scale >= 1 for _, scale in factors):
            continue  # the attribute means nothing
        name, before, steps = resize.name or resize.outputs[0], resize.inputs[0], []
        excluded = resize.attribute("exclude_outside") == 1
        to_first = resize.attribute("coordinate_transformation_mode") == b"pytorch_half_pixel"
        for axis, (length, (count, scale)) in enumerate(zip(size, factors, strict=True)):
            if count == length and scale == 1:
                continue
            weights = resize_weights(int(length or 0), count, scale, excluded, to_first and count == 1)
            matrix, after = f"{name}.weights{axis}", f"{name}.resized{axis}"
            graph.set_constant(matrix, np.ascontiguousarray(weights if axis == 0 else weights.T))
            steps.append(node("MatMul", [matrix, before] if axis == 0 else [before, matrix], [after], f"{name}.{axis}"))
            before = after
        steps[-1].outputs[:] = resize.outputs
        graph.replace([resize], steps)
        changed = True
    return changed


def _is_plain(resize: Node) -> bool:
    coordinates, mode = (resize.attribute(name) for name in ("coordinate_transformation_mode", "mode"))
    policy = resize.attribute("keep_aspect_ratio_policy")
    return mode == b"linear" and coordinates in (None, *PLAIN_COORDINATES) and policy in (None, b"stretch")


def _factors(graph: Graph, resize: Node, size: tuple[int | None, ...]) -> list[tuple[int, float]] | None:
    """Number of pixels and scale along height and width; None where they aren't known."""
    if len(size) != 2 or not all(size) or resize.attribute("axes") is not None:
        return None
    scales, sizes = (
        graph.constant(resize.inputs[at]) if at < len(resize.inputs) and resize.inputs[at] else None for at in (2, 3)
    )
    if scales is not None and scales.size == 4 and (scales[:2] == 1).all():
        return [(int(np.floor(int(n or 0) * float(s))), float(s)) for n, s in zip(size, scales[2:], strict=True)]
    if sizes is not None and sizes.size == 4:
        return [(int(count), int(count) / int(n or 0)) for n, count in zip(size, sizes[2:], strict=True)]
    return None


def resize_weights(length: int, count: int, scale: float, exclude_outside: bool, at_first: bool) -> npt.NDArray[np.float32]:
    """What each output pixel takes of each input pixel, by ONNX's definition of a linear Resize with ``antialias=1``.

    Args:
        length, count: Input and output pixels.
        scale: Output by input, of half pixels.
        exclude_outside: Weights beyond the border are left out, instead of given to the pixel at the border.
        at_first: The centre is that of the first input pixel, as PyTorch has it for a single output pixel.

    Returns:
        float32 (count, length); each row's sum is 1.
    """
    shrink = min(scale, 1.0)
    weights = np.zeros((count, length))
    for at in range(count):
        centre = 0.0 if at_first else (at + 0.5) / scale - 0.5
        inputs = np.arange(np.floor(centre - 1 / shrink), np.ceil(centre + 1 / shrink) + 1)
        each = np.clip(1 - np.abs(inputs - centre) * shrink, 0, None)
        if exclude_outside:
            each = np.where((inputs < 0) | (inputs >= length), 0, each)
        np.add.at(weights[at], inputs.clip(0, length - 1).astype(int), each)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def clipped_pairs(graph: Graph) -> bool:
    """Replaces pairs that quantize to 16 bits by the clamp that they hold; 16 bits of rounding are left out.

    OpenVINO drops such pairs, and a ReLU that was absorbed into the clamp with them.

    Returns:
        Whether a pair was rewritten.
    """
    made_by, changed = graph.producers(), False
    for dequantize in [each for each in graph.nodes if each.op == "DequantizeLinear"]:
        quantize = made_by.get(dequantize.inputs[0])
        if (
            quantize is None
            or quantize.op != "QuantizeLinear"
            or len(quantize.inputs) < 3
            or dequantize.inputs[1:] != quantize.inputs[1:]
        ):
            continue
        scale, zero_point = graph.constant(quantize.inputs[1]), graph.constant(quantize.inputs[2])
        if scale is None or zero_point is None or zero_point.dtype.itemsize != 2 or scale.size != 1:
            continue
        limits, name = np.iinfo(zero_point.dtype), dequantize.name or dequantize.outputs[0]
        least, most = (
            np.float32((float(level) - float(zero_point.item())) * float(scale.item())) for level in (limits.min, limits.max)
        )
        graph.set_constant(f"{name}.least", np.array(least, np.float32))
        graph.set_constant(f"{name}.most", np.array(most, np.float32))
        clip = node("Clip", [quantize.inputs[0], f"{name}.least", f"{name}.most"], list(dequantize.outputs), f"{name}.clip")
        graph.replace([dequantize], [clip])
        changed = True
    return changed


def exact_bias_scales(graph: Graph) -> bool:
    """Writes quantized biases in the product of the scales of input and weights, which ONNX Runtime takes for granted.

    Returns:
        Whether a bias was rewritten.
    """
    made_by, changed = graph.producers(), False
    for conv in [each for each in graph.nodes if each.op in ("Conv", "ConvTranspose", "Gemm") and len(each.inputs) == 3]:
        sides = [made_by.get(name) for name in conv.inputs]
        if any(side is None or side.op != "DequantizeLinear" for side in sides):
            continue
        data, weight, bias = (side for side in sides if side is not None)
        scales = [graph.constant(side.inputs[1]) for side in (data, weight, bias)]
        levels = graph.constant(bias.inputs[0])
        if levels is None or levels.dtype != np.int32 or any(scale is None for scale in scales):
            continue
        x, w, b = (np.asarray(scale, np.float64) for scale in scales)
        if x.size != 1 or w.size not in (1, levels.size) or b.size not in (1, levels.size):
            continue
        exact = x.reshape(()) * (w.reshape(-1) if w.size > 1 else w.reshape(()))
        if np.allclose(
            np.broadcast_to(b.reshape(-1) if b.size > 1 else b.reshape(()), levels.shape), exact, rtol=_SAME, atol=0
        ):
            continue
        _replace_bias(
            graph, bias, levels * (b.reshape(-1) if b.size > 1 else b.reshape(())), np.broadcast_to(exact, levels.shape)
        )
        changed = True
    return changed


def _replace_bias(graph: Graph, bias: Node, values: npt.NDArray[Any], scale: npt.NDArray[Any]) -> None:
    """New levels and scales, under new names: other biases may share the old ones."""
    name, stored = bias.outputs[0], scale.astype(np.float32)
    graph.set_constant(f"{name}.levels", np.rint(values / stored).clip(_INT32.min, _INT32.max).astype(np.int32))
    graph.set_constant(f"{name}.scale", stored)
    graph.set_constant(f"{name}.zero_point", np.zeros(stored.shape, np.int32))
    graph.replace(
        [bias],
        [node("DequantizeLinear", [f"{name}.levels", f"{name}.scale", f"{name}.zero_point"], [name], bias.name, axis=0)],
    )


def scalar_scales(graph: Graph) -> bool:
    """Writes scales and zero points of activations that have shape [1] as scalars; TensorRT-RTX plans [1] in float.

    Returns:
        Whether a constant was rewritten.
    """
    changed = False
    for each in graph.nodes:
        if each.op not in ("QuantizeLinear", "DequantizeLinear") or graph.constant(each.inputs[0]) is not None:
            continue
        for at, name in enumerate(each.inputs[1:3], 1):
            value = graph.constant(name)
            if value is not None and value.shape == (1,):
                graph.set_constant(f"{name}.scalar", value.reshape(()))
                each.inputs[at] = f"{name}.scalar"
                changed = True
    return changed


def stated_zero_points(graph: Graph) -> bool:
    """Gives each QuantizeLinear without a zero point, and what reads its levels, ONNX's default: uint8 with zero point 0.

    Returns:
        Whether a node was completed.
    """
    changed, read_by = False, graph.readers()
    for quantize in [
        each for each in graph.nodes if each.op == "QuantizeLinear" and len([n for n in each.inputs if n]) == 2
    ]:
        scale = graph.constant(quantize.inputs[1])
        if scale is None or quantize.attribute("output_dtype") not in (None, 0):
            continue
        name = f"{quantize.outputs[0]}.zero_point"
        graph.set_constant(name, np.zeros(scale.shape, np.uint8))
        quantize.inputs[2:] = [name]
        for reader in read_by.get(quantize.outputs[0], []):
            if reader.op == "DequantizeLinear" and len([n for n in reader.inputs if n]) == 2:
                reader.inputs[2:] = [name]
        changed = True
    return changed


_ONNXRUNTIME: dict[bytes, Callable[[Graph], bool]] = {
    b"DequantizeLinear": exact_bias_scales,
    b"uantizeLinear": lowered_opset,  # of both operators
}
#: Engine → repairs of graphs of any precision, for files that hold one of the operators or attributes.
REPAIRS: dict[str, dict[bytes, Callable[[Graph], bool]]] = {
    "openvino": {
        b"MaxPool": explicit_pools,
        b"QuantizeLinear": clipped_pairs,
        b"Softmax": flattened_softmax,
        b"Upsample": gathered_upsampling,
        b"antialias": antialiased,
    },
    "onnxruntime": _ONNXRUNTIME,
    "onnxruntime-cuda": _ONNXRUNTIME,
}


def repaired(model: bytes, engine: str) -> bytes | None:
    """A model with an engine's repairs; None if it needs none.

    Raises:
        WireError: not an ONNX model.
    """
    rules = [rule for operator, rule in REPAIRS.get(engine, {}).items() if operator in model]
    if not rules:
        return None
    graph = Graph.from_bytes(model)
    if not any([rule(graph) for rule in rules]):
        return None
    graph.drop_unused()
    return graph.to_bytes()
