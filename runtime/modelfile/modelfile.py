"""Reads the model spec from an ONNX file without the onnx package, which edge devices lack, and without an engine.

An ONNX file is one protobuf message, ModelProto. The reader walks its top-level fields and skips the graph, which is
nearly all of the file.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from ...core.artefact import onnx_name
from ...core.errors import ModelFileError
from ...core.shipped import hint, shipped
from ...core.spec import METADATA_KEY, ModelSpec
from .planfile import is_plan, read_plan
from .wire import BYTES, Buffer, WireError, fields

# Field numbers of ModelProto and StringStringEntryProto (onnx.proto).
_IR_VERSION, _GRAPH, _METADATA_PROPS = 1, 7, 14
_KEY, _VALUE = 1, 2

#: Precisions of the models in an artefact folder, preferred first: INT8 is the purpose of an export.
FOLDER_ORDER = ("int8", "fp32", "fp16")


def resolve_model(path: str | Path) -> Path:
    """The model file for a path: the file itself, or the model in an artefact folder (int8, else fp32, else fp16).

    Args:
        path: A model file, an artefact folder, or the name of a shipped model.

    Raises:
        ModelFileError: the path does not exist, or the folder holds no model.
    """
    path = shipped(path)
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
            f"{path}: no such file; expected an ONNX file or an artefact folder written by: seg-edge export{hint(path)}"
        )
    return path


def read_spec(path: str | Path) -> ModelSpec:
    """The :class:`ModelSpec` in the metadata of an exported ONNX file; :func:`resolve_model` resolves folders.

    An engine file has no metadata: its spec is in the ``model.json`` in the same folder.

    Raises:
        ModelFileError: the file is missing, not ONNX, damaged, or not exported by seg-edge.
    """
    path = resolve_model(path)
    if is_plan(path):
        return read_plan(path)[0]
    text = read_metadata(path).get(METADATA_KEY)
    if text is None:
        raise ModelFileError(
            f"{path}: not exported by seg-edge: the file has no {METADATA_KEY!r} in its metadata, which says what its "
            "classes and its input are; make one of it with: seg-edge import"
        )
    try:
        return ModelSpec.from_json(text, path)
    except ModelFileError as error:
        message = str(error)
        raise ModelFileError(message if message.startswith(str(path)) else f"{path}: {message}") from error


def read_metadata(path: str | Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file.

    Raises:
        ModelFileError: the file is missing, unreadable, not ONNX, or damaged.
    """
    try:
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ModelFileError(f"{path}: the file is empty; expected an ONNX file; copy or export it again")
            # Mapped instead of read, so that the pages of the weights are never loaded.
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _metadata(data)
    except OSError as error:
        raise ModelFileError(f"{path}: can't be read ({error.strerror}); expected an ONNX file; check the path") from error
    except WireError as error:
        raise ModelFileError(f"{path}: not an ONNX file, or damaged ({error}); copy or export it again") from error


def _metadata(data: Buffer) -> dict[str, str]:
    metadata: dict[str, str] = {}
    seen: set[int] = set()
    for number, kind, start, end in fields(data, 0, len(data)):
        seen.add(number)
        if number == _METADATA_PROPS:
            if kind != BYTES:
                raise WireError(f"metadata of wire type {kind} at byte {start}")
            entry = {key: data[a:b] for key, wire, a, b in fields(data, start, end) if wire == BYTES}
            try:
                metadata[entry.get(_KEY, b"").decode("utf-8")] = entry.get(_VALUE, b"").decode("utf-8")
            except UnicodeDecodeError as error:
                raise WireError(f"metadata at byte {start} is not UTF-8") from error
    if not {_IR_VERSION, _GRAPH} <= seen:
        raise WireError("it has no ONNX version and graph")
    return metadata
