"""Numbers and fields against the onnx package's own protobuf."""

from __future__ import annotations

import onnx
import pytest

from seg_edge.runtime.modelfile.wire import BYTES, WireError, fields, put_bytes, put_number, put_varint, signed, varint


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31 - 1, 2**63 - 1, -1, -(2**31)])
def test_numbers_come_back(value):
    data = put_varint(value)
    read, end = varint(data, 0, len(data))
    assert signed(read) == value
    assert end == len(data)


@pytest.mark.parametrize("value", [0, 5, 2**40, -3])
def test_they_are_protobufs_own(value):
    attribute = onnx.AttributeProto()
    attribute.ParseFromString(put_bytes(1, "größe") + put_number(3, value))
    assert (attribute.name, attribute.i) == ("größe", value)


def test_fields_are_found_where_they_are():
    data = put_number(1, 300) + put_bytes(2, b"xyz")
    assert [(number, kind, data[a:b]) for number, kind, a, b in fields(data, 0, len(data))] == [
        (1, 0, b"\xac\x02"), (2, BYTES, b"xyz"),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"\x0a\x05ab", b"\x0f\x00", b"\x02\x00", b"\x08\xff", b"\x08" + b"\xff" * 11])
def test_damage_is_an_error(data):
    with pytest.raises(WireError):
        list(fields(data, 0, len(data)))
