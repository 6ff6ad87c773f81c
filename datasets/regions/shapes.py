"""Shapes that several tools have beside polygons: rectangles, ellipses, masks inside a box."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .images import Draw, check_corners, polygon
from .runs import fill_polygons

#: Points float (N, 2), where, clip → what draws the polygon.
Rule = Callable[[npt.NDArray[np.float64], str, bool], Draw]


def coco_polygons(parts: Sequence[npt.NDArray[np.float64]], where: str, clip: bool) -> Draw:
    """The union of polygons, each float (N, 2), by pycocotools' rule; see :func:`.runs.fill_polygons`.

    Raises:
        DataError: fewer than three corners, no numbers; when drawn: a corner outside the image.
    """
    for points in parts:
        if len(points) < 3 or not np.isfinite(points).all():
            raise DataError(
                f"{where}: a polygon needs at least three corners with finite coordinates, got {points.tolist()}"
            )

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        for points in parts:
            check_corners(points, size_hw, where, clip)
        return fill_polygons([points.ravel().tolist() for points in parts], size_hw)

    return draw


#: Corners of the polygon that Datumaro makes of an ellipse.
COCO_CORNERS = 719


def coco_polygon(points: npt.NDArray[np.float64], where: str, clip: bool) -> Draw:
    """:func:`coco_polygons` of one."""
    return coco_polygons([points], where, clip)


def rectangle(
    corners: tuple[float, float, float, float], where: str, clip: bool, *, degrees: float = 0.0, about: str = "centre",
    rule: Rule = polygon,
) -> Draw:  # fmt: skip
    """The pixels of a rectangle between two corners.

    Args:
        corners: x0, y0, x1, y1 of opposite corners, pixels.
        where: For messages.
        clip: See :func:`.images.polygon`.
        degrees: Rotation, clockwise on the screen.
        about: It turns around its ``"centre"`` (CVAT) or its first ``"corner"`` (Label Studio).
        rule: Which pixels belong to a polygon.
    """
    x0, y0, x1, y1 = corners
    points = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)
    pivot = points.mean(0) if about == "centre" else points[0]
    return rule(_turned(points - pivot, degrees) + pivot if degrees else points, where, clip)


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], where: str, clip: bool, *, degrees: float = 0.0,
    rule: Rule = polygon,
    corners: int = 128,
) -> Draw:  # fmt: skip
    """The pixels of an ellipse, drawn as a polygon.

    Args:
        centre: x and y, pixels.
        radii: Half axes along x and y, pixels.
        where, clip, rule: See :func:`rectangle`.
        degrees: Rotation, clockwise on the screen.
        corners: Of the polygon.
    """
    angles = np.linspace(0, 2 * math.pi, corners, endpoint=False)
    points = np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], 1)
    return rule(_turned(points, degrees) + np.array(centre, np.float64), where, clip)


def pairs(points: Any, where: str) -> npt.NDArray[np.float64]:
    """Pairs of numbers as float (N, 2).

    Raises:
        DataError: they are none.
    """
    try:
        return np.array(points, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: points must be pairs of numbers ({error})") from error


def _turned(points: npt.NDArray[np.float64], degrees: float) -> npt.NDArray[np.float64]:
    # y points down, so this matrix turns clockwise on the screen.
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    return np.asarray(points @ np.array([[cosine, sine], [-sine, cosine]], np.float64))


def patch(inside: npt.NDArray[np.bool_], x0: int, y0: int, where: str, clip: bool) -> Draw:
    """A mask that covers a part of the image.

    Args:
        inside: bool (h, w).
        x0, y0: The image's pixel under its first one.
        where: For messages.
        clip: Cut off what leaves the image.

    Raises:
        DataError: when drawn: it leaves the image.
    """

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        height, width = inside.shape
        if not clip and (x0 < 0 or y0 < 0 or x0 + width > size_hw[1] or y0 + height > size_hw[0]):
            raise DataError(
                f"{where}: its mask of {width}x{height} at ({x0}, {y0}) leaves the image of {size_hw[1]}x{size_hw[0]}; "
                "correct it, or cut it off with `clip=True`"
            )
        full = np.zeros(size_hw, bool)
        top, left = max(y0, 0), max(x0, 0)
        bottom, right = min(y0 + height, size_hw[0]), min(x0 + width, size_hw[1])
        if top < bottom and left < right:
            full[top:bottom, left:right] = inside[top - y0 : bottom - y0, left - x0 : right - x0]
        return full

    return draw


def unbase64(text: Any, where: str) -> bytes:
    """The bytes of a text in base64.

    Raises:
        DataError: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise DataError(f"{where}: not base64 ({error})") from error


def decode_image(data: bytes, flags: int) -> npt.NDArray[np.uint8] | None:
    """An image file's pixels as OpenCV gives them; None where it can't decode it."""
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None  # type: ignore[return-value]
    except cv2.error:  # more pixels than OpenCV takes
        return None


#: First bytes of an image file → its suffix.
_MAGIC = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"BM": ".bmp", b"II": ".tif", b"MM": ".tif", b"RI": ".webp"}


def suffix_of(data: bytes) -> str:
    """The suffix of an image file's format, with the dot; ``.png`` where it is not known."""
    return _MAGIC.get(data[:2], ".png")
