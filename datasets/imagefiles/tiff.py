"""What a TIFF file says of its pixels: bands, bits, pages. OpenCV decodes what it can and leaves the rest out in silence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from

_BITS, _PHOTOMETRIC, _SAMPLES = 258, 262, 277
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
    """

    bits: int
    bands: int
    extra: int
    pages: int


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
    return TiffHeader(entries.get(_BITS, 1), bands, bands - base, pages)


def _entries(data: bytes, order: str, start: int) -> Iterator[tuple[int, int]]:
    """Tag → its first number, for tags of whole numbers."""
    (count,) = unpack_from(f"{order}H", data, start)
    for number in range(count):
        at = start + 2 + 12 * number
        tag, kind, values = unpack_from(f"{order}HHI", data, at)
        if kind not in _SIZES or not values:
            continue
        where = at + 8
        if values * _SIZES[kind] > 4:
            (where,) = unpack_from(f"{order}I", data, at + 8)
        yield tag, int(unpack_from(order + _CODES[kind], data, where)[0])


def _pages(data: bytes, order: str, start: int) -> int:
    pages, seen = 0, set()
    while start and start not in seen:
        seen.add(start)
        pages += 1
        (count,) = unpack_from(f"{order}H", data, start)
        (start,) = unpack_from(f"{order}I", data, start + 2 + 12 * count)
    return pages
