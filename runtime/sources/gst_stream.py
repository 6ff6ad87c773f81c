"""Frames of a GStreamer pipeline in a pipe: the stream itself says what each one is.

``rtpgstpay ! rtpstreampay`` (GStreamer's good plugins) cut a frame into packets and put its caps (size, format, rate) in
front of the first frame and of every frame whose caps differ. So there is nothing to guess and nothing to wait for, and a
frame's bytes are still read straight into its own array. A packet is (RFC 4571, RFC 3550, gstrtpgstpay.c):

    length of what follows   2 bytes
    RTP                      12: version 2 in the first byte; the marker, in the second, ends a frame or an event
    rtpgstpay                8: bit 7 of the first byte: caps stand before the frame; type of event, 0 for frames; 2 bytes
                             of zero; offset within the frame, its caps included
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .feed import MAX_SIDE

HEADER = struct.Struct(">HBB10xBBxxI")
#: Bytes of a packet, its length not counted: as many as 16 bits can say, less some reserve.
MTU = 65000
#: A caps text or an event is shorter than this.
MAX_TEXT = 1 << 14

_OVERHEAD = HEADER.size - 2
_FIELD = re.compile(r"\b(format|width|height|framerate)=\((?:string|int|fraction)\)([\w/]+)")
#: GStreamer's formats that are asked for → ours, and the bytes of a pixel in the first plane.
_FORMATS = {"BGR": ("bgr", 3), "NV12": ("nv12", 1), "YUY2": ("yuyv", 2)}


class NotFrames(Exception):
    """Bytes that are not the stream they should be."""


@dataclass(frozen=True)
class Caps:
    """What frames are: our name of their format, width and height in pixels, frames per second or None."""

    pixel_format: str
    width: int
    height: int
    fps: float | None

    @classmethod
    def parse(cls, text: str) -> Caps:
        """Reads GStreamer's own text.

        Raises:
            NotFrames: no raw video, or a format that was not asked for.
        """
        found = dict(_FIELD.findall(text))
        try:
            pixel_format = _FORMATS[found["format"]][0]
            width, height = int(found["width"]), int(found["height"])
        except (KeyError, ValueError):
            raise NotFrames(f"frames of another kind than was asked for: {text[:200]}") from None
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise NotFrames(f"frames of {width}x{height}; sides may be 1 to {MAX_SIDE}")
        over, _, under = found.get("framerate", "0/1").partition("/")
        return cls(pixel_format, width, height, int(over) / int(under or 1) or None)

    @property
    def stride(self) -> int:
        """Bytes from row to row: GStreamer's rows begin at multiples of four bytes."""
        pixel = next(size for name, size in _FORMATS.values() if name == self.pixel_format)
        return (pixel * self.width + 3) & ~3

    @property
    def rows(self) -> int:
        """Rows of the array: those of chroma, half as many, follow those of luma."""
        return self.height * 3 // 2 if self.pixel_format == "nv12" else self.height

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return self.rows * self.stride

    def image(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The frame in ``data``, uint8 (size,): a view, without the bytes between the rows."""
        rows = data.reshape(self.rows, self.stride)
        if self.pixel_format == "nv12":
            return rows[:, : self.width]
        channels = 3 if self.pixel_format == "bgr" else 2
        return rows[:, : channels * self.width].reshape(self.height, self.width, channels)

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format}"


@dataclass
class Packet:
    """One packet's header. ``length``: its bytes that have not been taken yet; ``offset``: where they begin in the frame."""

    length: int
    last: bool
    has_caps: bool
    is_event: bool
    offset: int
    caps_bytes: int = 0

    @classmethod
    def parse(cls, header: bytes | bytearray) -> Packet:
        """Reads :data:`HEADER`'s bytes.

        Raises:
            NotFrames: they are something else.
        """
        total, version, marker, flags, event, offset = HEADER.unpack(header)
        if version >> 6 != 2 or total < _OVERHEAD or (event and total - _OVERHEAD > MAX_TEXT):
            raise NotFrames("its process wrote something else than frames")
        has_caps = bool(flags & 0x80) and offset == 0
        return cls(total - _OVERHEAD, bool(marker & 0x80), has_caps, event != 0, offset)

    def take(self, count: int) -> int:
        """Counts bytes before the frame's own as read; returns how many.

        Raises:
            NotFrames: the packet has fewer.
        """
        if not 0 < count <= min(self.length, MAX_TEXT):
            raise NotFrames("its process wrote something else than frames")
        self.length -= count
        self.offset += count
        self.caps_bytes += count
        return count

    def after(self, first: Packet) -> Packet:
        """The same packet, as one that goes on with a frame."""
        self.caps_bytes = first.caps_bytes
        return self

    def check(self, room: int, filled: int) -> None:
        """Whether the packet goes on where the frame stands.

        Raises:
            NotFrames: bytes are missing, or there are too many for the frame's caps.
        """
        if self.is_event or self.offset != filled + self.caps_bytes:
            raise NotFrames("a frame with a piece missing")
        if room != self.length:
            raise NotFrames("a frame with more bytes than its caps say")
