"""The format of GStreamer frames in a pipe. The stream itself describes each frame.

``rtpgstpay ! rtpstreampay`` (from GStreamer's good plugins) split a frame into packets. They put the caps (size,
format, rate) before the first frame and before every frame with other caps. Thus the reader always knows the format,
and reads the bytes of a frame directly into its array. A packet consists of (RFC 4571, RFC 3550, gstrtpgstpay.c):

    length of what follows   2 bytes
    RTP                      12: version 2 in the first byte; the marker, in the second, ends a frame or an event
    rtpgstpay                8: bit 7 of the first byte: caps precede the frame; type of event, 0 for frames; 2 bytes
                             of zero; offset within the frame, including its caps
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .feed import MAX_SIDE

HEADER = struct.Struct(">HBB10xBBxxI")
#: Maximum bytes of a packet without its length field: slightly below the limit of 16 bits.
MTU = 65000
#: Maximum bytes of caps or an event.
MAX_TEXT = 1 << 14

_OVERHEAD = HEADER.size - 2
_FIELD = re.compile(r"\b(format|width|height|framerate)=\((?:string|int|fraction)\)([\w/]+)")
#: Requested GStreamer formats → our names, and the bytes per pixel in the first plane.
_FORMATS = {"BGR": ("bgr", 3), "NV12": ("nv12", 1), "YUY2": ("yuyv", 2)}


class NotFrames(Exception):
    """The bytes are not a valid stream of frames."""


@dataclass(frozen=True)
class Caps:
    """Properties of frames: our name of the format, width and height in pixels, frames per second or None."""

    pixel_format: str
    width: int
    height: int
    fps: float | None

    @classmethod
    def parse(cls, text: str) -> Caps:
        """Parses GStreamer's text form of caps.

        Raises:
            NotFrames: the caps are not raw video, or have a format that was not requested.
        """
        values = dict(_FIELD.findall(text))
        try:
            pixel_format = _FORMATS[values["format"]][0]
            width, height = int(values["width"]), int(values["height"])
        except (KeyError, ValueError):
            raise NotFrames(f"frames of another kind than was asked for: {text[:200]}") from None
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise NotFrames(f"frames of {width}x{height}; sides may be 1 to {MAX_SIDE}")
        over, _, under = values.get("framerate", "0/1").partition("/")
        return cls(pixel_format, width, height, int(over) / int(under or 1) or None)

    @property
    def stride(self) -> int:
        """Bytes from row to row. GStreamer aligns rows to multiples of four bytes."""
        pixel = next(size for name, size in _FORMATS.values() if name == self.pixel_format)
        return (pixel * self.width + 3) & ~3

    @property
    def rows(self) -> int:
        """Rows of the array. With NV12, the chroma rows (half as many) follow the luma rows."""
        return self.height * 3 // 2 if self.pixel_format == "nv12" else self.height

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return self.rows * self.stride

    def image(self, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """The frame in ``data``, uint8 (size,), as a view without the padding of the rows."""
        rows = data.reshape(self.rows, self.stride)
        if self.pixel_format == "nv12":
            return rows[:, : self.width]
        channels = 3 if self.pixel_format == "bgr" else 2
        return rows[:, : channels * self.width].reshape(self.height, self.width, channels)

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format}"


@dataclass
class Packet:
    """The header of a packet. ``length``: bytes that are not yet read; ``offset``: their position in the frame."""

    length: int
    last: bool
    has_caps: bool
    is_event: bool
    offset: int
    caps_bytes: int = 0

    @classmethod
    def parse(cls, header: bytes | bytearray) -> Packet:
        """Parses the bytes of a :data:`HEADER`.

        Raises:
            NotFrames: the bytes are not a valid header.
        """
        total, version, marker, flags, event, offset = HEADER.unpack(header)
        if version >> 6 != 2 or total < _OVERHEAD or (event and total - _OVERHEAD > MAX_TEXT):
            raise NotFrames("its process wrote something else than frames")
        has_caps = bool(flags & 0x80) and offset == 0
        return cls(total - _OVERHEAD, bool(marker & 0x80), has_caps, event != 0, offset)

    def take(self, count: int) -> int:
        """Marks ``count`` bytes of caps as read; returns ``count``.

        Raises:
            NotFrames: the packet has fewer bytes, or ``count`` is out of range.
        """
        if not 0 < count <= min(self.length, MAX_TEXT):
            raise NotFrames("its process wrote something else than frames")
        self.length -= count
        self.offset += count
        self.caps_bytes += count
        return count

    def after(self, first: Packet) -> Packet:
        """Returns this packet, marked as a continuation of the frame that began with ``first``."""
        self.caps_bytes = first.caps_bytes
        return self

    def check(self, room: int, filled: int) -> None:
        """Checks that the packet continues the frame at ``filled`` bytes.

        Raises:
            NotFrames: bytes are missing, or there are more than the caps allow.
        """
        if self.is_event or self.offset != filled + self.caps_bytes:
            raise NotFrames("a frame with a piece missing")
        if room != self.length:
            raise NotFrames("a frame with more bytes than its caps say")
