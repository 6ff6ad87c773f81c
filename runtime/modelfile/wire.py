"""The part of protobuf's wire format that ONNX files use, because edge devices have neither protobuf nor onnx.

A message is a sequence of fields. Each field is a tag (field number and wire type) and a payload. Specification:
https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Buffer = bytes | mmap.mmap


class WireError(ValueError):
    """Bytes that are not a valid protobuf message."""


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields (field number, wire type, payload start, payload end); payloads are not read.

    Raises:
        WireError: a field is cut off or has an unknown wire type.
    """
    at = start
    while at < end:
        tag, at = varint(data, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise WireError(f"field number 0 at byte {at}")
        if kind == VARINT:
            stop = varint(data, at, end)[1]
        elif kind == FIXED64:
            stop = at + 8
        elif kind == FIXED32:
            stop = at + 4
        elif kind == BYTES:
            size, at = varint(data, at, end)
            stop = at + size
        else:
            raise WireError(f"unknown wire type {kind} at byte {at}")
        if stop > end:
            raise WireError(f"it ends at byte {end}, within a field that needs {stop - end} more bytes")
        yield number, kind, at, stop
        at = stop


def varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """Reads one base-128 number, low groups first: (value, position after it).

    Raises:
        WireError: the number is cut off, or longer than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):  # 64 bits take at most ten groups of seven
        if at >= end:
            raise WireError(f"it ends at byte {end}, within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise WireError(f"a number longer than 64 bits at byte {at}")


def signed(value: int) -> int:
    """Converts the value of a varint to a signed integer; negative numbers use all 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def put_varint(value: int) -> bytes:
    """The inverse of :func:`varint`; negative numbers are written in 64-bit two's complement."""
    value &= (1 << 64) - 1
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def put_number(number: int, value: int) -> bytes:
    """Serializes a field that holds one integer."""
    return put_varint(number << 3 | VARINT) + put_varint(value)


def put_bytes(number: int, payload: bytes | str) -> bytes:
    """Serializes a field that holds text (as UTF-8), bytes or another message."""
    raw = payload.encode("utf-8") if isinstance(payload, str) else payload
    return put_varint(number << 3 | BYTES) + put_varint(len(raw)) + raw
