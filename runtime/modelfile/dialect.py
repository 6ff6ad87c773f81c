"""Dialects of Q/DQ: one ``model.int8.onnx`` for every engine, rewritten in memory where an engine needs another form.

The file stores every scale once: uint8 activations with zero point 0 or 128, symmetric int8 weights, int32 biases. The
scales define the result. The form of the graph decides whether an engine finds its 8-bit kernels.

Besides, files of any precision get the repairs of :mod:`.repairs` where an engine would compute something else.

The rewrites run when an engine opens the file, not at export. Thus there is no second file that could get out of step,
and an artefact exported today works with an engine that is added later. The rewrites don't need the onnx package.

=============  =========================================================================================================
onnxruntime    Nearest upsampling becomes copies (the generic Resize takes 5 to 7 % of the time of an INT8 network). The
               mean is subtracted in 8 bits. On x86, the first and the last convolution are padded to shapes that have a
               fast kernel (:mod:`.aligned`).
openvino       Unchanged, but for the repairs below.
tensorrt       Biases become float, because TensorRT's parser rejects a DequantizeLinear of int32. Activations become
               int8 with zero point 0, the only one that TensorRT supports; all-positive activations keep 7 of 8 bits.
               Scales of shape [1] become scalars, and missing zero points are stated.
=============  =========================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from . import aligned
from .onnxgraph import Graph, Node, node
from .repairs import REPAIRS, repaired, scalar_scales, stated_zero_points
from .wire import WireError

Rule = Callable[[Graph], object]

# The largest uint8 level and the largest symmetric int8 level.
_UINT8, _INT8 = 255, 127
# Tolerance for means that lie on levels, as a share of a level: far above float32 rounding.
_EXACT = 1e-3


def load_model(path: Path, spec: ModelSpec, engine: str) -> str | bytes:
    """The input for an engine: the path of the file, or the bytes of the model in the engine's dialect.

    Args:
        path: An exported ONNX file.
        spec: The spec of the file; only INT8 models have dialects.
        engine: A name of :data:`DIALECTS`; other engines read the file unchanged.

    Raises:
        ModelFileError: the file is damaged or can't be read.
    """
    try:
        if spec.precision == "int8" and DIALECTS.get(engine):
            return translate(path.read_bytes(), engine)
        return (repaired(path.read_bytes(), engine) if engine in REPAIRS else None) or str(path)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except (WireError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{path}: not an ONNX file, or damaged ({error}); copy or export it again") from error


def translate(model: bytes, engine: str) -> bytes:
    """Rewrites an INT8 model into the dialect of an engine. Parts that no rewrite recognizes stay unchanged.

    Args:
        model: A serialized ONNX model, as :func:`seg_edge.export.graph.quantize.quantize` makes it.
        engine: A name of :data:`DIALECTS`.

    Raises:
        WireError: not an ONNX model.
        KeyError: no such dialect.
    """
    rules = DIALECTS[engine]
    if not rules:
        return repaired(model, engine) or model
    graph = Graph.from_bytes(model)
    for rule in (*REPAIRS.get(engine, {}).values(), *rules):
        rule(graph)
    graph.drop_unused()
    return graph.to_bytes()


def copying_resize(graph: Graph) -> None:
    """Replaces nearest upsampling by whole factors with Concat and Reshape on levels; the result is bit-identical.

    8-bit networks run in NHWC. There, doubling the width concatenates each pixel with itself, and doubling the height
    concatenates each row with itself: two passes of plain copies.
    """
    made_by, read_by = graph.producers(), graph.readers()
    for resize in [each for each in graph.nodes if each.op == "Resize"]:
        source, target = resize.inputs[0], resize.outputs[0]
        before, after = graph.shapes.get(source, ()), graph.shapes.get(target, ())
        pairs = read_by.get(target, [])
        dequantize = made_by.get(source)
        if (
            resize.attribute("mode") not in (None, b"nearest")
            or resize.attribute("coordinate_transformation_mode") != b"asymmetric"
            or resize.attribute("nearest_mode") != b"floor"
            or dequantize is None
            or dequantize.op != "DequantizeLinear"
            or [each.op for each in pairs] != ["QuantizeLinear"]
            or target in graph.outputs
            or not _same_levels(graph, dequantize, pairs[0])
        ):
            continue
        factors = _factors((*before, *after))
        if factors is None:
            continue
        height, width = factors
        _, channels, _, columns = (n or 0 for n in after)
        name, levels = resize.name or target, pairs[0].outputs[0]
        # 0 keeps a dimension, because the batch size may be free.
        graph.set_constant(f"{name}.rows", np.array([0, 0, 1, columns * channels], np.int64))
        graph.set_constant(f"{name}.pixels", np.array([0, -1, columns, channels], np.int64))
        steps = [f"{name}.{step}" for step in ("nhwc", "wide", "row", "high", "image")]
        new = [
            node("Transpose", [dequantize.inputs[0]], [steps[0]], steps[0], perm=[0, 2, 3, 1]),
            node("Concat", [steps[0]] * width, [steps[1]], steps[1], axis=3),
            node("Reshape", [steps[1], f"{name}.rows"], [steps[2]], steps[2]),
            node("Concat", [steps[2]] * height, [steps[3]], steps[3], axis=2),
            node("Reshape", [steps[3], f"{name}.pixels"], [steps[4]], steps[4]),
            node("Transpose", [steps[4]], [levels], f"{name}.nchw", perm=[0, 3, 1, 2]),
        ]
        graph.replace([resize, pairs[0]], new)


def integer_mean(graph: Graph) -> None:
    """Rewrites ``Q(float(frames) - mean)`` as an addition of levels: one pass over bytes in ONNX Runtime.

    The exporter rounds the means to levels (:func:`mean_levels`). A file with other means stays unchanged.
    """
    made_by, read_by = graph.producers(), graph.readers()
    for subtract in [each for each in graph.nodes if each.op == "Sub"]:
        cast, mean = made_by.get(subtract.inputs[0]), graph.constant(subtract.inputs[1])
        move = _only(read_by.get(subtract.outputs[0], []), "Transpose")
        quantize = _only(read_by.get(move.outputs[0], []), "QuantizeLinear") if move else None
        if cast is None or cast.op != "Cast" or mean is None or move is None or quantize is None or mean.min() < 0:
            continue
        zero_point = graph.constant(quantize.inputs[2]) if len(quantize.inputs) > 2 else None
        scale = graph.constant(quantize.inputs[1])
        if scale is None or zero_point is None or zero_point.dtype != np.uint8 or scale.size != 1:
            continue
        levels, width = mean_levels(mean)
        if np.abs(levels * width - mean).max() > _EXACT * width:
            continue
        name = subtract.name or subtract.outputs[0]
        constants: dict[str, npt.NDArray[Any]] = {
            f"{name}.frames.scale": np.array(1, np.float32), f"{name}.frames.zero_point": np.array(0, np.uint8),
            f"{name}.levels": (_UINT8 - levels).astype(np.uint8), f"{name}.levels.scale": np.array(width, np.float32),
            f"{name}.levels.zero_point": np.array(_UINT8, np.uint8),
            f"{name}.scale": scale.reshape(()), f"{name}.zero_point": zero_point.reshape(()),
        }  # fmt: skip
        for key, value in constants.items():
            graph.set_constant(key, value)
        sides = [list(constants)[i:j] for i, j in ((0, 2), (2, 5), (5, 7))]
        steps = [f"{name}.{step}" for step in ("frames", "mean", "sum", "quantized")]
        new = [
            node("DequantizeLinear", [cast.inputs[0], *sides[0]], [steps[0]], steps[0]),
            node("DequantizeLinear", sides[1], [steps[1]], steps[1]),
            node("Add", steps[:2], [steps[2]], steps[2]),
            node("QuantizeLinear", [steps[2], *sides[2]], [steps[3]], steps[3]),
            node("DequantizeLinear", [steps[3], *sides[2]], [subtract.outputs[0]], f"{name}.dequantized"),
        ]
        graph.replace([subtract], new)


def float_bias(graph: Graph) -> None:
    """Replaces int32 biases and their DequantizeLinear with float32 constants."""
    for dequantize in [each for each in graph.nodes if each.op == "DequantizeLinear"]:
        levels, scale = graph.constant(dequantize.inputs[0]), graph.constant(dequantize.inputs[1])
        if levels is None or levels.dtype != np.int32 or scale is None:
            continue
        graph.set_constant(dequantize.outputs[0], (levels.astype(np.float64) * scale).astype(scale.dtype))
        graph.nodes = [each for each in graph.nodes if each is not dequantize]


def signed_activations(graph: Graph) -> None:
    """Converts uint8 activations to int8 with zero point 0.

    Zero point 128 converts exactly: the scale stays, and every level is lowered by 128. Zero point 0 loses one bit: 255
    positive levels must fit into 127, so the scale grows by 255/127.
    """
    renamed: dict[tuple[str, str], tuple[str, str]] = {}
    for each in graph.nodes:
        if each.op not in ("QuantizeLinear", "DequantizeLinear") or len(each.inputs) < 3:
            continue
        names = (each.inputs[1], each.inputs[2])
        if names not in renamed:
            scale, zero_point = (graph.constant(name) for name in names)
            if scale is None or zero_point is None:
                raise WireError(f"scale or zero point of {each.name} is computed in the graph")
            if zero_point.dtype != np.uint8 or (zero_point.size != 1 and graph.constant(each.inputs[0]) is not None):
                continue
            levels = np.unique(zero_point)  # by channel: more than one zero point
            if levels.size != 1 or levels[0] not in (0, 128):
                raise WireError(f"zero point {', '.join(map(str, levels))} of {each.name}; expected 0 or 128")
            factor = 1.0 if levels[0] == 128 else _UINT8 / _INT8
            # New constants, because tensors may share a scale and other nodes may read it.
            renamed[names] = (f"{names[0]}.signed", f"{names[1]}.signed")
            graph.set_constant(renamed[names][0], (scale.astype(np.float64) * factor).astype(scale.dtype))
            graph.set_constant(renamed[names][1], np.zeros(zero_point.shape, np.int8))
        each.inputs[1:3] = renamed[names]


#: Engine → its rewrites, in order.
DIALECTS: dict[str, tuple[Rule, ...]] = {
    "onnxruntime": (
        copying_resize,
        integer_mean,
        *((aligned.columns_as_channels, aligned.padded_outputs) if aligned.HERE else ()),
    ),
    "openvino": (),
    "tensorrt": (float_bias, scalar_scales, stated_zero_points, signed_activations),
}


def mean_levels(mean: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], float]:
    """Levels 0..255 for the channel means, and the level width with the smallest error over all channels.

    Args:
        mean: float32, any shape, values ≥ 0.

    Returns:
        float64 levels of the same shape, and the width. ``levels * width`` approximates ``mean``: the error is about
        0.1 for three means around 100.
    """
    values, most = np.unique(mean).astype(np.float64), float(mean.max())
    if most == 0:
        return np.zeros(mean.shape), 1.0
    widths = [most / levels for levels in range(_UINT8, 100, -1)]
    errors = [float(np.abs(np.rint(values / width) * width - values).max()) for width in widths]
    width = widths[int(np.argmin(errors))]
    return np.rint(mean / width), width


def _only(nodes: list[Node], op: str) -> Node | None:
    return nodes[0] if len(nodes) == 1 and nodes[0].op == op else None


def _same_levels(graph: Graph, first: Node, second: Node) -> bool:
    """Whether two Q/DQ nodes have the same scale and zero point."""
    if len(first.inputs) != len(second.inputs):
        return False
    pairs = [(graph.constant(a), graph.constant(b)) for a, b in zip(first.inputs[1:3], second.inputs[1:3], strict=True)]
    return all(a is not None and b is not None and a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


def _factors(sizes: tuple[int | None, ...]) -> tuple[int, int] | None:
    """Integer factors (height, width) between two concatenated NCHW shapes; None if unknown or not integers."""
    if len(sizes) != 8:
        return None
    known = [size for i, size in enumerate(sizes) if i not in (0, 4)]
    if any(not size for size in known):
        return None
    c0, h0, w0, c1, h1, w1 = (size or 1 for size in known)
    if c0 != c1 or h1 % h0 or w1 % w0:
        return None
    return h1 // h0, w1 // w0
