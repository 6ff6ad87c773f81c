"""An editable ONNX graph that doesn't need the onnx package.

Only nodes, shapes and small constants are parsed. Weights, unused attributes and fields of newer ONNX versions are
copied byte for byte. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from .wire import BYTES, VARINT, WireError, fields, put_bytes, put_number, put_varint, signed, varint

Array = npt.NDArray[Any]
Shape = tuple[int | None, ...]

_GRAPH, _OPSET_IMPORT = 7, 8  # of ModelProto
_DOMAIN, _VERSION = 1, 2  # of OperatorSetIdProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of GraphProto
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 3, 4, 5
_NAME, _INT, _STRING, _INTS, _TYPE = 1, 3, 4, 8, 20  # of AttributeProto
_TYPE_INT, _TYPE_INTS = 2, 7
_DIMS, _DATA_TYPE, _FLOAT_DATA, _INT32_DATA, _INT64_DATA, _TENSOR_NAME, _RAW_DATA = 1, 2, 4, 5, 7, 8, 9  # of TensorProto

#: TensorProto.DataType → dtype, for scales, zero points, biases and shapes.
_DTYPES: dict[int, str] = {1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8"}
_CODES = {np.dtype(text): code for code, text in _DTYPES.items()}


@dataclass
class Node:
    """One operator. ``rest`` holds all other fields as bytes, including the attributes."""

    op: str
    inputs: list[str]
    outputs: list[str]
    name: str = ""
    rest: bytes = b""

    def attribute(self, name: str) -> int | bytes | tuple[int, ...] | None:
        """The value of an integer, text or integer-list attribute; None if it is missing or of another type."""
        for number, kind, start, end in fields(self.rest, 0, len(self.rest)):
            if number == _NODE_ATTRIBUTE and kind == BYTES:
                groups = _groups(self.rest[start:end])
                if groups.get(_NAME) == [name.encode()]:
                    if _INTS in groups:
                        return tuple(signed(value) for item in groups[_INTS] for value in _numbers(item))
                    for value in (*groups.get(_INT, []), *groups.get(_STRING, [])):
                        return value if isinstance(value, bytes) else signed(value)
        return None

    def set_attributes(self, **attributes: int | list[int]) -> None:
        """Sets integer or integer-list attributes; others stay."""
        kept = b""
        for number, kind, start, end in fields(self.rest, 0, len(self.rest)):
            body = self.rest[start:end]
            if number != _NODE_ATTRIBUTE or kind != BYTES or _payloads(_groups(body), _NAME)[0].decode() not in attributes:
                kept += _copy(number, kind, body)
        self.rest = kept + _attributes(attributes)


def node(op: str, inputs: list[str], outputs: list[str], name: str, **attributes: int | list[int]) -> Node:
    """A new node; attributes are integers or lists of integers."""
    return Node(op, inputs, outputs, name, _attributes(attributes))


def _attributes(attributes: Mapping[str, int | list[int]]) -> bytes:
    rest = b""
    for key, value in attributes.items():
        if isinstance(value, int):
            body = put_number(_INT, value) + put_number(_TYPE, _TYPE_INT)
        else:
            body = b"".join(put_number(_INTS, each) for each in value) + put_number(_TYPE, _TYPE_INTS)
        rest += put_bytes(_NODE_ATTRIBUTE, put_bytes(_NAME, key) + body)
    return rest


@dataclass
class Graph:
    """The graph of a model.

    Attributes:
        nodes: The nodes in execution order; may be edited.
        outputs: Names of the graph's outputs.
        shapes: Shapes of the tensors for which the file states one; None for a free dimension.
    """

    nodes: list[Node]
    outputs: list[str]
    shapes: dict[str, Shape]
    _tensors: dict[str, bytes]
    _around: list[bytes] = field(default_factory=list)
    _model: list[bytes] = field(default_factory=list)

    @classmethod
    def from_bytes(cls, model: bytes) -> Graph:
        """Parses a serialized model.

        Raises:
            WireError: not a protobuf message, or a message without a graph.
        """
        graph = cls([], [], {}, {})
        body: bytes | None = None
        for number, kind, start, end in fields(model, 0, len(model)):
            if number == _GRAPH and kind == BYTES:
                body = model[start:end]
            else:
                graph._model.append(_copy(number, kind, model[start:end]))
        if body is None:
            raise WireError("it has no graph")
        for number, kind, start, end in fields(body, 0, len(body)):
            payload = body[start:end]
            if kind != BYTES:
                graph._around.append(_copy(number, kind, payload))
            elif number == _NODE:
                graph.nodes.append(_read_node(payload))
            elif number == _INITIALIZER:
                names = _payloads(_groups(payload), _TENSOR_NAME) or [b""]
                graph._tensors[names[0].decode()] = payload
            else:
                if number in (_INPUT, _OUTPUT, _VALUE_INFO):
                    name, shape = _read_value(payload)
                    graph.shapes[name] = shape
                    if number == _OUTPUT:
                        graph.outputs.append(name)
                # Types of inner tensors are dropped: they could contradict an edit, and every engine infers them.
                if number != _VALUE_INFO:
                    graph._around.append(put_bytes(number, payload))
        return graph

    def to_bytes(self) -> bytes:
        """The edited model, serialized."""
        body = [put_bytes(_NODE, _write_node(each)) for each in self.nodes]
        body += [put_bytes(_INITIALIZER, payload) for payload in self._tensors.values()]
        return b"".join([*self._model, put_bytes(_GRAPH, b"".join([*body, *self._around]))])

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators; 0 if the file states none. May be set where the file states one."""
        return next((version for _, version in self._own_opsets()), 0)

    @opset.setter
    def opset(self, version: int) -> None:
        for at, _ in self._own_opsets():
            self._model[at] = put_bytes(_OPSET_IMPORT, put_bytes(_DOMAIN, "") + put_number(_VERSION, version))

    def _own_opsets(self) -> list[tuple[int, int]]:
        """Where the model states the version of ONNX's own operators, and which: an entry, or none."""
        found = []
        for at, item in enumerate(self._model):
            for number, kind, start, end in fields(item, 0, len(item)):
                groups = _groups(item[start:end]) if number == _OPSET_IMPORT and kind == BYTES else {}
                if groups and groups.get(_DOMAIN, [b""])[0] in (b"", b"ai.onnx"):
                    found.append((at, int(groups.get(_VERSION, [0])[0])))
        return found

    def constant(self, name: str) -> Array | None:
        """The constant ``name`` as an array; None if it does not exist or has a type that edits don't need."""
        if name not in self._tensors:
            return None
        groups = _groups(self._tensors[name])
        code = groups.get(_DATA_TYPE, [0])[0]
        dtype = _DTYPES.get(code) if isinstance(code, int) else None
        if dtype is None:
            return None
        raw = _payloads(groups, _RAW_DATA)
        dims = [value for item in groups.get(_DIMS, []) for value in _numbers(item)]
        if not raw:
            return _typed(groups, dtype, dims)
        if len(raw[0]) != prod(dims) * np.dtype(dtype).itemsize:
            raise WireError(f"constant {name} holds {len(raw[0])} bytes, its shape is {dims}")
        values = np.frombuffer(raw[0], dtype)
        return values.reshape(dims)

    def set_constant(self, name: str, value: Array) -> None:
        """Adds or replaces a constant: float32, uint8, int8, int32 or int64."""
        data = b"".join(put_number(_DIMS, n) for n in value.shape) + put_number(_DATA_TYPE, _CODES[value.dtype])
        self._tensors[name] = data + put_bytes(_TENSOR_NAME, name) + put_bytes(_RAW_DATA, value.tobytes())

    def producers(self) -> dict[str, Node]:
        """Tensor name → the node that produces it."""
        return {name: each for each in self.nodes for name in each.outputs}

    def readers(self) -> dict[str, list[Node]]:
        """Tensor name → the nodes that read it."""
        table: dict[str, list[Node]] = {}
        for each in self.nodes:
            for name in dict.fromkeys(each.inputs):
                table.setdefault(name, []).append(each)
        return table

    def replace(self, old: list[Node], new: list[Node]) -> None:
        """Replaces the nodes ``old`` with ``new``, at the position of the first old node."""
        at = min(i for i, each in enumerate(self.nodes) if any(each is removed for removed in old))
        kept = [each for each in self.nodes if not any(each is removed for removed in old)]
        self.nodes = [*kept[:at], *new, *kept[at:]]

    def drop_unused(self) -> None:
        """Removes nodes and constants whose results are not read."""
        while True:
            used = {name for each in self.nodes for name in each.inputs} | set(self.outputs)
            kept = [each for each in self.nodes if used.intersection(each.outputs)]
            if len(kept) == len(self.nodes):
                break
            self.nodes = kept
        self._tensors = {name: payload for name, payload in self._tensors.items() if name in used}


