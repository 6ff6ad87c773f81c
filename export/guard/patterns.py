"""The patterns of the rows of :mod:`seg_edge.runtime.machine.disagreements`, and the search for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from ...runtime.machine.disagreements import ROWS, TABLE, Disagreement
from ...runtime.modelfile.opsets import EXTENDED, NEWEST, UNFLATTENED, gathers
from ...runtime.modelfile.repairs import PLAIN_COORDINATES, pooled

Node = onnx.NodeProto
_16_BITS = (onnx.TensorProto.UINT16, onnx.TensorProto.INT16)
#: From here on, ONNX Runtime's computation in float notices a bias scale that is off the product.
_IGNORED, _ROUNDING = 0.02, 1e-6


class View:
    """A graph for patterns: nodes, constants, shapes, and who makes and reads a tensor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        for each in self.nodes:
            if each.op_type == "Constant" and each.attribute and each.attribute[0].name == "value":
                self._tensors[each.output[0]] = each.attribute[0].t
        self._made_by = {name: each for each in self.nodes for name in each.output}
        self._read_by: dict[str, list[Node]] = {}
        for each in self.nodes:
            for name in each.input:
                self._read_by.setdefault(name, []).append(each)
        self._shapes = _shapes(model)

    def of(self, *operators: str) -> list[Node]:
        return [each for each in self.nodes if each.op_type in operators]

    def constant(self, node: Node, at: int) -> npt.NDArray[Any] | None:
        """An input of a node, if it is a constant."""
        tensor = self._tensors.get(node.input[at]) if at < len(node.input) else None
        return None if tensor is None else numpy_helper.to_array(tensor)

    def kind(self, node: Node, at: int) -> int:
        """The data type of a constant input; 0 if it is none."""
        tensor = self._tensors.get(node.input[at]) if at < len(node.input) else None
        return 0 if tensor is None else tensor.data_type

    def maker(self, node: Node, at: int = 0) -> Node | None:
        return self._made_by.get(node.input[at]) if at < len(node.input) else None

    def readers(self, node: Node) -> list[Node]:
        return [each for name in node.output for each in self._read_by.get(name, [])]

    def shape(self, name: str) -> tuple[int, ...]:
        """Sizes of a tensor, 0 for free ones; empty if unknown."""
        return self._shapes.get(name, ())

    def attribute(self, node: Node, name: str, default: Any = None) -> Any:
        found = next((each for each in node.attribute if each.name == name), None)
        return default if found is None else helper.get_attribute_value(found)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception:  # operators of other domains; the patterns then judge without sizes
        graph = model.graph
    values = [*graph.input, *graph.value_info, *graph.output]
    return {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in values
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape")
    }


