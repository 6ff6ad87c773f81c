"""Rewrites for operators whose meaning depends on the opset, where an engine takes another opset's meaning, or knows none.

Each gives what ONNX says for the opset of the file. They belong to the table of :mod:`.repairs`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .onnxgraph import Graph, Node, node

#: Opsets whose Softmax OpenVINO takes for that of opset 13.
UNFLATTENED = (11, 12)
#: The opset whose QuantizeLinear ONNX Runtime doesn't know, and the one before it.
NEWEST, KNOWN = 28, 27
#: Operators that mean more in opset 28 than before; all others only take more types.
EXTENDED = ("BitShift", "Mod", "SpaceToDepth", "SwiGLU")


def flattened_softmax(graph: Graph) -> bool:
    """Normalizes over all axes from ``axis`` on, as Softmax before opset 13 is defined, by two Reshapes around it.

    Returns:
        Whether a node was rewritten. A Softmax over the last axis stays.
    """
    if graph.opset not in UNFLATTENED:
        return False
    changed = False
    for softmax in [each for each in graph.nodes if each.op == "Softmax"]:
        axis, rank = softmax.attribute("axis"), len(graph.shapes.get(softmax.inputs[0], ()))
        axis = axis if isinstance(axis, int) else 1
        if axis == -1 or (rank and axis % rank == rank - 1):
            continue
        name, source, target = softmax.name or softmax.outputs[0], softmax.inputs[0], softmax.outputs[0]
        size, kept, flat, rows, each = (f"{name}.{part}" for part in ("size", "kept", "flat", "rows", "each"))
        for part, value in (("begin", 0), ("end", axis), ("rest", -1)):
            graph.set_constant(f"{name}.{part}", np.array([value], np.int64))
        steps = [
            node("Shape", [source], [size], size),
            node("Slice", [size, f"{name}.begin", f"{name}.end"], [kept], kept),
            node("Concat", [kept, f"{name}.rest"], [flat], flat, axis=0),
            node("Reshape", [source, flat], [rows], rows),
            node("Softmax", [rows], [each], each, axis=-1),
            node("Reshape", [each, size], [target], name),
        ]
        graph.replace([softmax], steps)
        changed = True
    return changed


def gathered_upsampling(graph: Graph) -> bool:
    """Replaces nearest Upsample by fractional scales by the pixels that it picks; OpenVINO picks others.

    Returns:
        Whether a node was rewritten. Nodes along whose axes a size isn't known stay.
    """
    changed = False
    for upsample in [each for each in graph.nodes if each.op == "Upsample" and len(each.inputs) == 2]:
        scales, size = graph.constant(upsample.inputs[1]), graph.shapes.get(upsample.inputs[0], ())
        if scales is None or upsample.attribute("mode") not in (None, b"nearest") or not gathers(scales, size):
            continue
        name, before = upsample.name or upsample.outputs[0], upsample.inputs[0]
        steps: list[Node] = []
        for axis, (length, scale) in enumerate(zip(size, scales, strict=True)):
            if scale == 1:
                continue
            chosen, after = f"{name}.pixels{axis}", f"{name}.axis{axis}"
            graph.set_constant(chosen, nearest_pixels(int(length or 0), scale))
            steps.append(node("Gather", [before, chosen], [after], f"{name}.{axis}", axis=axis))
            before = after
        steps[-1].outputs[:] = upsample.outputs
        graph.replace([upsample], steps)
        changed = True
    return changed


def gathers(scales: npt.NDArray[np.float32], size: tuple[int | None, ...]) -> bool:
    """Whether nearest upsampling of a tensor of this size is rewritten: a fractional scale, and sizes that are known.

    Where no axis gets more pixels, both engines copy the tensor.
    """
    if len(size) != scales.size or not (scales != np.rint(scales)).any():
        return False
    pairs = [(length, scale) for length, scale in zip(size, scales, strict=True) if scale != 1]
    return all(length for length, _ in pairs) and any(_count(int(length or 0), scale) != length for length, scale in pairs)


def nearest_pixels(length: int, scale: np.float32) -> npt.NDArray[np.int64]:
    """The input pixel for each output pixel, int64 (floor(length · scale),); in float32, as ONNX Runtime has it."""
    picked = np.floor(np.arange(_count(length, scale), dtype=np.float32) / np.float32(scale))
    return np.asarray(picked.clip(0, length - 1), np.int64)


def _count(length: int, scale: np.float32) -> int:
    return int(np.floor(np.float32(length) * np.float32(scale)))


def lowered_opset(graph: Graph) -> bool:
    """Reads a quantized file of opset 28 as one of opset 27, in which its operators mean the same.

    Returns:
        Whether the opset was changed. Files with an operator of :data:`EXTENDED` stay.
    """
    operators = {each.op for each in graph.nodes}
    if graph.opset != NEWEST or operators.intersection(EXTENDED):
        return False
    if not operators.intersection(("QuantizeLinear", "DequantizeLinear")):
        return False
    graph.opset = KNOWN
    return True
