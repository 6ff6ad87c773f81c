"""Layouts of frames in memory, and the colours of those that are not BGR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import UnknownNameError

#: One array, or a tuple of planes.
Image = npt.NDArray[np.uint8] | tuple[npt.NDArray[Any], ...]

#: Formats of frames that the kernels read. Three channels in one array; two or three planes of bytes; of 16-bit words with
#: 10 or 12 bits (P010: in the upper ones).
PIXEL_FORMATS = ("bgr", "nv12", "yuyv", "i420", "i422", "i444", "i010", "i210", "i410", "i012", "i212", "i412", "p010")
#: Matrices: ITU-R BT.601, BT.709, BT.2020 (non-constant luminance), SMPTE 240M, FCC.
MATRICES = ("bt601", "bt709", "bt2020", "smpte240m", "fcc")


@dataclass(frozen=True)
class Colours:
    """What the numbers of a YUV frame mean; of BGR frames it says nothing.

    >>> Colours("bt709").full_range
    False

    Args:
        matrix: One of :data:`MATRICES`.
        full_range: Samples have all values, not the limited range of video (of 8 bits 16 to 235, chroma 16 to 240).

    Raises:
        UnknownNameError: the matrix is unknown.
    """

    matrix: str = "bt601"
    full_range: bool = False

    def __post_init__(self) -> None:
        if self.matrix not in MATRICES:
            raise UnknownNameError("matrix", self.matrix, MATRICES)


BT601 = Colours()


def frame_hw(frame: Image, pixel_format: str = "bgr") -> tuple[int, int]:
    """Height and width of the image in a frame, pixels."""
    if isinstance(frame, tuple):
        height, width = np.shape(frame[0])[:2] if frame else (0, 0)
        return height, width
    height, width = np.shape(frame)[:2]
    return (height * 2 // 3 if pixel_format == "nv12" else height), width


def plane_shapes(pixel_format: str, height: int, width: int) -> list[tuple[int, int]] | None:
    """Shapes of a frame's planes (NV12, P010: u and v side by side); None for formats of a single array."""
    if pixel_format in ("bgr", "yuyv"):
        return None
    if pixel_format in ("nv12", "p010"):
        return [(height, width), (-(-height // 2), 2 * -(-width // 2))]
    rows = -(-height // 2) if pixel_format in ("i420", "i010", "i012") else height
    columns = width if pixel_format in ("i444", "i410", "i412") else -(-width // 2)
    return [(height, width), (rows, columns), (rows, columns)]


def sample_type(pixel_format: str) -> type[np.uint8] | type[np.uint16]:
    """Type of a frame's samples."""
    return np.uint16 if pixel_format in ("i010", "i210", "i410", "i012", "i212", "i412", "p010") else np.uint8


def frame_bytes(pixel_format: str, height: int, width: int) -> int:
    """Bytes of a frame whose rows and planes follow each other without gaps."""
    shapes = plane_shapes(pixel_format, height, width)
    if shapes is None:
        return height * width * (3 if pixel_format == "bgr" else 2)
    return sum(rows * columns for rows, columns in shapes) * np.dtype(sample_type(pixel_format)).itemsize


def frame_of(body: npt.NDArray[np.uint8], pixel_format: str, height: int, width: int) -> Image:
    """The frame in ``body``, uint8 (:func:`frame_bytes`,), as views; NV12 of even sides as one array."""
    shapes = plane_shapes(pixel_format, height, width)
    if shapes is None:
        return body.reshape(height, width, 3 if pixel_format == "bgr" else 2)
    if pixel_format == "nv12" and height % 2 == width % 2 == 0:
        return body.reshape(height * 3 // 2, width)
    planes, at, samples = [], 0, body.view(sample_type(pixel_format))
    for rows, columns in shapes:
        planes.append(samples[at : at + rows * columns].reshape(rows, columns))
        at += rows * columns
    return tuple(planes)
