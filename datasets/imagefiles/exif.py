"""The orientation that a camera writes into a photograph: viewers and most tools turn the image by it, some don't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import error as StructError
from struct import unpack_from
from typing import Any

import numpy as np
import numpy.typing as npt

_ORIENTATION = 0x0112

#: Orientation → what a viewer does, for messages.
MEANINGS = {
    2: "mirrored", 3: "rotated by 180°", 4: "mirrored and rotated by 180°", 5: "mirrored and rotated by 90°",
    6: "rotated by 90°", 7: "mirrored and rotated by 90°", 8: "rotated by 270°",
}  # fmt: skip

_STEPS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def orientation(data: bytes) -> int:
    """The EXIF orientation of an image file: 1 (as stored) to 8; 1 where it has none.

    Args:
        data: A JPEG, PNG, WebP or TIFF file.
    """
    try:
        for block in _tiff_blocks(data):
            order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
            if order is None:
                continue
            (start,) = unpack_from(f"{order}I", block, 4)
            (entries,) = unpack_from(f"{order}H", block, start)
            for number in range(entries):
                tag, kind, _count, value = unpack_from(f"{order}HHIH", block, start + 2 + 12 * number)
                if tag == _ORIENTATION and kind == 3 and 1 <= value <= 8:
                    return int(value)
    except StructError:  # ends inside its EXIF block
        pass
    return 1


def _tiff_blocks(data: bytes) -> Iterator[bytes]:
    """What may hold EXIF entries: blocks in TIFF's format."""
    if data[:2] == b"\xff\xd8":
        at = 2
        while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
            (length,) = unpack_from(">H", data, at + 2)
            if data[at + 1] == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
                yield data[at + 10 : at + 2 + length]
            at += 2 + length
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        at = 8
        while at + 8 <= len(data):
            length, kind = unpack_from(">I4s", data, at)
            if kind == b"eXIf":
                yield data[at + 8 : at + 8 + length]
            at += 12 + length
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        at = 12
        while at + 8 <= len(data):
            kind, length = unpack_from("<4sI", data, at)
            if kind == b"EXIF":
                yield data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
            at += 8 + length + length % 2
    elif data[:4] in (b"II*\0", b"MM\0*"):
        yield data


def upright(pixels: npt.NDArray[Any], turned: int) -> npt.NDArray[Any]:
    """Pixels as stored, (H, W) or (H, W, C) → as a viewer shows them; height and width swap from 5 up.

    >>> upright(np.array([[1, 2, 3]]), 6).tolist()
    [[1], [2], [3]]
    """
    step = _STEPS.get(turned)
    return pixels if step is None else np.ascontiguousarray(step(pixels))
