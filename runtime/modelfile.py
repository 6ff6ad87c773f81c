"""The model spec out of an ONNX file, read with neither the onnx package nor an engine (an edge device has no onnx).

An ONNX file is one protobuf message, ModelProto. Its top level is walked field by field; the graph, which is nearly all
of the file, is stepped over unread. Wire format: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from ..core.artifact import onnx_name
from ..core.errors import ModelFileError
from ..core.spec import METADATA_KEY, ModelSpec
from .planfile import is_plan, read_plan

# Field numbers of ModelProto and StringStringEntryProto (onnx.proto).
_IR_VERSION, _GRAPH, _METADATA_PROPS = 1, 7, 14
_KEY, _VALUE = 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

#: Which model of an artefact folder is taken, best first: INT8 is what the folder was made for.
FOLDER_ORDER = ("int8", "fp32", "fp16")

Buffer = bytes | mmap.mmap


def resolve_model(path: str | Path) -> Path:
    """The model file that ``path`` stands for: itself, or an artefact folder's ``model.int8.onnx``, else fp32, else fp16.

    Raises:
        ModelFileError: nothing there, or a folder without a model.
    """
    path = Path(path)
    if path.is_dir():
        for name in map(onnx_name, FOLDER_ORDER):
            if (path / name).is_file():
                return path / name
        expected = ", ".join(map(onnx_name, FOLDER_ORDER))
        raise ModelFileError(
            f"{path}: this folder holds no model; expected one of {expected}; write one with: seg-edge export"
        )
    if not path.exists():
        raise ModelFileError(
            f"{path}: no such file; expected an ONNX file or an artefact folder written by: seg-edge export"
        )
    return path


def read_spec(path: str | Path) -> ModelSpec:
    """The :class:`ModelSpec` that an exported ONNX file carries; a folder is resolved by :func:`resolve_model`.

    An engine file carries none: its spec stands in the ``model.json`` beside it.

    Raises:
        ModelFileError: missing, not ONNX, damaged, or not exported by seg-edge.
    """
    path = resolve_model(path)
    if is_plan(path):
        return read_plan(path)[0]
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path}: not exported by seg-edge: the file has no {METADATA_KEY!r} in its metadata, which says what its "
            "classes and its input are; write it with: seg-edge export"
        )
    try:
        return ModelSpec.from_json(text, path)
    except ModelFileError as error:
        message = str(error)
        raise ModelFileError(message if message.startswith(str(path)) else f"{path}: {message}") from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file.

    Raises:
        ModelFileError: missing, unreadable, not ONNX, or damaged.
    """
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ModelFileError(f"{path}: the file is empty; expected an ONNX file; copy or export it again")
            # Mapped, not read: the pages of the weights are never touched.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _metadata(data)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); expected an ONNX file; check the path") from error
    except _WireError as error:
        raise ModelFileError(f"{path}: not an ONNX file, or damaged ({error}); copy or export it again") from error


class _WireError(ValueError):
    """Bytes that are not the protobuf message they should be."""


def _metadata(data: Buffer) -> dict[str, str]:
    found: dict[str, str] = {}
    seen: set[int] = set()
    for number, kind, start, end in _fields(data, 0, len(data)):
        seen.add(number)
        if number == _METADATA_PROPS:
            if kind != _BYTES:
                raise _WireError(f"metadata of wire type {kind} at byte {start}")
            entry = {key: data[a:b] for key, wire, a, b in _fields(data, start, end) if wire == _BYTES}
            try:
                found[entry.get(_KEY, b"").decode("utf-8")] = entry.get(_VALUE, b"").decode("utf-8")
            except UnicodeDecodeError as error:
                raise _WireError(f"metadata at byte {start} is not UTF-8") from error
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise _WireError("it has no ONNX version and graph")
    return found


def _fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields (field number, wire type, payload start, payload end); payloads are not looked at."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise _WireError(f"field number 0 at byte {at}")
        if kind == _VARINT:
            stop = _varint(data, at, end)[1]
        elif kind == _FIXED64:
            stop = at + 8
        elif kind == _FIXED32:
            stop = at + 4
        elif kind == _BYTES:
            size, at = _varint(data, at, end)
            stop = at + size
        else:
            raise _WireError(f"unknown wire type {kind} at byte {at}")
        if stop > end:
            raise _WireError(f"it ends at byte {end}, within a field that needs {stop - end} more bytes")
        yield number, kind, at, stop
        at = stop


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """One base-128 number, low groups first: (value, where the next field starts)."""
    value = 0
    for shift in range(0, 70, 7):  # 64 bits take at most ten groups of seven
        if at >= end:
            raise _WireError(f"it ends at byte {end}, within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _WireError(f"a number longer than 64 bits at byte {at}")