def _groups(message: bytes) -> dict[int, list[Any]]:
    """The fields of a message by number: integers as int, everything else as bytes."""
    groups: dict[int, list[Any]] = {}
    for number, kind, start, end in fields(message, 0, len(message)):
        value = varint(message, start, end)[0] if kind == VARINT else message[start:end]
        groups.setdefault(number, []).append(value)
    return groups


def _numbers(item: int | bytes) -> list[int]:
    """The values in one entry of a repeated integer field: a single number, or several packed into bytes."""
    if isinstance(item, int):
        return [item]
    values, at = [], 0
    while at < len(item):
        value, at = varint(item, at, len(item))
        values.append(value)
    return values


def _typed(groups: dict[int, list[Any]], dtype: str, dims: list[int]) -> Array | None:
    """A constant in a typed field instead of raw data: how ONNX Runtime's quantizer and NNCF 3.4 write scales."""
    if dtype == "<f4":
        packed = [item if isinstance(item, bytes) else b"" for item in groups.get(_FLOAT_DATA, [])]
        values: Array = np.frombuffer(b"".join(packed), dtype)
    else:
        numbers = [
            signed(n) for item in groups.get(_INT64_DATA if dtype == "<i8" else _INT32_DATA, []) for n in _numbers(item)
        ]
        values = np.array(numbers, np.int64).astype(dtype)
    return values.reshape(dims) if values.size == prod(dims) else None


