"""How decoded frames are handed out: deinterlaced, upright, with square pixels, in colours that the kernels can read.

Where the decoder's planes are such frames already, they are handed out as they lie in memory. Filters of FFmpeg do the rest,
and convert what the kernels don't read to BGR.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
import av.filter
import numpy as np
import numpy.typing as npt

#: AVColorSpace → (name in reports, ``in_color_matrix`` of FFmpeg's scale filter). 0 is RGB, 2 unspecified. As for the
#: ffmpeg program and all releases of OpenCV, a stream without a tag is BT.601.
MATRICES = {
    0: ("rgb", "auto"),
    1: ("bt709", "bt709"),
    2: ("bt601 (untagged)", "bt601"),
    4: ("fcc", "fcc"),
    5: ("bt601", "bt601"),
    6: ("bt601", "bt601"),
    7: ("smpte240m", "smpte240m"),
    8: ("ycgco", ""),
    9: ("bt2020nc", "bt2020"),
}
#: AVColorSpace that FFmpeg's scaler would convert with wrong coefficients, without a word.
REFUSED = {
    10: "BT.2020 constant luminance",
    11: "SMPTE ST 2085 (Y'D'zD'x)",
    12: "a matrix derived from its primaries",
    13: "a constant-luminance matrix derived from its primaries",
    14: "ICtCp",
    15: "IPT-C2",
    16: "YCgCo-R, even addition",
    17: "YCgCo-R, odd addition",
}
#: AVColorTransferCharacteristic of high dynamic range.
HDR = {16: "PQ", 18: "HLG"}
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
#: Pixel formats of FFmpeg → the kernels' names (``frame/colours.py``). Words are little-endian, as every machine here is.
PLANES = {
    "yuv420p": "i420", "yuvj420p": "i420", "yuv422p": "i422", "yuvj422p": "i422", "yuv444p": "i444", "yuvj444p": "i444",
    "yuv420p10le": "i010", "yuv422p10le": "i210", "yuv444p10le": "i410",
    "yuv420p12le": "i012", "yuv422p12le": "i212", "yuv444p12le": "i412",
    "nv12": "nv12", "p010le": "p010",
}  # fmt: skip
#: Of these, those that stay what they are when the image is deinterlaced or turned.
_TURNED = ("yuv420p", "yuv444p", "yuv420p10le", "yuv444p10le", "yuv420p12le", "yuv444p12le")
_KERNELS_MATRIX = {"bt709": "bt709", "bt601": "bt601", "fcc": "fcc", "smpte240m": "smpte240m", "bt2020": "bt2020"}
_UNTAGGED, _YCGCO = 2, 8  # AVCOL_SPC_UNSPECIFIED, AVCOL_SPC_YCGCO
_FULL = 2  # AVCOL_RANGE_JPEG
_MAX_SIDE = 16384


class Unsupported(Exception):
    """The frames can't be converted; ``str(error)`` states the reason and the remedy."""


Plane = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Picture(NamedTuple):
    """A frame, and its presentation time in seconds from the start of the video.

    Attributes:
        image: BGR (H, W, 3), or the planes of ``pixel_format`` (``frame/colours.py``), read-only memory of the decoder. Rows
            are contiguous.
        matrix, full_range: Colours of planes.
    """

    image: npt.NDArray[np.uint8] | tuple[Plane, ...]
    time_s: float
    pixel_format: str = "bgr"
    matrix: str = "bt601"
    full_range: bool = False


@dataclass(frozen=True)
class Look:
    """What determines the filters of a frame; another value needs another filter graph.

    Attributes:
        width, height, pixel_format: Of the decoded frame.
        matrix: AVColorSpace of the frame.
        full_range: Whether the frame has the full range of values.
        turn: Filters that orient the image as the display matrix says.
        aspect: Width of a pixel ÷ its height.
        interlaced: Deinterlace frames that are marked as interlaced.
        lying: Its planes can be read as they lie in memory: rows in ascending order.
    """

    width: int
    height: int
    pixel_format: str
    matrix: int
    full_range: bool
    turn: tuple[str, ...]
    aspect: Fraction
    interlaced: bool
    lying: bool = True

    @property
    def planes(self) -> str | None:
        """The kernels' name of the format in which frames are handed out; None for BGR."""
        name = PLANES.get(self.pixel_format)
        if name is None or MATRICES[self.matrix][1] not in _KERNELS_MATRIX or self.aspect != 1:
            return None
        if not self.interlaced and not self.turn:
            return name if self.lying else None
        # A vertical flip of FFmpeg leaves the rows in descending order.
        return name if self.pixel_format in _TURNED and "vflip" not in self.turn else None

    @property
    def shown_wh(self) -> tuple[int, int]:
        """Width and height of the image as players show it: square pixels, upright, the smaller side enlarged."""
        width, height = self.width, self.height
        if self.aspect > 1:
            width = max(round(width * self.aspect), 1)
        elif self.aspect < 1:
            height = max(round(height / self.aspect), 1)
        if max(width, height) > _MAX_SIDE:
            width, height = self.width, self.height
        return (height, width) if any(step.startswith("transpose") for step in self.turn) else (width, height)

    def filters(self) -> list[tuple[str, str]]:
        """Names and arguments of the filters, in order; none where the decoder's frame is handed out."""
        steps = [("bwdif", "mode=send_frame:deint=interlaced")] if self.interlaced else []
        steps += [(name, arguments) for name, _, arguments in (step.partition("=") for step in self.turn)]
        if self.planes:
            return [*steps, ("format", self.pixel_format)] if steps else []
        level = "full" if self.full_range else "limited"
        if self.matrix == _YCGCO:
            # The scaler doesn't know YCgCo and would take BT.601.
            level_name = "pc" if self.full_range else "tv"
            change = "space=bt709:primaries=bt709:trc=bt709:iprimaries=bt709:itrc=bt709:ispace=ycgco"
            steps.append(("format", "yuv444p"))
            steps.append(("colorspace", f"{change}:irange={level_name}:range={level_name}"))
            matrix = "bt709"
        else:
            matrix = MATRICES[self.matrix][1]
        width, height = self.shown_wh
        rgb = matrix == "auto"
        colours = "" if rgb else f":in_color_matrix={matrix}:in_range={level}"
        steps.append(("scale", f"w={width}:h={height}:flags=bicubic{colours}"))
        return [*steps, ("format", "bgr24")]


