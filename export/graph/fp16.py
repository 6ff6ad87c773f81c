"""FP16: a graph in which casts mark where half precision begins and ends, for strongly typed builders.

Frames stay uint8. Normalization stays float32, because a pixel minus its mean needs 9 bits and a fraction. The logits
are cast back to float32. Everything between is float16, weights included, so the file is half as big.

ONNX Runtime's own converter (``onnxruntime.transformers.float16``, tried with 1.31) can't be used. For nodes that
should stay in float32, it appends a cast down and up for each tensor at the end of the graph, which makes the graph
invalid.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from ...calib.graph import attribute, get_spec, set_spec
from ...core.errors import ModelFileError

#: The first opset in which QuantizeLinear and DequantizeLinear accept float16.
QDQ_OPSET = 19
# Operations of preprocessing: they may stand between the frames and the network.
_PREPROCESSING = ("Cast", "Sub", "Transpose", "Div", "Mul", "Gather")
# Inputs that are float32 by definition: Resize's region and scales.
_ALWAYS_SINGLE = {"Resize": (1, 2)}
_LARGEST = float(np.finfo(np.float16).max)
_SINGLE, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts a float graph, or the float part of a Q/DQ graph, to float16.

    A Q/DQ graph also gets float16 scales, which need opset 19.

    Args:
        model: Input ``frames`` uint8, output float32 logits or uint8 labels. Not changed.

    Returns:
        A graph with the same input and output. The spec of a float model gets the precision fp16; that of a Q/DQ model
        stays int8.

    Raises:
        ModelFileError: a weight is beyond the range of float16, or the result is not a valid graph.
    """
    quantized = any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    spec = get_spec(model)
    try:
        result = onnx.ModelProto()
        result.CopyFrom(model)
        if quantized and result.opset_import[0].version < QDQ_OPSET:
            result = version_converter.convert_version(result, QDQ_OPSET)
            del result.metadata_props[:]
            result.metadata_props.extend(model.metadata_props)
        _Casts(result).run()
        onnx.checker.check_model(result, full_check=True)
    except ModelFileError:
        raise
    except Exception as error:  # onnx's errors share no public base class
        text = " ".join(str(error).split())[:300]
        raise ModelFileError(
            f"fp16: {model.graph.name} can't be converted ({type(error).__name__}: {text}); report this"
        ) from error
    set_spec(result, spec if quantized else spec.with_(precision="fp16"))
    return result


def rounded(half: onnx.ModelProto) -> onnx.ModelProto:
    """A float32 graph that simulates an fp16 graph: every float16 value is computed in float32, then rounded.

    CPUs have no float16 kernels. ONNX Runtime computes an fp16 graph in float32 and rounds only the weights, so values
    beyond the range of float16, which overflow to inf on a GPU, stay finite (tried with 1.31). Here a cast down and up
    follows each operation, and ONNX Runtime keeps these casts. Sums are accumulated in float32 and rounded once, as on
    tensor cores.

    Args:
        half: The result of :func:`to_fp16` for a float graph.
    """
    result = onnx.ModelProto()
    result.CopyFrom(half)
    inferred = onnx.shape_inference.infer_shapes(half).graph
    halves = {value.name for value in inferred.value_info if value.type.tensor_type.elem_type == _HALF}
    nodes: list[onnx.NodeProto] = []
    for old in half.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(old)
        casts: list[onnx.NodeProto] = []
        for i, name in enumerate(node.output):
            if name in halves:
                node.output[i] = f"{name}.raw"
                casts.append(helper.make_node("Cast", [f"{name}.raw"], [f"{name}.rounded"], to=_HALF))
                casts.append(helper.make_node("Cast", [f"{name}.rounded"], [name], to=_SINGLE))
        if node.op_type == "Cast" and attribute(node, "to") in (_HALF, _SINGLE):
            next(item for item in node.attribute if item.name == "to").i = _SINGLE
        nodes += [node, *casts]
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    del result.graph.value_info[:]
    for tensor in result.graph.initializer:
        if tensor.data_type == _HALF:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    return result


