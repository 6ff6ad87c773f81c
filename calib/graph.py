"""Reading and running ONNX graphs, for calibration and the steps of an export."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ..core.errors import ModelFileError
from ..core.spec import METADATA_KEY, ModelSpec

Frames = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]


def load(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file.

    Raises:
        ModelFileError: missing, or not an ONNX model.
    """
    try:
        model = onnx.load(str(path))
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except Exception as error:  # protobuf's DecodeError has moved between versions
        raise ModelFileError(f"{path}: not an ONNX model ({type(error).__name__}); export it again") from error
    if not model.graph.node:
        raise ModelFileError(f"{path}: not an ONNX model (no nodes); export it again")
    return model


def weights(model: onnx.ModelProto) -> dict[str, Array]:
    """The initializers by name, as arrays."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def set_weight(model: onnx.ModelProto, name: str, value: Array) -> None:
    """Replaces the initializer ``name``, or adds it."""
    # Not np.ascontiguousarray, which makes scalars one-dimensional: the scale of a whole tensor must be a scalar.
    tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
    for old in model.graph.initializer:
        if old.name == name:
            old.CopyFrom(tensor)
            return
    model.graph.initializer.append(tensor)


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Tensor name → the node that computes it. Graph inputs and initializers are not included."""
    return {output: node for node in model.graph.node for output in node.output if output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Tensor name → the nodes that read it, in graph order, each once."""
    table: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in dict.fromkeys(node.input):
            table.setdefault(name, []).append(node)
    return table


def convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The convolutions in graph order."""
    return [node for node in model.graph.node if node.op_type == "Conv"]


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    for item in node.attribute:
        if item.name == name:
            return onnx.helper.get_attribute_value(item)
    return default


def ancestors(model: onnx.ModelProto, outputs: Sequence[str], stop: Iterable[str] = ()) -> set[str]:
    """Names of ``outputs`` and of all tensors that they depend on; the search ends at the tensors ``stop``."""
    made_by = producers(model)
    known = set(stop)
    needed: set[str] = set()
    stack = list(outputs)
    while stack:
        name = stack.pop()
        if name not in needed:
            needed.add(name)
            stack.extend(made_by[name].input if name in made_by and name not in known else ())
    return needed


def up_to(model: onnx.ModelProto, outputs: Sequence[str], start: Iterable[str] = ()) -> onnx.ModelProto:
    """The part of a graph that computes the float32 tensors ``outputs`` from its inputs.

    Args:
        start: float32 tensors inside the graph that become additional inputs of the part.
    """
    given = list(start)
    needed = ancestors(model, outputs, given)
    inside = needed - set(given)
    part = onnx.ModelProto()
    part.CopyFrom(model)
    graph = part.graph
    _keep(graph.node, [node for node in model.graph.node if inside.intersection(node.output)])
    _keep(graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in needed])
    _keep(graph.value_info, [])
    _keep(graph.input, [value for value in model.graph.input if value.name in needed])
    graph.input.extend(_float_tensor(name) for name in given if name in needed)
    known = {value.name: value for value in model.graph.output}
    _keep(graph.output, [known.get(name, _float_tensor(name)) for name in outputs])
    return part


def _float_tensor(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)


def _keep(field: Any, items: Iterable[Any]) -> None:
    copies = list(items)
    del field[:]
    field.extend(copies)


def session(model: onnx.ModelProto, *, threads: int = 0, fuse_quantized: bool = True) -> Any:
    """Opens a model in ONNX Runtime on the CPU, with warnings disabled.

    Args:
        threads: Threads of one operator; 0 = all cores.
        fuse_quantized: False computes Q/DQ graphs in float, node by node, instead of with 8-bit kernels. The rounding
            of these kernels, and their saturation on processors without VNNI, depend on the machine.

    Raises:
        ModelFileError: ONNX Runtime refuses the graph.
    """
    ort: Any = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if not fuse_quantized:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        text = " ".join(str(error).split())
        raise ModelFileError(f"model {model.graph.name}: ONNX Runtime refuses it ({text}); export it again") from error


def run(opened: Any, frames: Frames) -> list[Array]:
    """Runs one batch through a session that has one input; returns its outputs."""
    return list(opened.run(None, {opened.get_inputs()[0].name: frames}))


def get_spec(model: onnx.ModelProto, where: str | Path = "model") -> ModelSpec:
    """The spec in the metadata of an ONNX model.

    Raises:
        ModelFileError: the model has no spec, or the spec can't be read.
    """
    for item in model.metadata_props:
        if item.key == METADATA_KEY:
            return ModelSpec.from_json(item.value, where)
    raise ModelFileError(f"{where}: carries no {METADATA_KEY} metadata, so it is not a seg-edge export; run seg-edge import")


def set_spec(model: onnx.ModelProto, spec: ModelSpec) -> None:
    """Writes the spec into an ONNX model's metadata."""
    kept = [(item.key, item.value) for item in model.metadata_props if item.key != METADATA_KEY]
    del model.metadata_props[:]
    for key, value in [*kept, (METADATA_KEY, spec.to_json())]:
        item = model.metadata_props.add()
        item.key, item.value = key, value
