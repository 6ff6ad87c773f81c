"""The front of every graph: uint8 BGR frames in, normalization and layout change inside."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...calib.graph import attribute, consumers, set_weight, weights

#: Name of the input: uint8 (N, H, W, 3), BGR.
INPUT = "frames"
#: The names of the front's tensors and constants. A network must not use them for its own.
NAMES = frozenset(
    {"frames", "frames_float", "mean_bgr", "std_bgr", "centered_nhwc", "centered", "normalized_bgr", "bgr_to_rgb"}
    | {f"front_{step}" for step in ("nchw", "rgb", "nhwc", "cast")}
)
RGB = tuple[float, float, float]


def add_front(
    model: onnx.ModelProto,
    bare: str,
    mean: RGB,
    std: RGB,
    input_hw: tuple[int, int],
    *,
    rgb: bool = True,
    layout: Literal["NCHW", "NHWC"] = "NCHW",
    dtype: int = TensorProto.FLOAT,
) -> None:
    """Puts ``frames`` → float → normalized → the layout of the network in front of the network.

    Where only convolutions read the input, the division by std and the swap of channels go into their weights, and the
    graph keeps one subtraction. The subtraction can't go into the bias: the network pads its normalized input with 0,
    which is the mean and not black.

    Args:
        model: Its input is replaced by ``frames``.
        bare: The network's input tensor.
        mean, std: Normalization in RGB order, on the 0..255 scale.
        input_hw: The network's input size.
        rgb: Whether the network takes RGB; otherwise BGR.
        layout, dtype: Of the network's input.
    """
    graph = model.graph
    known = weights(model)
    readers = consumers(model).get(bare, [])
    plain = layout == "NCHW" and dtype == TensorProto.FLOAT
    foldable = plain and bool(readers) and all(
        node.op_type == "Conv"
        and node.input[1] in known
        and attribute(node, "group", 1) == 1
        and list(node.input).count(bare) == 1
        for node in readers
    )  # fmt: skip
    nodes, centered = _centered(model, mean, input_hw)
    std_bgr = np.array(std[::-1], np.float32).reshape(1, 3, 1, 1)
    if foldable:
        for node in readers:
            with np.errstate(invalid="ignore"):  # a damaged file may hold signalling NaN
                weight = known[node.input[1]].astype(np.float64)
            folded = (weight[:, ::-1] if rgb else weight) / std_bgr.astype(np.float64)
            name = f"{node.input[1]}.bgr"
            set_weight(model, name, folded.astype(np.float32))
            node.input[0], node.input[1] = centered, name
    else:
        nodes += _rest(model, centered, bare, std_bgr, rgb, layout, dtype)
    body = [_clone(node) for node in graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    drop_unused_constants(model)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, *input_hw, 3]))


def drop_unused_constants(model: onnx.ModelProto) -> None:
    """Removes the initializers that no node reads, subgraphs included."""
    used = set().union(*(reads(node) for node in model.graph.node)) | {value.name for value in model.graph.output}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)


def reads(node: onnx.NodeProto) -> set[str]:
    """The tensors that a node reads, those of its subgraphs (If, Loop) included."""
    names = set(node.input)
    for item in node.attribute:
        for graph in (*([item.g] if item.HasField("g") else []), *item.graphs):
            for inner in graph.node:
                names |= reads(inner)
            names |= {value.name for value in graph.output}
    return names


def _centered(model: onnx.ModelProto, mean: RGB, input_hw: tuple[int, int]) -> tuple[list[onnx.NodeProto], str]:
    """The nodes up to the float NCHW tensor from which the means are subtracted, and its name."""
    # Cast comes before Transpose, because TensorRT can't transpose uint8.
    nodes = [helper.make_node("Cast", [INPUT], ["frames_float"], name="cast", to=TensorProto.FLOAT)]
    at = "frames_float"
    if any(mean):
        # A whole row of means: ONNX Runtime broadcasts three values along the last axis ten times slower than a row.
        set_weight(model, "mean_bgr", np.tile(np.array(mean[::-1], np.float32), (1, 1, input_hw[1], 1)))
        nodes.append(helper.make_node("Sub", [at, "mean_bgr"], ["centered_nhwc"], name="subtract_mean"))
        at = "centered_nhwc"
    nodes.append(helper.make_node("Transpose", [at], ["centered"], name="to_nchw", perm=[0, 3, 1, 2]))
    return nodes, "centered"


def _rest(
    model: onnx.ModelProto, at: str, bare: str, std_bgr: np.ndarray, rgb: bool, layout: str, dtype: int
) -> list[onnx.NodeProto]:  # fmt: skip
    """The nodes from the centred tensor to the network's input."""
    steps: list[tuple[str, list[str], str, str, dict[str, Any]]] = []
    if (std_bgr != 1).any():
        set_weight(model, "std_bgr", std_bgr)
        steps.append(("Div", ["std_bgr"], "normalized_bgr", "divide_by_std", {}))
    if rgb:
        model.graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "bgr_to_rgb"))
        steps.append(("Gather", ["bgr_to_rgb"], "front_rgb", "bgr_to_rgb", {"axis": 1}))
    if layout == "NHWC":
        steps.append(("Transpose", [], "front_nhwc", "to_nhwc", {"perm": [0, 2, 3, 1]}))
    if dtype != TensorProto.FLOAT:
        steps.append(("Cast", [], "front_cast", "to_network", {"to": dtype}))
    if not steps:
        steps.append(("Identity", [], "front_nchw", "to_network", {}))
    nodes = []
    for number, (kind, more, result, name, words) in enumerate(steps, 1):
        result = bare if number == len(steps) else result
        nodes.append(helper.make_node(kind, [at, *more], [result], name=name, **words))
        at = result
    return nodes


def _clone(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
