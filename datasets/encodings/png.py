"""Masks as PNG files: grey levels are class numbers, or indices of a palette."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

try:
    from isal import isal_zlib
except ImportError:
    isal_zlib = None  # type: ignore[assignment]

Mask = npt.NDArray[np.uint8]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIGNATURE_AND_IHDR = 8 + 25
_COLOUR_TYPE = 25
_PALETTE = 3
_UP = 2


def encode_png(mask: Mask, rows: Mask | None = None) -> bytes:
    """A mask as PNG, one channel of 8 bits: class numbers.

    >>> encode_png(np.zeros((2, 3), np.uint8))[:4]
    b'\\x89PNG'

    Args:
        mask: uint8 (H, W), not empty.
        rows: Memory to work in, uint8 (H, 1 + W); None allocates.
    """
    height, width = mask.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"".join(
        (_SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", _deflate(_filtered(mask, rows))), *_chunk(b"IEND", b""))
    )


class PngWriter:
    """A PNG of one 8-bit channel, written in strips: the same pixels as :func:`encode_png` of the whole.

    Args:
        file: Where to; not closed.
        height, width: Of the whole, pixels.
        palette_rgb: uint8 (C, 3): numbers are indices of these colours, see :func:`with_palette`.
    """

    def __init__(self, file: BinaryIO, height: int, width: int, palette_rgb: npt.NDArray[np.uint8] | None = None) -> None:
        self._file, self._left = file, height
        self._above = np.zeros(width, np.uint8)
        # Run lengths: see _deflate.
        self._deflate = isal_zlib.compressobj(1) if isal_zlib is not None else zlib.compressobj(6, strategy=zlib.Z_RLE)
        header = struct.pack(">IIBBBBB", width, height, 8, 0 if palette_rgb is None else _PALETTE, 0, 0, 0)
        file.write(b"".join((_SIGNATURE, *_chunk(b"IHDR", header))))
        if palette_rgb is not None:
            file.write(b"".join(_chunk(b"PLTE", _colours(palette_rgb))))

    def add(self, rows: Mask) -> None:
        """Writes the next rows, uint8 (n, W)."""
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(rows[0], self._above, out=filtered[0, 1:])
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        self._above = rows[-1].copy()
        self._left -= len(rows)
        self._write(self._deflate.compress(filtered))

    def close(self) -> None:
        """Ends the file.

        Raises:
            ValueError: rows are missing, or there were too many.
        """
        if self._left:
            raise ValueError(f"PngWriter: {self._left} rows are missing of the height that was stated")
        self._write(self._deflate.flush())
        self._file.write(b"".join(_chunk(b"IEND", b"")))

    def _write(self, data: bytes) -> None:
        if data:
            self._file.write(b"".join(_chunk(b"IDAT", data)))


def _filtered(mask: Mask, rows: Mask | None) -> Mask:
    """The rows as PNG's filter "up" leaves them: the difference to the row above, which is 0 nearly everywhere in a mask."""
    height, width = mask.shape
    if rows is None:
        rows = np.empty((height, 1 + width), np.uint8)
    rows[:, 0] = _UP
    rows[0, 1:] = mask[0]
    np.subtract(mask[1:], mask[:-1], out=rows[1:, 1:])
    return rows


def _deflate(rows: Mask) -> bytes:
    if isal_zlib is not None:
        return bytes(isal_zlib.compress(rows, 1))
    # Run lengths: as small as any strategy on such rows, and the fastest of this library.
    compressor = zlib.compressobj(6, strategy=zlib.Z_RLE)
    return compressor.compress(rows) + compressor.flush()


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, ...]:
    return struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


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
    return b"".join((head, *_chunk(b"PLTE", _colours(palette_rgb)), png[_SIGNATURE_AND_IHDR:]))


def _colours(palette_rgb: npt.NDArray[np.uint8]) -> bytes:
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette_rgb)] = palette_rgb
    return colours.tobytes()
