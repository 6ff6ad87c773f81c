"""The graph of an artefact from the graph of another tool: our front, their network, our output."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, shape_inference

from ...calib.graph import attribute, consumers, producers, set_weight, weights
from ...core.errors import ModelFileError
from ...core.spec import ModelSpec
from ..graph.frontend import NAMES, add_front, drop_unused_constants
from .interface import Input, needed_nodes, one_line
from .preprocessing import Preprocessing
from .source import make_free
from .tail import Tail

#: Tensors of our own graphs that a foreign network must not use.
_RESERVED = NAMES | {"logits", "labels"}
_PREFIX = "net/"


def build_graph(
    network: onnx.ModelProto, source: Input, tail: Tail, preprocessing: Preprocessing, spec: ModelSpec
) -> onnx.ModelProto:
    """A copy of the network up to its cut, with frames as its input and logits or labels as its output.

    Args:
        network: Tidied, with a fixed input.
        tail: Where it is cut.
        spec: Says the output's kind, classes and stride.

    Raises:
        ModelFileError: the result is not a valid graph.
    """
    model = _renamed(cut_at(network, tail.name))
    bare, cut = (_new_name(name, network, model) for name in (source.name, tail.name))
    layout, dtype = source.layout, source.elem_type
    if source.dtype != "float16":
        bare, layout, dtype = _bypass(model, bare, layout, dtype)
    if spec.output == "labels":
        _labels_out(model, cut, spec.input_hw)
    else:
        _logits_out(model, cut, tail, spec)
    add_front(
        model, bare, preprocessing.mean_rgb, preprocessing.std_rgb, spec.input_hw, rgb=preprocessing.rgb, layout=layout,
        dtype=dtype,
    )  # fmt: skip
    model.graph.name = spec.name
    del model.metadata_props[:]
    del model.graph.value_info[:]
    try:
        return shape_inference.infer_shapes(model)
    except Exception as error:  # onnx's errors share no public base class
        raise ModelFileError(f"{spec.name}: the imported graph is not valid ({one_line(error)}); report this") from error


def cut_at(network: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The part of a network that computes one tensor."""
    kept = [_copy(node) for node in needed_nodes(network, [name])]
    model = onnx.ModelProto()
    model.CopyFrom(network)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.output[:]
    model.graph.output.append(make_free(name))
    drop_unused_constants(model)
    return model


def _renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, with a prefix on all names if one of them is a name of ours."""
    graph = model.graph
    names = {each for node in graph.node for each in (*node.input, *node.output)} | {v.name for v in graph.input}
    if not names & _RESERVED:
        return model
    return onnx.compose.add_prefix(model, _PREFIX, rename_functions=False)


def _new_name(name: str, before: onnx.ModelProto, after: onnx.ModelProto) -> str:
    known = {value.name for value in (*after.graph.input, *after.graph.output)}
    return name if name in known else f"{_PREFIX}{name}"


def _bypass(model: onnx.ModelProto, bare: str, layout: Any, dtype: int) -> tuple[str, Any, int]:
    """Steps over the network's own cast to float and change of layout, which the front makes as well."""
    while True:
        readers = consumers(model).get(bare, [])
        if len(readers) != 1 or list(readers[0].input).count(bare) != 1:
            return bare, layout, dtype
        node = readers[0]
        if node.op_type == "Cast" and attribute(node, "to") == TensorProto.FLOAT:
            dtype = TensorProto.FLOAT
        elif node.op_type == "Transpose" and layout == "NHWC" and list(attribute(node, "perm", [])) == [0, 3, 1, 2]:
            layout = "NCHW"
        elif node.op_type != "Identity":
            return bare, layout, dtype
        model.graph.node.remove(node)
        bare = node.output[0]


def _labels_out(model: onnx.ModelProto, cut: str, size_hw: tuple[int, int]) -> None:
    set_weight(model, "labels_shape", np.array([1, *size_hw], np.int64))
    # The cast goes through float, as TensorRT casts only floats to uint8.
    model.graph.node.extend(
        [
            helper.make_node("Reshape", [cut, "labels_shape"], ["labels_hw"], name="labels.shape"),
            helper.make_node("Cast", ["labels_hw"], ["labels_float"], name="labels.to_float", to=TensorProto.FLOAT),
            helper.make_node("Cast", ["labels_float"], ["labels"], name="labels.to_uint8", to=TensorProto.UINT8),
        ]
    )
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("labels", TensorProto.UINT8, [1, *size_hw]))


def _logits_out(model: onnx.ModelProto, cut: str, tail: Tail, spec: ModelSpec) -> None:
    """The scores at the cut as ``logits``, float32 NCHW; one class becomes two, 0 and its distance from the threshold."""
    at = cut
    nodes: list[onnx.NodeProto] = []

    def add(kind: str, *more: str, **words: Any) -> None:
        nonlocal at
        name = f"out_{len(nodes)}"
        nodes.append(helper.make_node(kind, [at, *more], [name], name=f"out.{kind.lower()}_{len(nodes)}", **words))
        at = name

    form = tail.form
    made_by = producers(model)
    inverse = [0, 2, 3, 1]
    before = made_by.get(cut)
    if form == "NHWC" and before is not None and before.op_type == "Transpose":
        if list(attribute(before, "perm", [])) == inverse and len(consumers(model).get(cut, [])) == 0:
            at, form = before.input[0], "NCHW"
            model.graph.node.remove(before)
    if form == "NHWC":
        add("Transpose", perm=[0, 3, 1, 2])
    elif form in ("CHW", "HW"):
        set_weight(model, "out_shape", np.array([1, tail.classes or 1, *spec.output_hw], np.int64))
        add("Reshape", "out_shape")
    if tail.classes == 1 and not (form == "NCHW" and not nodes and _second_channel(model, at, tail.threshold)):
        add("Cast", to=TensorProto.FLOAT)
        set_weight(model, "out_threshold", np.array(tail.threshold, np.float32))
        add("Sub", "out_threshold")
        set_weight(model, "out_zero", np.zeros((1, 1, *spec.output_hw), np.float32))
        zero = helper.make_node("Concat", ["out_zero", at], ["out_two"], name="out.two", axis=1)
        nodes.append(zero)
        at = "out_two"
    else:
        add("Cast", to=TensorProto.FLOAT)
    nodes[-1].output[0] = "logits"
    model.graph.node.extend(nodes)
    del model.graph.output[:]
    shape = [1, len(spec.labels), *spec.output_hw]
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape))


def _second_channel(model: onnx.ModelProto, name: str, threshold: float) -> bool:
    """Makes the last convolution give 0 and its result minus the threshold; False if another node is last."""
    node, known = producers(model).get(name), weights(model)
    if node is None or node.op_type != "Conv" or node.input[1] not in known or len(consumers(model).get(name, [])) > 0:
        return False
    weight = known[node.input[1]]
    has_bias = len(node.input) > 2 and bool(node.input[2])
    if attribute(node, "group", 1) != 1 or weight.dtype != np.float32 or (has_bias and node.input[2] not in known):
        return False
    bias = known[node.input[2]] if has_bias else np.zeros(1, np.float32)
    names = [f"{node.input[1]}.two", f"{node.input[1]}.two.bias"]
    set_weight(model, names[0], np.concatenate([np.zeros_like(weight), weight]))
    set_weight(model, names[1], np.array([0, float(bias[0]) - threshold], np.float32))
    del node.input[1:]
    node.input.extend(names)
    return True


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