def _read_node(message: bytes) -> Node:
    result = Node("", [], [])
    rest = []
    for number, kind, start, end in fields(message, 0, len(message)):
        if kind != BYTES:
            raise WireError(f"a node with a field {number} of wire type {kind}")
        payload = message[start:end]
        if number == _NODE_INPUT:
            result.inputs.append(payload.decode())
        elif number == _NODE_OUTPUT:
            result.outputs.append(payload.decode())
        elif number == _NODE_NAME:
            result.name = payload.decode()
        elif number == _NODE_OP:
            result.op = payload.decode()
        else:
            rest.append(put_bytes(number, payload))
    result.rest = b"".join(rest)
    return result


def _write_node(item: Node) -> bytes:
    parts = [put_bytes(_NODE_INPUT, name) for name in item.inputs]
    parts += [put_bytes(_NODE_OUTPUT, name) for name in item.outputs]
    return b"".join([*parts, put_bytes(_NODE_NAME, item.name), put_bytes(_NODE_OP, item.op), item.rest])


def _read_value(message: bytes) -> tuple[str, Shape]:
    """Name and shape of a ValueInfoProto; an unknown shape is empty."""
    groups = _groups(message)
    shape: list[int | None] = []
    for kind in _payloads(groups, 2):  # type
        for tensor in _payloads(_groups(kind), 1):  # tensor_type
            for dims in _payloads(_groups(tensor), 2):  # shape
                for dim in _payloads(_groups(dims), 1):
                    size = _groups(dim).get(1, [None])[0]  # dim_value; dim_param leaves it free
                    shape.append(size if isinstance(size, int) else None)
    return (_payloads(groups, 1) or [b""])[0].decode(), tuple(shape)


def _payloads(groups: dict[int, list[Any]], number: int) -> list[bytes]:
    """The texts or messages of a field.

    Raises:
        WireError: one of them is a number.
    """
    values = groups.get(number, [])
    if not all(isinstance(value, bytes) for value in values):
        raise WireError(f"field {number} holds a number instead of a text or message")
    return values


def _copy(number: int, kind: int, payload: bytes) -> bytes:
    """Serializes a field unchanged."""
    if kind == BYTES:
        return put_bytes(number, payload)
    return put_varint(number << 3 | kind) + payload
