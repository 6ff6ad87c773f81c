"""The C kernel that puts a frame's front on another background. Rules for arrays are those of :mod:`..frame.kernels`."""

from __future__ import annotations

import numpy as np

from .._kernels import backdrop as _backdrop
from ..frame.colours import BT601, Colours, Image, frame_hw
from ..frame.kernels import U8

#: Weights 0 and 256 are this far apart in ``front``, both ways from its middle, 128: 16 values.
STEEP = 8


def put_before(
    frame: Image,
    front: U8,
    ground_bgr: U8,
    out: U8 | None = None,
    *,
    steep: int = STEEP,
    pixel_format: str = "bgr",
    colours: Colours = BT601,
    threads: int | None = None,
) -> U8:
    """What stays of a frame, before another background, in one pass over the frame.

    >>> frame, ground = np.full((1, 2, 3), 200, np.uint8), np.full((1, 1, 3), 100, np.uint8)
    >>> put_before(frame, np.array([[0, 255]], np.uint8), ground)[0, :, 0]
    array([100, 200], dtype=uint8)

    Args:
        frame, pixel_format, colours: As in :func:`..frame.kernels.resize`.
        front: uint8, (h, w), C-contiguous, of any size: 0 where the background shows, 255 where the frame does, 128 where
            both do. It is stretched over the frame with bilinear interpolation.
        ground_bgr: uint8, (h, w, 3), rows contiguous, of any size; stretched likewise.
        out: uint8, (H, W, 3), rows contiguous, no overlap with any other array; allocated if None.
        steep: How fast the one goes over into the other: 1 to 255. With v the value of ``front``, the frame's weight is
            ``k = (v - 128) * steep + 128``, cut off to 0 to 256.
        threads: See :mod:`..frame.kernels`.

    Returns:
        uint8, (H, W, 3): ``(frame * k + ground * (256 - k) + 128) >> 8``.

    Raises:
        TypeError, ValueError: an array or number is invalid.
    """
    if out is None:
        out = np.empty((*frame_hw(frame, pixel_format), 3), np.uint8)
    about = pixel_format, colours.matrix, colours.full_range
    _backdrop(frame, front, ground_bgr, steep, out, None, threads or 0, *about)
    return out
