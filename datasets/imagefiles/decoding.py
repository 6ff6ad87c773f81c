"""Image files to frames. JPEGs by libjpeg-turbo itself where simplejpeg is installed; everything else by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .header import Bytes, Header, HeaderError
from .tiff import tiff_header

try:
    from simplejpeg import decode_jpeg
except ImportError:
    decode_jpeg = None

Frame = npt.NDArray[np.uint8]

_SCALED = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
_SHARPENING, _NOTHING = np.array([-1, 26, -1], np.float32) / 24, np.ones(1, np.float32)
#: EXIF orientation → whether rows and columns are swapped, and then which axis is mirrored (as cv2.flip counts them).
_UPRIGHT: dict[int, tuple[bool, int | None]] = {
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def scale_for(header: Header, input_hw: tuple[int, int]) -> int:
    """By how much a JPEG may be scaled down in its decoder so that the network's input is still no larger: 1, 2 or 4."""
    if header.format != "jpeg":
        return 1
    (height, width), (input_h, input_w) = header.shown_hw, input_hw
    return next((n for n in (4, 2) if input_h * n <= height and input_w * n <= width), 1)


def scaled_hw(header: Header, scale: int) -> tuple[int, int]:
    """Stored height and width after scaling, before the image is turned upright."""
    height, width = header.size_hw
    return -(-height // scale), -(-width // scale)


def sharpened(frame: Frame, input_hw: tuple[int, int]) -> Frame:
    """What a decoder scaled down, as sharp as if the network's input were made from the whole image.

    Averaging twice, to a pixel of the scaled image and then to one of the input, blurs by 1/12 square pixels more than once
    (the variance of a box of one pixel), except along a side that the input divides. A kernel of -1/24, 13/12, -1/24 takes
    that back.

    Args:
        frame: uint8 (H, W, 3), from :func:`decode` with a scale.
        input_hw: Of the network's input.
    """
    tall, wide = (_SHARPENING if side % wanted else _NOTHING for side, wanted in zip(frame.shape, input_hw, strict=False))
    if tall is wide is _NOTHING:
        return frame
    return np.asarray(cv2.sepFilter2D(frame, -1, wide, tall, borderType=cv2.BORDER_REPLICATE), np.uint8)


def decode(data: Bytes, header: Header, scale: int = 1, name: str = "the image", out: Frame | None = None) -> Frame:
    """uint8 (H, W, 3), BGR, upright (EXIF orientation is applied, as ``seg-edge predict`` does).

    Args:
        data: Content of the file.
        header: Its header.
        scale: 1, or what :func:`scale_for` says.
        name: For errors.
        out: Memory that may be used, uint8 of the stored height and width divided by ``scale``, rounded up, and 3.

    Raises:
        HeaderError: ``bad_image``.
    """
    # Four components are for printing; OpenCV has rules of its own for them, which ``predict`` follows.
    if decode_jpeg is not None and header.format == "jpeg" and header.components != 4:
        frame = _decode_jpeg(data, header, scale, out)
        if frame is not None:
            return frame
    if _is_deep(data):  # OpenCV would divide by 256, which leaves a thermal camera's range a few levels
        raise HeaderError(
            "bad_image", f"{name} has more than 8 bits per channel; map the range that matters to 0..255 first"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _SCALED[scale])
    except cv2.error:
        image = None
    if image is None:
        raise HeaderError(
            "bad_image", f"{name} is a {header.format} file that can't be decoded ({len(data)} bytes); is it whole?"
        )
    return np.asarray(image, np.uint8)


def _is_deep(data: Bytes) -> bool:
    """Whether a file is a PNG of 16 bits, or a TIFF of more than 8."""
    head = bytes(data[:32])
    if head[:8] == b"\x89PNG\r\n\x1a\n":
        return head[24:25] == b"\x10"
    header = tiff_header(bytes(data)) if head[:2] in (b"II", b"MM") else None
    return header is not None and header.bits > 8


def _decode_jpeg(data: Bytes, header: Header, scale: int, out: Frame | None) -> Frame | None:
    """The same pixels as OpenCV's, sooner; None where the file isn't flawless: OpenCV judges those."""
    height, width = scaled_hw(header, scale)
    try:
        frame = decode_jpeg(data, "BGR", min_height=height, min_width=width, min_factor=scale, buffer=out)
    except ValueError:
        return None
    if frame.shape[:2] != (height, width):
        return None
    swapped, mirrored = _UPRIGHT.get(header.orientation, (False, None))
    if swapped:
        frame = cv2.transpose(frame)
    if mirrored is not None:
        frame = cv2.flip(frame, mirrored)
    return np.asarray(frame, np.uint8)
