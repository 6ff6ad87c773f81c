"""Image files of requests: their limits, and errors as the service answers them."""

from __future__ import annotations

from ...datasets.imagefiles import decoding, header
from ...datasets.imagefiles.decoding import Frame, scale_for, scaled_hw
from ...datasets.imagefiles.header import Bytes, Header, HeaderError
from .errors import ApiError
from .workspace import workspace

# Longest side that the kernels take.
_MAX_SIDE = 16384


def open_image(data: Bytes, max_pixels: int, name: str = "the image") -> Header:
    """The header of an image that may be decoded.

    Raises:
        ApiError: ``empty``; ``unsupported_media_type``: no image of a format that is taken; ``bad_image``: a damaged one;
            ``image_too_large``.
    """
    try:
        read = header.read_header(data, name)
    except HeaderError as error:
        raise ApiError(error.code, str(error)) from None
    height, width = read.size_hw
    if height * width > max_pixels or max(height, width) > _MAX_SIDE:
        raise ApiError(
            "image_too_large",
            f"{name} states {width} x {height} pixels; expected at most {max_pixels / 1e6:g} million, and {_MAX_SIDE} a "
            "side; scale it down",
        )
    return read


def decode(
    data: Bytes, about: Header, input_hw: tuple[int, int], scaled: bool, name: str = "the image"
) -> tuple[Frame, int]:
    """A frame, uint8 (H, W, 3), BGR, upright, and by how much it is scaled down: 1, 2 or 4.

    The frame is valid until the thread decodes the next one.

    Args:
        data: The file.
        about: Its header.
        input_hw: Height and width of the network's input.
        scaled: Whether it may be scaled down while it is decoded.
        name: For errors.

    Raises:
        ApiError: ``bad_image``.
    """
    scale = scale_for(about, input_hw) if scaled else 1
    kept = workspace.take("frame", (*scaled_hw(about, scale), 3)) if about.format == "jpeg" else None
    try:
        return decoding.decode(data, about, scale, name, kept), scale
    except HeaderError as error:
        raise ApiError(error.code, str(error)) from None
