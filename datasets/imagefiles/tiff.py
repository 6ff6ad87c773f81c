"""What a TIFF file says of its pixels: bands, bits, pages. OpenCV decodes what it can and leaves the rest out in silence."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from
from typing import Any

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STARTS, _SAMPLES, _BYTES, _PREDICTOR = (
    256, 257, 258, 259, 262, 273, 277, 279, 317,
)  # fmt: skip
_PLAIN, _DEFLATE = 1, (8, 32946)
#: Photometric interpretations that have one band: white is 0, black is 0, palette.
_ONE_BAND = (0, 1, 3)
_RGB = 2
#: Bytes of an entry's value by its type.
_SIZES = {1: 1, 3: 2, 4: 4}
_CODES = {1: "B", 3: "H", 4: "I"}


@dataclass(frozen=True)
class TiffHeader:
    """The first page of a file.

    Attributes:
        bits: Bits of a sample.
        bands: Samples of a pixel.
        extra: Bands beside grey or colour: alpha, near infrared, …
        pages: Pages in the file.
        colour_map: Whether pixels are indices into colours.
    """

    bits: int
    bands: int
    extra: int
    pages: int
    colour_map: bool = False


def tiff_header(data: bytes) -> TiffHeader | None:
    """Reads the header; None where it is no TIFF file, or ends in its header."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    try:
        (start,) = unpack_from(f"{order}I", data, 4)
        entries = dict(_entries(data, order, start))
        pages = _pages(data, order, start)
    except StructError:
        return None
    bands = entries.get(_SAMPLES, 1)
    base = {_RGB: 3}.get(entries.get(_PHOTOMETRIC, 1), bands)
    if entries.get(_PHOTOMETRIC, 1) in _ONE_BAND:
        base = 1
    return TiffHeader(entries.get(_BITS, 1), bands, bands - base, pages, entries.get(_PHOTOMETRIC) == 3)


def few_bits(data: bytes) -> npt.NDArray[np.uint8] | None:
    """The stored values of a file of one band of 1, 2 or 4 bits in strips: uint8 (H, W); None where it is packed otherwise.

    OpenCV refuses 2 bits and 4 without colours, and makes grey of 1 bit with colours.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}[data[:4]]
    try:
        (start,) = unpack_from(f"{order}I", data, 4)
        first, every = dict(_entries(data, order, start)), dict(_entries(data, order, start, True))
        bits, packing = first.get(_BITS, 1), first.get(_COMPRESSION, _PLAIN)
        if packing not in (_PLAIN, *_DEFLATE) or first.get(_PREDICTOR, 1) != 1 or first.get(_PHOTOMETRIC, 1) == 0:
            return None
        strips = [data[at : at + size] for at, size in zip(every[_STARTS], every[_BYTES], strict=True)]
        raw = b"".join(strips if packing == _PLAIN else map(zlib.decompress, strips))
        width, height = first[_WIDTH], first[_HEIGHT]
        line = -(-width * bits // 8)
        rows = np.frombuffer(raw[: line * height], np.uint8).reshape(height, line, 1)
    except (KeyError, StructError, ValueError, zlib.error):
        return None
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    values = (rows >> shifts) & np.uint8((1 << bits) - 1)
    return np.ascontiguousarray(values.reshape(height, -1)[:, :width])


def _entries(data: bytes, order: str, start: int, every: bool = False) -> Iterator[tuple[int, Any]]:
    """Tag → its first number, for tags of whole numbers; or all its numbers."""
    (count,) = unpack_from(f"{order}H", data, start)
    for number in range(count):
        at = start + 2 + 12 * number
        tag, kind, values = unpack_from(f"{order}HHI", data, at)
        if kind not in _SIZES or not values:
            continue
        where = at + 8
        if values * _SIZES[kind] > 4:
            (where,) = unpack_from(f"{order}I", data, at + 8)
        numbers = unpack_from(order + _CODES[kind] * (values if every else 1), data, where)
        yield tag, numbers if every else int(numbers[0])


def _pages(data: bytes, order: str, start: int) -> int:
    pages, seen = 0, set()
    while start and start not in seen:
        seen.add(start)
        pages += 1
        (count,) = unpack_from(f"{order}H", data, start)
        (start,) = unpack_from(f"{order}I", data, start + 2 + 12 * count)
    return pages
