"""Convolutions in the shapes for which ONNX Runtime has its fast 8-bit kernel on x86.

That kernel (``MlasConvSym``) reads the input where it lies. It wants input channels in fours and at least 16 output channels
in eights; every other convolution is copied out to a matrix first and multiplied there. In a network for three colours and
eleven classes that hits the first and the last one: 9 % of the time for 1.5 % of the work. Both are given what they lack.
Only zeros are added, to sums of integers: the logits stay bit for bit the same.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .onnxgraph import Graph, Node, node

# What MlasConvSym asks for with AVX2, AVX-VNNI and AVX-512 (onnxruntime/core/mlas/lib/convsym.cpp, 1.31).
_INPUTS, _OUTPUTS, _FEWEST = 4, 8, 16
#: Whether this machine has that kernel in that form.
HERE = platform.machine().lower() in ("x86_64", "amd64")


@dataclass
class _Conv:
    """A convolution on levels: ``DequantizeLinear ×3 → conv (→ activation: last) → levels``.

    Attributes:
        weight, bias: The DequantizeLinear of its constants.
        last: What gives its result, itself or an activation.
        levels: The QuantizeLinear of that result, its only reader.
        values: int8 (O, I, kh, kw).
        pads: Top, left, bottom, right.
    """

    conv: Node
    weight: Node
    bias: Node
    last: Node
    levels: Node
    values: npt.NDArray[np.int8]
    strides: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.conv.name or self.conv.outputs[0]


def columns_as_channels(graph: Graph) -> None:
    """A convolution on images of three channels as one on four columns at a time, twelve channels deep.

    In NHWC four neighbouring pixels of three bytes are one pixel of twelve: a Reshape that moves nothing. The kernel
    computes every output column that belongs to such a pixel at once, as channels, and its result is reshaped back.
    """
    for found in _convolutions(graph):
        outputs, channels, _, width = found.values.shape
        made_by, read_by = graph.producers(), graph.readers()
        dequantize = made_by[found.conv.inputs[0]]
        quantize = made_by.get(dequantize.inputs[0])
        move = made_by.get(quantize.inputs[0]) if quantize else None
        if (
            channels >= _INPUTS
            or quantize is None
            or quantize.op != "QuantizeLinear"
            or move is None
            or move.op != "Transpose"
            or move.attribute("perm") != (0, 3, 1, 2)
            or any(len(read_by[each.outputs[0]]) != 1 for each in (move, quantize, dequantize))
        ):
            continue
        columns = (*graph.shapes.get(move.inputs[0], ()), None, None, None)[2]
        result = (*graph.shapes.get(found.last.outputs[0], ()), None, None, None, None)[3]
        step = found.strides[1]
        together = next(n for n in range(step, _INPUTS * step + 1, step) if n * channels % _INPUTS == 0)
        made = together // step  # output columns of one wide pixel
        if not columns or columns % together or result != columns // together * made:
            continue
        top, left, bottom, _ = found.pads
        before = -(-left // together)  # wide pixels that the kernel reaches to the left, and to the right
        behind = max(0, ((made - 1) * step + width - 1 - left) // together)
        wide = _widened(found.values, together, made, before * together - left, step, before + 1 + behind)
        name, levels = found.name, found.levels.outputs[0]
        # 0 keeps a dimension: the batch may be free.
        graph.set_constant(f"{name}.wide", np.array([0, 0, columns // together, together * channels], np.int64))
        graph.set_constant(f"{name}.narrow", np.array([0, 0, result, outputs], np.int64))
        _set_weights(graph, found, wide, made)
        _set_conv(graph, found, wide, (found.strides[0], 1), (top, before, bottom, behind))
        steps = [f"{name}.{each}" for each in ("image", "levels", "nhwc", "columns")]
        reshape = node("Reshape", [move.inputs[0], f"{name}.wide"], [steps[0]], steps[0])
        move.inputs[0] = steps[0]
        graph.replace([move], [reshape, move])
        back = [
            node("Transpose", [steps[1]], [steps[2]], steps[2], perm=[0, 2, 3, 1]),
            node("Reshape", [steps[2], f"{name}.narrow"], [steps[3]], steps[3]),
            node("Transpose", [steps[3]], [levels], f"{name}.nchw", perm=[0, 3, 1, 2]),
        ]
        found.levels.outputs[0] = steps[1]
        graph.replace([found.levels], [found.levels, *back])


def padded_outputs(graph: Graph) -> None:
    """Convolutions with zeros as further output channels, up to a number that has a kernel; they are cut off behind it."""
    for found in _convolutions(graph):
        outputs, channels = found.values.shape[:2]
        wanted = max(_FEWEST, -(-outputs // _OUTPUTS) * _OUTPUTS)
        if channels % _INPUTS or outputs == wanted:
            continue
        _set_weights(graph, found, np.pad(found.values, ((0, wanted - outputs), (0, 0), (0, 0), (0, 0))), 1)
        name, levels = found.name, found.levels.outputs[0]
        parts = [f"{name}.{each}" for each in ("padded", "first", "end", "axis")]
        for part, value in zip(parts[1:], (0, outputs, 1), strict=True):
            graph.set_constant(part, np.array([value], np.int64))
        found.levels.outputs[0] = parts[0]
        graph.replace([found.levels], [found.levels, node("Slice", parts, [levels], f"{name}.cut")])


def _convolutions(graph: Graph) -> list[_Conv]:
    """Convolutions on levels, with int8 weights, an int32 bias and one quantized result."""
    made_by, read_by = graph.producers(), graph.readers()
    found = []
    for conv in [each for each in graph.nodes if each.op == "Conv" and len(each.inputs) == 3]:
        source, weight, bias = (made_by.get(name) for name in conv.inputs)
        if not source or not weight or not bias or {each.op for each in (source, weight, bias)} != {"DequantizeLinear"}:
            continue
        values, last = graph.constant(weight.inputs[0]), conv
        after = read_by.get(conv.outputs[0], [])
        if len(after) == 1 and after[0].op in ("Relu", "Clip"):
            last = after[0]
            after = read_by.get(last.outputs[0], [])
        strides, pads = conv.attribute("strides") or (1, 1), conv.attribute("pads") or (0, 0, 0, 0)
        if (
            values is not None
            and values.dtype == np.int8
            and values.ndim == 4
            and [each.op for each in after] == ["QuantizeLinear"]
            and not {conv.outputs[0], last.outputs[0]} & set(graph.outputs)
            and conv.attribute("group") in (None, 1)
            and conv.attribute("dilations") in (None, (1, 1))
            and conv.attribute("auto_pad") in (None, b"NOTSET")
            and isinstance(strides, tuple)
            and isinstance(pads, tuple)
            and all(len(read_by[each.outputs[0]]) == 1 for each in (weight, bias))
        ):
            found.append(_Conv(conv, weight, bias, last, after[0], values, strides, pads))
    return found


def _widened(
    values: npt.NDArray[np.int8], together: int, made: int, first: int, step: int, reach: int
) -> npt.NDArray[np.int8]:
    """(O, I, kh, kw) → (made·O, together·I, kh, reach): a copy for each output column, ``step`` columns farther each."""
    outputs, channels, height, width = values.shape
    wide = np.zeros((made, outputs, channels, height, reach * together), np.int8)
    for i in range(made):
        wide[i, ..., first + i * step : first + i * step + width] = values
    # The columns of a wide pixel become channels, in the order in which their bytes lie.
    wide = np.moveaxis(wide.reshape(made, outputs, channels, height, reach, together), -1, 2)
    return np.ascontiguousarray(wide.reshape(made * outputs, together * channels, height, reach))


def _set_weights(graph: Graph, found: _Conv, values: npt.NDArray[np.int8], copies: int) -> None:
    """New weights; scales, zero points and biases are repeated, and filled up to as many output channels."""
    before = len(found.values)
    for side, dequantize in (("weight", found.weight), ("bias", found.bias)):
        for i, old in enumerate(dequantize.inputs):
            constant = values if (side, i) == ("weight", 0) else graph.constant(old)
            if constant is None:
                continue
            if constant.shape == (before,):
                constant = np.tile(constant, copies)
                # What is cut off has no scale of its own, but 0 would be none.
                constant = np.pad(constant, (0, len(values) - len(constant)), "edge" if i == 1 else "constant")
            # Under a name of its own: constants may have other readers.
            dequantize.inputs[i] = f"{found.name}.{side}.{i}"
            graph.set_constant(dequantize.inputs[i], constant)


def _set_conv(
    graph: Graph, found: _Conv, values: npt.NDArray[np.int8], strides: tuple[int, int], pads: tuple[int, int, int, int]
) -> None:
    old = found.conv
    kernel = [int(size) for size in values.shape[2:]]
    graph.replace(
        [old],
        [node("Conv", old.inputs, old.outputs, old.name, kernel_shape=kernel, strides=list(strides), pads=list(pads))],
    )
    for each in (old, found.last):
        graph.shapes.pop(each.outputs[0], None)
