"""Rewrites convolutions into shapes that ONNX Runtime's fast 8-bit kernel on x86 accepts.

The kernel (``MlasConvSym``) reads its input in place. It needs input channels in multiples of 4, and output channels in
multiples of 8, at least 16. Every other convolution takes the slower im2col path: copy to a matrix, then multiply. In a
network for 3 colours and 11 classes, the first and the last convolution take that path: 9 % of the time for 1.5 % of
the work. The rewrites pad both with zeros. Zeros don't change sums of integers, so the logits stay bit-identical.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .onnxgraph import Graph, Node, node

# Channel limits of MlasConvSym with AVX2, AVX-VNNI and AVX-512 (ONNX Runtime 1.31,
# onnxruntime/core/mlas/lib/convsym.cpp).
_INPUTS, _OUTPUTS, _FEWEST = 4, 8, 16
#: Whether the kernel has these limits on this machine.
HERE = platform.machine().lower() in ("x86_64", "amd64")


@dataclass
class _Conv:
    """A quantized convolution: ``DequantizeLinear ×3 → conv (→ activation) → QuantizeLinear``.

    Attributes:
        weight, bias: The DequantizeLinear nodes of the constants.
        last: The node that produces the result: the convolution itself or its activation.
        levels: The QuantizeLinear that reads the result; nothing else reads it.
        values: The quantized weights, int8 (O, I, kh, kw).
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
    """Rewrites a convolution on 3-channel images as a convolution on wide pixels of 12 channels.

    In NHWC, four neighbouring pixels of 3 bytes are one wide pixel of 12 bytes: a Reshape that moves no data. The
    kernel computes all output columns of a wide pixel at once, as channels. A second Reshape turns these channels into
    columns.
    """
    for convolution in _convolutions(graph):
        outputs, channels, _, width = convolution.values.shape
        made_by, read_by = graph.producers(), graph.readers()
        dequantize = made_by[convolution.conv.inputs[0]]
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
        result = (*graph.shapes.get(convolution.last.outputs[0], ()), None, None, None, None)[3]
        step = convolution.strides[1]
        together = next(n for n in range(step, _INPUTS * step + 1, step) if n * channels % _INPUTS == 0)
        made = together // step  # output columns of one wide pixel
        if not columns or columns % together or result != columns // together * made:
            continue
        top, left, bottom, _ = convolution.pads
        before = -(-left // together)  # padding in wide pixels: on the left, and below on the right
        behind = max(0, ((made - 1) * step + width - 1 - left) // together)
        wide = _widened(convolution.values, together, made, before * together - left, step, before + 1 + behind)
        name, levels = convolution.name, convolution.levels.outputs[0]
        # 0 keeps a dimension, because the batch size may be free.
        graph.set_constant(f"{name}.wide", np.array([0, 0, columns // together, together * channels], np.int64))
        graph.set_constant(f"{name}.narrow", np.array([0, 0, result, outputs], np.int64))
        _set_weights(graph, convolution, wide, made)
        _set_conv(graph, convolution, wide, (convolution.strides[0], 1), (top, before, bottom, behind))
        steps = [f"{name}.{each}" for each in ("image", "levels", "nhwc", "columns")]
        reshape = node("Reshape", [move.inputs[0], f"{name}.wide"], [steps[0]], steps[0])
        move.inputs[0] = steps[0]
        graph.replace([move], [reshape, move])
        back = [
            node("Transpose", [steps[1]], [steps[2]], steps[2], perm=[0, 2, 3, 1]),
            node("Reshape", [steps[2], f"{name}.narrow"], [steps[3]], steps[3]),
            node("Transpose", [steps[3]], [levels], f"{name}.nchw", perm=[0, 3, 1, 2]),
        ]
        convolution.levels.outputs[0] = steps[1]
        graph.replace([convolution.levels], [convolution.levels, *back])


def padded_outputs(graph: Graph) -> None:
    """Pads the output channels of convolutions with zeros to a number that the kernel accepts; a Slice removes them."""
    for convolution in _convolutions(graph):
        outputs, channels = convolution.values.shape[:2]
        wanted = max(_FEWEST, -(-outputs // _OUTPUTS) * _OUTPUTS)
        if channels % _INPUTS or outputs == wanted:
            continue
        _set_weights(graph, convolution, np.pad(convolution.values, ((0, wanted - outputs), (0, 0), (0, 0), (0, 0))), 1)
        name, levels = convolution.name, convolution.levels.outputs[0]
        parts = [f"{name}.{each}" for each in ("padded", "first", "end", "axis")]
        for part, value in zip(parts[1:], (0, outputs, 1), strict=True):
            graph.set_constant(part, np.array([value], np.int64))
        convolution.levels.outputs[0] = parts[0]
        graph.replace([convolution.levels], [convolution.levels, node("Slice", parts, [levels], f"{name}.cut")])


def _convolutions(graph: Graph) -> list[_Conv]:
    """The quantized convolutions of a graph: int8 weights, an int32 bias and one quantized result."""
    made_by, read_by = graph.producers(), graph.readers()
    convolutions = []
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
            convolutions.append(_Conv(conv, weight, bias, last, after[0], values, strides, pads))
    return convolutions


def _widened(
    values: npt.NDArray[np.int8], together: int, made: int, first: int, step: int, reach: int
) -> npt.NDArray[np.int8]:
    """(O, I, kh, kw) → (made·O, together·I, kh, reach): a copy per output column, each shifted by ``step`` columns."""
    outputs, channels, height, width = values.shape
    wide = np.zeros((made, outputs, channels, height, reach * together), np.int8)
    for i in range(made):
        wide[i, ..., first + i * step : first + i * step + width] = values
    # The columns of a wide pixel become channels, in memory order.
    wide = np.moveaxis(wide.reshape(made, outputs, channels, height, reach, together), -1, 2)
    return np.ascontiguousarray(wide.reshape(made * outputs, together * channels, height, reach))


def _set_weights(graph: Graph, convolution: _Conv, values: npt.NDArray[np.int8], copies: int) -> None:
    """Sets new weights; repeats scales, zero points and biases, and pads them to the new number of output channels."""
    before = len(convolution.values)
    for side, dequantize in (("weight", convolution.weight), ("bias", convolution.bias)):
        for i, old in enumerate(dequantize.inputs):
            constant = values if (side, i) == ("weight", 0) else graph.constant(old)
            if constant is None:
                continue
            if constant.shape == (before,):
                constant = np.tile(constant, copies)
                # Padded channels are cut off later, but their scale must not be 0: repeat the last one.
                constant = np.pad(constant, (0, len(values) - len(constant)), "edge" if i == 1 else "constant")
            # A new name, because other nodes may read the old constant.
            dequantize.inputs[i] = f"{convolution.name}.{side}.{i}"
            graph.set_constant(dequantize.inputs[i], constant)


def _set_conv(
    graph: Graph, convolution: _Conv, values: npt.NDArray[np.int8], strides: tuple[int, int], pads: tuple[int, int, int, int]
) -> None:
    old = convolution.conv
    kernel = [int(size) for size in values.shape[2:]]
    graph.replace(
        [old],
        [node("Conv", old.inputs, old.outputs, old.name, kernel_shape=kernel, strides=list(strides), pads=list(pads))],
    )
    for each in (old, convolution.last):
        graph.shapes.pop(each.outputs[0], None)