def _ceil_pools(view: View) -> Iterable[Node]:
    for pool in view.of("MaxPool"):
        pads, kernel = view.attribute(pool, "pads", ()), view.attribute(pool, "kernel_shape", ())
        if not view.attribute(pool, "ceil_mode", 0) or not any(pads):
            continue
        size, rank = view.shape(pool.input[0])[2:], len(kernel)
        strides, dilations = (view.attribute(pool, name, [1] * rank) for name in ("strides", "dilations"))
        if len(size) != rank or not all(size):
            yield pool
            continue
        for axis in range(rank):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            around = pads[axis] + pads[rank + axis]
            most = -(-(size[axis] + around - reach) // strides[axis]) + 1
            if pooled(size[axis], reach, strides[axis], pads[axis], pads[rank + axis]) < most:
                yield pool
                break


def _resizes(condition: Callable[[View, Node], bool]) -> Callable[[View], Iterable[Node]]:
    return lambda view: [each for each in view.of("Resize") if condition(view, each)]


def _shrinks(view: View, resize: Node) -> bool:
    """Whether ``antialias=1`` means anything: an axis gets fewer pixels, or may get."""
    if not view.attribute(resize, "antialias", 0):
        return False
    scales, sizes, size = view.constant(resize, 2), view.constant(resize, 3), view.shape(resize.input[0])
    if scales is not None and scales.size:
        return bool((scales < 1).any())
    if sizes is None or view.attribute(resize, "axes") or len(size) != sizes.size:
        return True
    return any(count < length or not length for count, length in zip(sizes, size, strict=True))


def _is_rewritten(view: View, resize: Node) -> bool:
    """Whether the runtime replaces an antialiased Resize by products with its weights."""
    factors = [view.constant(resize, at) for at in (2, 3)]
    known = any(each is not None and each.size == 4 for each in factors)
    size = view.shape(resize.input[0])
    coordinates = view.attribute(resize, "coordinate_transformation_mode", b"half_pixel")
    return (
        known
        and len(size) == 4
        and all(size[2:])
        and not view.attribute(resize, "axes")
        and view.attribute(resize, "mode", b"nearest") == b"linear"
        and view.attribute(resize, "keep_aspect_ratio_policy", b"stretch") == b"stretch"
        and coordinates in PLAIN_COORDINATES
    )


def _fractional(scales: npt.NDArray[Any] | None) -> bool:
    return scales is not None and scales.size > 0 and bool((scales != np.rint(scales)).any())


def _fractional_corners(view: View, resize: Node) -> bool:
    mode = view.attribute(resize, "coordinate_transformation_mode", b"half_pixel")
    return mode == b"align_corners" and _fractional(view.constant(resize, 2))


def _upsamples(free: bool) -> Callable[[View], Iterable[Node]]:
    """Nodes that are rewritten, or those whose sizes are free."""

    def pattern(view: View) -> Iterable[Node]:
        for each in view.of("Upsample"):
            scales, size = view.constant(each, 1), view.shape(each.input[0])
            if view.attribute(each, "mode", b"nearest") != b"nearest" or scales is None or not _fractional(scales):
                continue
            known = len(size) == scales.size and all(n or s == 1 for n, s in zip(size, scales, strict=True))
            if not known if free else gathers(scales, size):
                yield each

    return pattern


def _flattened(view: View) -> Iterable[Node]:
    if view.opset not in UNFLATTENED:
        return
    for each in view.of("Softmax"):
        size = view.shape(each.input[0])
        axis = view.attribute(each, "axis", 1)
        if size and (axis % len(size)) < len(size) - 1:
            yield each


def _wide_levels(view: View) -> Iterable[Node]:
    return [each for each in view.of("QuantizeLinear") if view.kind(each, 2) in _16_BITS]


def _off_biases(view: View) -> Iterable[Node]:
    for conv in view.of("Conv", "ConvTranspose", "Gemm"):
        sides = [view.maker(conv, at) for at in range(3)] if len(conv.input) == 3 else []
        if not sides or any(side is None or side.op_type != "DequantizeLinear" for side in sides):
            continue
        scales = [view.constant(side, 1) for side in sides if side is not None]
        if any(scale is None for scale in scales):
            continue
        x, w, b = (np.asarray(scale, np.float64).reshape(-1) for scale in scales)
        if x.size != 1 or (w.size > 1 and b.size > 1 and w.size != b.size):
            continue
        off = np.abs(b / (x * w) - 1).max()
        if _ROUNDING < off < _IGNORED:
            yield conv


def _blocked(view: View) -> Iterable[Node]:
    for each in view.of("DequantizeLinear"):
        if view.attribute(each, "block_size", 0) and any(reader.op_type.startswith("Conv") for reader in view.readers(each)):
            yield each


def _newest(view: View) -> Iterable[Node]:
    """The others are refused aloud."""
    known = view.opset == NEWEST and not view.of(*EXTENDED)
    return view.of("QuantizeLinear", "DequantizeLinear") if known else []


def _padded_means(view: View) -> Iterable[Node]:
    for pool in view.of("AveragePool"):
        before = view.maker(pool)
        if not view.attribute(pool, "count_include_pad", 0) or not any(view.attribute(pool, "pads", ())):
            continue
        if before is not None and before.op_type == "DequantizeLinear":
            zero_point = view.constant(before, 2)
            if zero_point is not None and zero_point.any():
                yield pool


def _slopes(view: View) -> Iterable[Node]:
    for each in view.of("PRelu"):
        slopes, size = view.constant(each, 1), view.shape(each.input[0])
        if (
            slopes is not None
            and slopes.ndim == 1
            and slopes.size > 1
            and len(size) > 2
            and size[1] == size[-1] == slopes.size
        ):
            yield each


def _is_quantized(view: View, conv: Node) -> bool:
    sides = [view.maker(conv, at) for at in (0, 1)]
    return all(side is not None and side.op_type == "DequantizeLinear" for side in sides)


def _transposed(view: View) -> Iterable[Node]:
    return [each for each in view.of("ConvTranspose") if _is_quantized(view, each)]


def _activation_scales(view: View) -> Iterable[Node]:
    for each in view.of("QuantizeLinear"):
        scale = view.constant(each, 1)
        if scale is not None and scale.shape == (1,) and view.constant(each, 0) is None:
            yield each


def _activation_channels(view: View) -> Iterable[Node]:
    for conv in view.of("Conv", "ConvTranspose"):
        data = view.maker(conv)
        if data is not None and data.op_type == "DequantizeLinear":
            scale = view.constant(data, 1)
            if scale is not None and scale.size > 1:
                yield conv


def _weight_axis(view: View) -> Iterable[Node]:
    for conv in view.of("Conv"):
        weight = view.maker(conv, 1)
        if weight is not None and weight.op_type == "DequantizeLinear":
            scale = view.constant(weight, 1)
            if scale is not None and scale.ndim == 1 and scale.size > 1 and view.attribute(weight, "axis", 1) % 4 != 0:
                yield conv


def _no_zero_points(view: View) -> Iterable[Node]:
    for each in view.of("QuantizeLinear"):
        if len([name for name in each.input if name]) == 2 and not view.attribute(each, "output_dtype", 0):
            yield each


#: Name of a row → its pattern. Rows without engines are about no graph.
PATTERNS: Mapping[str, Callable[[View], Iterable[Node]]] = {
    "maxpool-ceil": _ceil_pools,
    "resize-antialias": _resizes(lambda view, each: _shrinks(view, each) and _is_rewritten(view, each)),
    "resize-antialias-other": _resizes(lambda view, each: _shrinks(view, each) and not _is_rewritten(view, each)),
    "resize-antialias-border": _resizes(
        lambda view, each: _shrinks(view, each) and not view.attribute(each, "exclude_outside", 0)
    ),
    "resize-aspect": _resizes(lambda view, each: view.attribute(each, "keep_aspect_ratio_policy", b"stretch") != b"stretch"),
    "resize-fractional-corners": _resizes(_fractional_corners),
    "upsample-fractional": _upsamples(free=False),
    "upsample-fractional-free": _upsamples(free=True),
    "softmax-flattened": _flattened,
    "uint16-quantization": _wide_levels,
    "bias-scale": _off_biases,
    "blocked-weights": _blocked,
    "newest-opset": _newest,
    "average-pool-padding": _padded_means,
    "prelu-slopes": _slopes,
    "int8-transposed": _transposed,
    "activation-scales": _activation_scales,
    "activation-channels": _activation_channels,
    "weight-scales-axis": _weight_axis,
    "no-zero-point": _no_zero_points,
}


@dataclass(frozen=True)
class Finding:
    """A row that a graph meets.

    Attributes:
        row: The row.
        nodes: Names of the nodes; the name of its result for a node without a name.
    """

    row: Disagreement
    nodes: list[str]

    def concerns(self, engine: str) -> bool:
        """Whether an engine computes something else, its rewrites included."""
        return engine in self.row.engines and engine not in self.row.rewritten


def check_graph(model: onnx.ModelProto) -> list[Finding]:
    """Every row of the table that a graph meets, in the table's order.

    Args:
        model: A model with its weights; sizes are inferred where they can be.
    """
    view, found = View(model), []
    for row in TABLE:
        if row.name in PATTERNS and (nodes := list(PATTERNS[row.name](view))):
            found.append(Finding(ROWS[row.name], [each.name or each.output[0] for each in nodes]))
    return found


def warnings(model: onnx.ModelProto, engines: Iterable[str]) -> list[str]:
    """A line for each row and engine that will compute something else; none for what is rewritten when a file is opened.

    Args:
        model: The model.
        engines: Engines that may run it.
    """
    found = check_graph(model)
    return [each.row.warning(engine, each.nodes) for engine in engines for each in found if each.concerns(engine)]
