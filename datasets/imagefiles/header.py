"""Image files in memory: their format and size, read from the header before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ...core.errors import DataError

Bytes = bytes | bytearray | memoryview
# Height and width, EXIF orientation, components.
_Said = tuple[tuple[int, int], int, int]

FORMATS = "JPEG, PNG, WebP, BMP or TIFF"
#: Beginning of a file → its format. Those with None are known and not taken.
_MAGIC: dict[bytes, str | None] = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"GIF8": None,
    b"%PDF": None,
    b"\0\0\0\x0cjP  ": None,
    b"II+\0": None,
    b"MM\0+": None,
}
# Of a JPEG before its frame header; real ones have some tens of segments. What a header costs to read is bounded by it.
_MOST_SEGMENTS, _MOST_GARBAGE = 5000, 4096


class HeaderError(DataError):
    """A file that is no image that can be decoded.

    Args:
        code: ``"empty"``, ``"unsupported_media_type"`` or ``"bad_image"``.
        text: The message.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Header:
    """What a file says about itself.

    Attributes:
        format: ``"jpeg"``, ``"png"``, ``"webp"``, ``"bmp"`` or ``"tiff"``.
        size_hw: Height and width as stored, pixels.
        orientation: EXIF orientation, 1 to 8; from 5 on the decoded image has the sides swapped.
        components: Of a JPEG: 1 (grey), 3 (colour) or 4 (for printing).
    """

    format: str
    size_hw: tuple[int, int]
    orientation: int = 1
    components: int = 3

    @property
    def shown_hw(self) -> tuple[int, int]:
        """Height and width of the decoded image."""
        return self.size_hw[::-1] if self.orientation > 4 else self.size_hw


def read_header(data: Bytes, name: str = "the image") -> Header:
    """Format and size of an image file.

    Raises:
        HeaderError: no image of a format that is taken, or a damaged one.
    """
    head = bytes(data[:16])
    if not head:
        raise HeaderError("empty", f"{name} is empty (0 bytes); send a {FORMATS} file")
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "webp"
    if kind is None:
        raise HeaderError(
            "unsupported_media_type", f"{name} begins with {head[:8]!r}, which is no {FORMATS} file; convert it"
        )
    try:
        size_hw, orientation, components = _READERS[kind](memoryview(data))
    except (struct.error, IndexError, ValueError):
        size_hw, orientation, components = (0, 0), 1, 0
    if min(size_hw) < 1:
        raise HeaderError("bad_image", f"{name} is a damaged {kind} file: its header states no size ({len(data)} bytes)")
    return Header(kind, size_hw, orientation if 1 <= orientation <= 8 else 1, components)


def _png(data: memoryview) -> _Said:
    if bytes(data[12:16]) != b"IHDR":
        raise ValueError("no IHDR")
    width, height = struct.unpack_from(">II", data, 16)
    return (height, width), 1, 3


def _bmp(data: memoryview) -> _Said:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
    else:
        width, height = struct.unpack_from("<ii", data, 18)
    return (abs(height), width), 1, 3


def _webp(data: memoryview) -> _Said:
    kind = bytes(data[12:16])
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 " and bytes(data[23:26]) == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("no frame")
    return (height, width), 1, 3


def _tiff(data: memoryview) -> _Said:
    tags = _tags(data)
    return (tags.get(257, 0), tags.get(256, 0)), tags.get(274, 1), 3


def _jpeg(data: memoryview) -> _Said:
    """Walks the segments up to the first frame header, as the decoder does."""
    at, orientation = 2, 1
    for _ in range(_MOST_SEGMENTS):
        garbage = at
        while data[at] != 0xFF:
            at += 1
            if at - garbage > _MOST_GARBAGE:
                raise ValueError("no marker")
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        if marker in (0xD9, 0xDA):
            raise ValueError("no frame header")
        (length,) = struct.unpack_from(">H", data, at)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            return (height, width), orientation, components
        if marker == 0xE1 and bytes(data[at + 2 : at + 8]) == b"Exif\0\0":
            try:
                orientation = _tags(data[at + 8 : at + length]).get(274, 1)
            except (struct.error, IndexError, ValueError):
                orientation = 1
        at += length
    raise ValueError("no frame header")


def _tags(data: memoryview) -> dict[int, int]:
    """The numbers (SHORT and LONG) of a TIFF's first directory."""
    order = {b"II": "<", b"MM": ">"}[bytes(data[:2])] if bytes(data[:2]) in (b"II", b"MM") else ""
    if not order:
        raise ValueError("no byte order")
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, entry)
        if number == 1 and kind in (3, 4):
            tags[tag] = struct.unpack_from(order + ("H" if kind == 3 else "I"), data, entry + 8)[0]
    return tags


_READERS = {"jpeg": _jpeg, "png": _png, "webp": _webp, "bmp": _bmp, "tiff": _tiff}
