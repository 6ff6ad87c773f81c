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

from ..frame.colours import BT601, Colours, Image, plane_shapes, sample_type
from .feed import MAX_SIDE

HEADER = struct.Struct(">HBB10xBBxxI")
#: Maximum bytes of a packet without its length field: slightly below the limit of 16 bits.
MTU = 65000
#: Maximum bytes of caps or an event.
MAX_TEXT = 1 << 14

_OVERHEAD = HEADER.size - 2
_FIELD = re.compile(r"\b(format|width|height|framerate|colorimetry)=\((?:string|int|fraction)\)\"?([\w/:-]+)")
#: Requested GStreamer formats → our names.
FORMATS = {
    "BGR": "bgr", "NV12": "nv12", "YUY2": "yuyv", "I420": "i420", "Y42B": "i422", "Y444": "i444", "I420_10LE": "i010",
    "P010_10LE": "p010",
}  # fmt: skip
#: GStreamer's names of colours (video-color.c); others are "range:matrix:transfer:primaries", see GstVideoColorMatrix.
_NAMES = {
    "bt601": Colours("bt601"), "bt709": Colours("bt709"), "smpte240m": Colours("smpte240m"), "bt2020": Colours("bt2020"),
    "bt2020-10": Colours("bt2020"), "bt2100-pq": Colours("bt2020"), "bt2100-hlg": Colours("bt2020"),
}  # fmt: skip
_MATRICES = {"2": "fcc", "3": "bt709", "4": "bt601", "5": "smpte240m", "6": "bt2020"}
#: Height up to which GStreamer takes frames without stated colours for BT.601, and above for BT.709.
_SD_ROWS = 576


class NotFrames(Exception):
    """The bytes are not a valid stream of frames."""


@dataclass(frozen=True)
class Caps:
    """Properties of frames: our name of the format, width and height in pixels, frames per second or None, colours."""

    pixel_format: str
    width: int
    height: int
    fps: float | None
    colours: Colours = BT601

    @classmethod
    def parse(cls, text: str) -> Caps:
        """Parses GStreamer's text form of caps.

        Raises:
            NotFrames: the caps are not raw video, or have a format that was not requested.
        """
        values = dict(_FIELD.findall(text))
        try:
            pixel_format = FORMATS[values["format"]]
            width, height = int(values["width"]), int(values["height"])
        except (KeyError, ValueError):
            raise NotFrames(f"frames of another kind than was asked for: {text[:200]}") from None
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise NotFrames(f"frames of {width}x{height}; sides may be 1 to {MAX_SIDE}")
        over, _, under = values.get("framerate", "0/1").partition("/")
        colours = BT601 if pixel_format == "bgr" else _colours(values.get("colorimetry"), height)
        return cls(pixel_format, width, height, int(over) / int(under or 1) or None, colours)

    @property
    def planes(self) -> list[tuple[int, int, int]]:
        """Rows, bytes of a row and bytes from row to row of each plane: GStreamer aligns rows to multiples of four bytes."""
        sample = np.dtype(sample_type(self.pixel_format)).itemsize
        shapes = plane_shapes(self.pixel_format, self.height, self.width) or [
            (self.height, self.width * (3 if self.pixel_format == "bgr" else 2))
        ]
        return [(rows, sample * columns, (sample * columns + 3) & ~3) for rows, columns in shapes]

    @property
    def size(self) -> int:
        """Bytes of a frame."""
        return sum(rows * stride for rows, _, stride in self.planes)

    def image(self, data: npt.NDArray[np.uint8]) -> Image:
        """The frame in ``data``, uint8 (size,), as views without the padding of the rows."""
        planes, at = [], 0
        for rows, used, stride in self.planes:
            planes.append(data[at : at + rows * stride].reshape(rows, stride)[:, :used])
            at += rows * stride
        if self.pixel_format == "nv12":  # both planes have one stride
            return data.reshape(self.height * 3 // 2, -1)[:, : self.width]
        if len(planes) == 1:
            return planes[0].reshape(self.height, self.width, -1)
        return tuple(plane.view(sample_type(self.pixel_format)) for plane in planes)

    def __str__(self) -> str:
        return f"{self.width}x{self.height} {self.pixel_format}"


def _colours(text: str | None, height: int) -> Colours:
    """Colours of GStreamer's text; as GStreamer does, unknown ones follow from the height.

    Raises:
        NotFrames: a matrix that the kernels don't have.
    """
    default = "bt601" if height <= _SD_ROWS else "bt709"
    if text is None or text in _NAMES:
        return _NAMES[text or default]
    parts = text.split(":")
    matrix = _MATRICES.get(parts[1]) if len(parts) == 4 else None
    if len(parts) == 4 and parts[1] == "0":
        matrix = default
    if matrix is None:
        raise NotFrames(
            f"colours {text}, which can't be converted here; end the pipeline with ! videoconvert ! video/x-raw,format=BGR"
        )
    return Colours(matrix, parts[0] == "1")


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
