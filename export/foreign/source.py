"""Reads a network of another tool: an ONNX file with or without external data, checked before anything runs it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import onnx
from google.protobuf.message import Message
from onnx import TensorProto, helper, numpy_helper

from ...core.errors import ModelFileError
from ...core.spec import METADATA_KEY

#: The oldest opset whose operators every engine still reads.
OLDEST_OPSET = 9
#: Domains of operators that ONNX Runtime computes; others need a library of their own.
_DOMAINS = {"", "ai.onnx", "com.microsoft"}
#: One tensor may be this many times as large as the file; a larger one is not stored in it, whatever its shape says.
_LARGEST = 2**31


def read_network(path: Path) -> onnx.ModelProto:
    """Reads an ONNX file, with its external data.

    Raises:
        ModelFileError: missing, no ONNX model, truncated, without its external data, older than opset 9, with operators
            that ONNX itself doesn't define, or exported by seg-edge; the text says which.
    """
    if path.is_dir():
        raise ModelFileError(f"{path}: is a folder; expected an ONNX file")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); check the path") from error
    except Exception as error:  # protobuf's DecodeError has moved between versions
        raise ModelFileError(
            f"{path}: not an ONNX file, or cut off ({type(error).__name__}); expected an ONNX model; copy it again"
        ) from error
    if not model.graph.node or not model.graph.output:
        what = "no nodes" if not model.graph.node else "no outputs"
        raise ModelFileError(f"{path}: not an ONNX model ({what}); expected a segmentation network")
    check_network(model, path)
    _load_external(model, path)
    return model


def check_network(model: onnx.ModelProto, where: str | Path) -> None:
    """Refuses a model that can't become an artefact, before anything computes with it.

    Raises:
        ModelFileError: our own export, an old opset, or operators of unknown domains.
    """
    if any(entry.key == METADATA_KEY for entry in model.metadata_props):
        raise ModelFileError(f"{where}: was exported by seg-edge; pass it as a model, there is nothing to import")
    opset = opset_of(model)
    if opset < OLDEST_OPSET:
        raise ModelFileError(
            f"{where}: has opset {opset}; expected {OLDEST_OPSET} or newer; export it again with a newer opset"
        )
    if not _readable(model):
        raise ModelFileError(f"{where}: a name in it is not UTF-8; the file is damaged; copy it again")
    own = {function.domain for function in model.functions}
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in _nodes(model.graph) if n.domain not in _DOMAINS | own})
    if foreign:
        names = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise ModelFileError(
            f"{where}: has operators that ONNX doesn't define ({names}); expected standard operators; export it again "
            "without plugins"
        )


def _readable(message: Message) -> bool:
    """Whether every text in a message is UTF-8; protobuf gives bytes for what is none, or raises."""
    try:
        for field, value in message.ListFields():
            if field.type not in (field.TYPE_STRING, field.TYPE_MESSAGE):
                continue
            single = isinstance(value, (str, bytes, Message))
            for each in (value,) if single else value:
                if isinstance(each, bytes) or (isinstance(each, Message) and not _readable(each)):
                    return False
    except UnicodeDecodeError:
        return False
    return True


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators; 0 if the model doesn't say."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """All nodes, those of subgraphs included."""
    result = []
    for node in graph.node:
        result.append(node)
        for item in node.attribute:
            for inner in (*([item.g] if item.HasField("g") else []), *item.graphs):
                result += _nodes(inner)
    return result


def _load_external(model: onnx.ModelProto, path: Path) -> None:
    stored = [tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    for tensor in stored:
        about = {entry.key: entry.value for entry in tensor.external_data}
        location = about.get("location", "")
        file = path.parent / location
        if not location or os.path.isabs(location) or ".." in Path(location).parts:
            raise ModelFileError(f"{path}: its weights lie in {location!r}, which is no file beside it; copy it again")
        if not file.is_file():
            raise ModelFileError(
                f"{path}: its weights lie in {location}, which is missing; expected that file beside it; copy it there too"
            )
        try:
            needed = int(about.get("offset", "0")) + int(about.get("length", "0"))
        except ValueError:
            needed = -1
        if not 0 <= needed <= file.stat().st_size:
            raise ModelFileError(
                f"{path}: {location} has {file.stat().st_size} bytes, {tensor.name} ends at byte {needed}; "
                "the file is cut off; copy it again"
            )
    if not stored:
        return
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # onnx's errors share no public base class
        text = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path}: its external data can't be read ({text}); copy the model again") from error


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with inlined functions, and with constants, Identity of constants included, as initializers."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    if result.functions:
        result = import_module("onnx.inliner").inline_local_functions(result)
    graph = result.graph
    known = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        constant = None
        if node.op_type == "Constant" and value is not None:
            constant = value
        elif node.op_type == "Identity" and node.input[0] in known:
            constant = known[node.input[0]]
        if constant is None or node.output[0] in outputs:
            kept.append(_copy(node))
            continue
        tensor = onnx.TensorProto()
        tensor.CopyFrom(constant)
        tensor.name = node.output[0]
        known[tensor.name] = tensor
        graph.initializer.append(tensor)
    del graph.node[:]
    graph.node.extend(kept)
    # Old files list the weights among the inputs.
    inputs = [value for value in graph.input if value.name not in known]
    del graph.input[:]
    graph.input.extend(inputs)
    return result


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which float16 is float32. Weights keep their values; results are no longer rounded to 11 bits."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        _widen(tensor)
    for node in _nodes(result.graph):
        for item in node.attribute:
            if item.name in ("to", "dtype") and item.i == TensorProto.FLOAT16:
                item.i = TensorProto.FLOAT
            if item.HasField("t"):
                _widen(item.t)
    for value in [*result.graph.input, *result.graph.output]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del result.graph.value_info[:]
    return result


def newer_opset(model: onnx.ModelProto, least: int) -> onnx.ModelProto:
    """A copy of at least the opset ``least``, if onnx can convert it; else the model itself."""
    if opset_of(model) >= least:
        return model
    try:
        result = onnx.version_converter.convert_version(model, least)
    except Exception:  # the converter lacks rules for some operators; the model stays valid as it is
        return model
    return result


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        values = numpy_helper.to_array(tensor).astype("float32")
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def described(value: onnx.ValueInfoProto) -> str:
    """Name, type and shape of an input or output, for errors."""
    kind = value.type.tensor_type
    shape = ", ".join(str(dim.dim_value or dim.dim_param or "any") for dim in kind.shape.dim)
    try:
        name = TensorProto.DataType.Name(kind.elem_type).lower()
    except ValueError:
        name = f"type {kind.elem_type}"
    return f"{value.name} {name} ({shape})"


def describe_all(values: list[onnx.ValueInfoProto]) -> str:
    return "; ".join(map(described, values)) or "none"


def make_free(name: str) -> onnx.ValueInfoProto:
    """An output whose type the engine infers."""
    return helper.make_empty_tensor_value_info(name)
