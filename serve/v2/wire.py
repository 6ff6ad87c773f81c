"""Inference requests and responses as bytes: a JSON header, then raw tensors (the binary data extension)."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...datasets.imagefiles.header import Bytes
from ..work.errors import ApiError

#: Datatype → NumPy's, of the tensors that this service takes and gives.
DTYPES: dict[str, np.dtype[Any]] = {"UINT8": np.dtype("u1"), "FP32": np.dtype("<f4")}


@dataclass
class Tensor:
    """An input as it came: ``data`` is raw bytes, or a list of values from JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Bytes | list[Any]

    def array(self) -> npt.NDArray[Any]:
        """Numbers, in the memory of the request where they came as bytes.

        Raises:
            ApiError: ``bad_request``: data and shape don't fit.
        """
        dtype = DTYPES[self.datatype]
        count = math.prod(self.shape)
        if isinstance(self.data, list):
            try:
                values = np.array(self.data)
                given = np.asarray(values, dtype) if (values == values.astype(dtype)).all() else None
            except (ValueError, TypeError, OverflowError):
                given = None
            if given is None or given.size != count:
                raise self._misfit(f"{len(self.data)} values")
            return given.reshape(self.shape)
        if len(self.data) != count * dtype.itemsize:
            raise self._misfit(f"{len(self.data)} bytes")
        return np.frombuffer(self.data, dtype).reshape(self.shape)

    def elements(self) -> list[Bytes]:
        """The elements of a BYTES tensor.

        Raises:
            ApiError: ``bad_request``.
        """
        found: list[Bytes] = []
        if isinstance(self.data, list):
            # JSON has no bytes: text, one character a byte.
            try:
                found = [str(text).encode("latin-1") for text in self.data]
            except UnicodeEncodeError:
                raise ApiError("bad_request", f"input {self.name}: send BYTES in the binary form") from None
        else:
            view, at = memoryview(self.data), 0
            while at + 4 <= len(view):
                (length,) = struct.unpack_from("<I", view, at)
                found.append(view[at + 4 : at + 4 + length])
                at += 4 + length
            if at != len(view):
                raise self._misfit(f"{len(view)} bytes that end within an element")
        if len(found) != math.prod(self.shape):
            raise self._misfit(f"{len(found)} elements")
        return found

    def _misfit(self, got: str) -> ApiError:
        shape = list(self.shape)
        return ApiError("bad_request", f"input {self.name}: {self.datatype} of shape {shape} expected, got {got}")


@dataclass
class InferRequest:
    """An inference request.

    Attributes:
        id: The client's; "" where it gave none.
        inputs: By name.
        outputs: Name → whether it is wanted as raw bytes; empty: the default ones.
        binary: Whether outputs that say nothing are wanted as raw bytes.
    """

    id: str
    inputs: dict[str, Tensor]
    outputs: dict[str, bool] = field(default_factory=dict)
    binary: bool = False


def read_request(body: Bytes, header_length: str) -> InferRequest:
    """Takes a request apart.

    Args:
        body: The whole body.
        header_length: Value of the header Inference-Header-Content-Length; "": the body is JSON only.

    Raises:
        ApiError: ``bad_request``.
    """
    view = memoryview(body)
    length = len(view)
    if header_length:
        if not (header_length.isascii() and header_length.isdigit()) or int(header_length) > length:
            text = f"Inference-Header-Content-Length: expected a number up to {length}, got {header_length[:40]!r}"
            raise ApiError("bad_request", text)
        length = int(header_length)
    try:
        head = json.loads(bytes(view[:length]))
        tail = view[length:]
        binary = _flag(head.get("parameters"), "binary_data_output")
        outputs = {
            str(output["name"]): _flag(output.get("parameters"), "binary_data", binary)
            for output in head.get("outputs") or []
        }
        request = InferRequest(str(head.get("id") or ""), {}, outputs, binary)
        for row in head["inputs"]:
            shape = tuple(int(side) for side in row["shape"])
            if any(side < 0 for side in shape) or len(shape) > 8:
                raise ValueError(f"shape {row['shape']}")
            size = (row.get("parameters") or {}).get("binary_data_size")
            data: Bytes | list[Any]
            if size is None:
                data = _flat(row["data"])
            else:
                if not 0 <= int(size) <= len(tail):
                    raise ValueError(f"input {row['name']}: binary_data_size {size}, but {len(tail)} bytes are left")
                data, tail = tail[: int(size)], tail[int(size) :]
            request.inputs[str(row["name"])] = Tensor(str(row["name"]), str(row["datatype"]), shape, data)
        if len(tail):
            raise ValueError(f"{len(tail)} bytes follow the last input")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        text = f"missing key {error}" if isinstance(error, KeyError) else str(error)
        raise ApiError("bad_request", f"not an inference request of the Open Inference Protocol: {text}") from None
    return request


def write_response(
    head: Mapping[str, Any], outputs: Sequence[tuple[str, npt.NDArray[Any], bool]]
) -> tuple[bytes, int | None]:
    """A response as bytes.

    Args:
        head: Its JSON but for the outputs.
        outputs: Name, array and whether it is wanted as raw bytes.

    Returns:
        The body, and the length of its JSON part; None where there is nothing else.
    """
    names = {dtype: name for name, dtype in DTYPES.items()}
    rows: list[dict[str, Any]] = []
    blobs: list[memoryview] = []
    for name, array, binary in outputs:
        array = np.ascontiguousarray(array)
        row: dict[str, Any] = {"name": name, "datatype": names[array.dtype], "shape": list(array.shape)}
        if binary:
            row["parameters"] = {"binary_data_size": array.nbytes}
            blobs.append(array.data.cast("B"))
        else:
            row["data"] = array.ravel().tolist()
        rows.append(row)
    text = json.dumps({**head, "outputs": rows}, separators=(",", ":")).encode()
    return b"".join((text, *blobs)), len(text) if blobs else None


def _flag(parameters: Any, name: str, default: bool = False) -> bool:
    return bool((parameters or {}).get(name, default))


def _flat(data: Any) -> list[Any]:
    """Nested lists flattened; the protocol allows both."""
    if not isinstance(data, list):
        raise ValueError("data must be a list")
    while data and isinstance(data[0], list):
        data = [value for part in data for value in part]
    return list(data)
