"""Image files as 8-bit frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .exif import orientation, upright
from .kinds import hint
from .ranges import show_value_range
from .tiff import tiff_header

Frame = npt.NDArray[np.uint8]
#: Values that become 0 and 255.
Range = tuple[float, float]


class DeepImageError(DataError):
    """An image of more than 8 bits, and no range that says what 0 and 255 stand for.

    Attributes:
        values: Its lowest and highest value.
    """

    def __init__(self, text: str, values: Range) -> None:
        super().__init__(text)
        self.values = values


def read_image(path: str | Path, value_range: Range | None = None) -> Frame:
    """Reads an image: uint8 (H, W, 3), BGR, turned as its EXIF orientation says.

    Args:
        path: The file.
        value_range: Of images deeper than 8 bits: the values that become 0 and 255; those beyond are cut off.

    Raises:
        DeepImageError: more than 8 bits, and no range.
        DataError: missing, not decodable, other bands than grey, colour and alpha, or a range for images of 8 bits.
    """
    return decode_image(file_bytes(Path(path)), path, value_range)


def decode_image(data: bytes, path: str | Path, value_range: Range | None = None) -> Frame:
    """Decodes an image file: uint8 (H, W, 3), BGR, turned as its EXIF orientation says.

    Args:
        data: Content of the file.
        path: Its path or address, for errors.
        value_range: See :func:`read_image`. Raises as it does.
    """
    path = Path(path)
    header = tiff_header(data)
    if header is not None and (header.bands > 4 or (header.extra > 1)):
        raise DataError(
            f"{path}: the image has {header.bands} bands; expected grey or three colours (and alpha): write the three bands "
            "that matter as an image of their own, the same for every image"
        )
    turn = orientation(data) if data[8:12] == b"WEBP" else 1
    if turn > 1:  # OpenCV 4 shows such files as stored, OpenCV 5 upright
        image = upright(decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION), turn)
    elif header is not None and header.bits > 16:
        image = decode(path, data, cv2.IMREAD_UNCHANGED)  # OpenCV makes three channels of at most 16 bits
    else:
        # Any depth: OpenCV would divide 16 bits by 256, which leaves a thermal camera's range a few levels.
        image = decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype == np.uint8 and (value_range is None or value_range[1] > 255):
        if value_range is not None:
            raise DataError(
                f"{path}: the image has 8 bits, and the range {show_value_range(value_range)} is for deeper ones"
            )
        return np.asarray(image, np.uint8)
    if image.dtype.kind == "f" and np.isnan(image).any():
        raise DataError(f"{path}: the image has pixels that are no numbers; give them a value first")
    if value_range is None:
        low, high = float(image.min()), float(image.max())
        raise DeepImageError(
            f"{path}: the image has {image.dtype} values from {low:.9g} to {high:.9g}; expected 8 bits, or the range of "
            f"values that matters, the same for every image, as in `value_range='{show_value_range((low, high))}'`",
            (low, high),
        )
    return to_8_bits(image, value_range, path)


def to_8_bits(image: npt.NDArray[Any], value_range: Range, path: Path) -> Frame:
    """(H, W) or (H, W, C) of any type → uint8 (H, W, 3): the range's ends become 0 and 255, and what lies beyond too.

    Raises:
        DataError: pixels that are no numbers.
    """
    values = image[..., :3] if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
    low, high = value_range
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    if np.isnan(scaled).any():
        raise DataError(f"{path}: the image has pixels that are no numbers; give them a value first")
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)


def file_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path") from error


def decode(path: Path, data: bytes, flags: int, size: int | None = None) -> npt.NDArray[Any]:
    """The pixels of an image file.

    Args:
        path: For the error's text.
        data: Its content, or what is decoded instead of it.
        flags: OpenCV's.
        size: Of the file; None: of ``data``.

    Raises:
        DataError: not an image, or damaged.
    """
    # imdecode on bytes, because imread prints its own warnings and can't say why it failed.
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:  # its header asks for more pixels than OpenCV takes
        raise DataError(f"{path}: OpenCV can't decode it ({_reason(error)}); replace or remove it") from error
    if image is None:
        cure = hint(data) or "replace or remove it"
        raise DataError(f"{path}: not a readable image ({len(data) if size is None else size} bytes); {cure}")
    return np.asarray(image)


def _reason(error: cv2.error) -> str:
    """An error of OpenCV in one line."""
    return " ".join(str(getattr(error, "err", "") or error).split())[:200]
