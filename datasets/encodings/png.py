"""Masks as PNG files: grey levels are class numbers, or indices of a palette."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]

_SIGNATURE_AND_IHDR = 8 + 25
_COLOUR_TYPE = 25
_PALETTE = 3


def encode_png(mask: Mask) -> bytes:
    """A mask as PNG, one channel of 8 bits: class numbers.

    >>> encode_png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'
    """
    # OpenCV's own settings: run lengths. Any compression level, once it is given, is several times slower.
    return cv2.imencode(".png", mask)[1].tobytes()


def with_palette(png: bytes, palette_rgb: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of :func:`encode_png` whose numbers are indices of a palette: the same pixels, shown in colours.

    Grey levels and indices of 8 bits are stored alike: only the header changes, and a palette is put behind it.

    Args:
        png: One channel of 8 bits.
        palette_rgb: uint8 (C, 3). Numbers beyond it are black.
    """
    head = bytearray(png[:_SIGNATURE_AND_IHDR])
    head[_COLOUR_TYPE] = _PALETTE
    head[-4:] = struct.pack(">I", zlib.crc32(head[12:-4]))
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette_rgb)] = palette_rgb
    chunk = b"PLTE" + colours.tobytes()
    return b"".join(
        (head, struct.pack(">I", len(chunk) - 4), chunk, struct.pack(">I", zlib.crc32(chunk)), png[_SIGNATURE_AND_IHDR:])
    )