def orientation(side_data: bytes | None) -> tuple[str, ...] | None:
    """Filters for a display matrix: one of eight orientations. None: the matrix turns by another angle.

    Args:
        side_data: Nine int32 (a, b, u, c, d, v, x, y, w): a pixel (p, q) is shown at (a p + c q, b p + d q).
    """
    if side_data is None:
        return ()
    a, b, _, c, d = struct.unpack("=5i", side_data[:20])
    most = max(map(abs, (a, b, c, d)))
    if not most:
        return ()
    a, b, c, d = (0 if abs(value) < most / 32 else (1 if value > 0 else -1) for value in (a, b, c, d))
    if not b and not c and a and d:
        return (("hflip",) if a < 0 else ()) + (("vflip",) if d < 0 else ())
    if a or d or not (b and c):
        return None
    # transpose: 0 mirrors at the diagonal, 1 turns clockwise, 2 counter-clockwise, 3 mirrors at the other diagonal.
    return (f"transpose={ {(1, 1): 0, (1, -1): 1, (-1, 1): 2, (-1, -1): 3}[b, c] }".replace(" ", ""),)


class Converter:
    """The filter graph for frames of one look.

    Args:
        look: The look.
        time_base: Time base of the frames.
        matches: Colours of the frames for the graph's input: AVColorSpace and AVColorRange.
    """

    def __init__(self, look: Look, time_base: Fraction, matches: tuple[int, int]) -> None:
        self.look = look
        self._graph: Any = None
        self._hide = False
        if not look.filters():
            return
        graph = av.filter.Graph()
        shape = f"video_size={look.width}x{look.height}:pix_fmt={look.pixel_format}:time_base={time_base}"
        # FFmpeg's scaler refuses to pass YCgCo on to the filter that can convert it, unless its name is hidden.
        self._hide = look.matrix == _YCGCO
        matrix = _UNTAGGED if self._hide else matches[0]
        nodes = [graph.add("buffer", f"{shape}:colorspace={matrix}:range={matches[1]}")]
        nodes += [graph.add(name, arguments) if arguments else graph.add(name) for name, arguments in look.filters()]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        self._graph = graph

    def convert(self, frame: Any | None) -> Iterator[Any]:
        """Puts a frame in (None: the end) and yields the frames that come out."""
        if self._graph is None:
            if frame is not None:
                yield frame
            return
        if self._hide and frame is not None:
            frame.colorspace = _UNTAGGED
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (BlockingIOError, EOFError):
                return


def look_of(frame: Any, aspect: Fraction, turn: tuple[str, ...], interlaced: bool) -> Look:
    """The look of a decoded frame.

    Raises:
        Unsupported: its colours can't be converted.
    """
    name = frame.format.name
    matrix = int(frame.colorspace)
    if frame.format.is_rgb or name.startswith(("gbr", "pal8")):
        matrix = 0
    elif matrix in REFUSED:
        raise Unsupported(
            f"its colours are {REFUSED[matrix]}, which can't be converted here; convert it: ffmpeg -i IN -vf "
            "zscale=matrix=709 OUT.mp4"
        )
    elif matrix not in MATRICES or matrix == 0:
        matrix = 2
    # "yuvj" formats are full range by definition.
    full = int(frame.color_range) == _FULL or name.startswith("yuvj")
    if name.startswith("gray") and not int(frame.color_range):
        full = True  # as the ffmpeg program takes grey without a tag
    lying = all(plane.line_size > 0 for plane in frame.planes)
    return Look(frame.width, frame.height, name, matrix, full, turn, aspect, interlaced, lying)


def picture_of(frame: Any, look: Look, time_s: float) -> Picture:
    """The memory of a frame that a :class:`Converter` yields; not copied."""
    if look.planes is None:
        plane = frame.planes[0]
        shape, strides = (frame.height, frame.width, 3), (plane.line_size, 3, 1)
        image: npt.NDArray[np.uint8] = np.ndarray(shape, np.uint8, buffer=plane, strides=strides)
        return Picture(image, time_s)
    planes = tuple(_samples(plane, look.planes, number) for number, plane in enumerate(frame.planes))
    return Picture(planes, time_s, look.planes, MATRICES[look.matrix][1], look.full_range)


def _samples(plane: Any, pixel_format: str, number: int) -> Plane:
    pairs = number == 1 and pixel_format in ("nv12", "p010")
    dtype = np.dtype(np.uint16 if pixel_format[1:] in ("010", "210", "410", "012", "212", "412") else np.uint8)
    shape = (plane.height, plane.width * (2 if pairs else 1))
    samples: Plane = np.ndarray(shape, dtype, buffer=plane, strides=(plane.line_size, dtype.itemsize))
    samples.flags.writeable = False  # the decoder may still predict other frames from this one
    return samples