def preprocessing(model: onnx.ModelProto) -> int:
    """Number of nodes at the start of the graph that only turn frames into the network's input, constants included."""
    constants = {tensor.name for tensor in model.graph.initializer}
    reached = {value.name for value in model.graph.input}
    count = 0
    for number, node in enumerate(model.graph.node, 1):
        computed = [name for name in node.input if name and name not in constants]
        if node.op_type == "Constant":
            constants.update(node.output)
        elif node.op_type in _PREPROCESSING and computed and set(computed) <= reached:
            reached.update(node.output)
            count = number
        else:
            break
    return count


class _Casts:
    """One pass over the nodes in graph order that inserts the casts and converts the weights."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        inferred = onnx.shape_inference.infer_shapes(model).graph
        values = [*inferred.input, *inferred.value_info, *inferred.output]
        self.kinds = {value.name: value.type.tensor_type.elem_type for value in values}
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.halved: dict[str, str] = {}  # float32 tensor → its float16 version
        self.nodes: list[onnx.NodeProto] = []
        self.before = preprocessing(model)

    def run(self) -> None:
        outputs = {value.name for value in self.graph.output if self.kinds[value.name] == _SINGLE}
        for number, old in enumerate(self.graph.node):
            node = onnx.NodeProto()
            node.CopyFrom(old)
            if node.op_type == "Constant":
                self.constant(node)
                continue
            if number >= self.before:
                self.halve(node)
            self.nodes.append(node)
        for name in outputs:
            self.cast_back(name)
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        used = {name for node in self.nodes for name in node.input}
        kept = [tensor for tensor in self.constants.values() if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)

    def constant(self, node: onnx.NodeProto) -> None:
        value = attribute(node, "value")
        if value is None:
            self.nodes.append(node)
            return
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = node.output[0]
        self.constants[tensor.name] = tensor

    def halve(self, node: onnx.NodeProto) -> None:
        single = _ALWAYS_SINGLE.get(node.op_type, ())
        for i, name in enumerate(node.input):
            if name and i not in single:
                node.input[i] = self.half(name)
        if node.op_type == "Cast" and attribute(node, "to") == _SINGLE:
            for item in node.attribute:
                if item.name == "to":
                    item.i = _HALF
        for name in node.output:
            if self.kinds.get(name) == _SINGLE:
                self.kinds[name] = _HALF

    def half(self, name: str) -> str:
        """The name of a tensor's float16 version; the tensor's own name if it is not float32."""
        if name in self.constants:
            tensor = self.constants[name]
            if tensor.data_type != _SINGLE:
                return name
            if name not in self.halved:
                values = numpy_helper.to_array(tensor)
                if values.size and not np.abs(values).max() <= _LARGEST:
                    raise ModelFileError(
                        f"fp16: weight {name} reaches {np.abs(values).max():.3g}, float16 holds {_LARGEST:.0f} at most; "
                        "keep this network in fp32"
                    )
                self.halved[name] = f"{name}.half"
                twin = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
                self.constants[twin.name] = twin
            return self.halved[name]
        if self.kinds.get(name) != _SINGLE:
            return name
        if name not in self.halved:
            self.halved[name] = f"{name}.half"
            self.nodes.append(helper.make_node("Cast", [name], [f"{name}.half"], name=f"{name}.to_half", to=_HALF))
        return self.halved[name]

    def cast_back(self, name: str) -> None:
        if self.kinds[name] == _SINGLE:  # an output of the normalization is float32 already
            return
        inner = f"{name}.half"
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, each in enumerate(names):
                    if each == name:
                        names[i] = inner
        self.nodes.append(helper.make_node("Cast", [inner], [name], name=f"{name}.to_single", to=_SINGLE))
