"""LabelMe: one JSON file beside each image (github.com/wkentaro/labelme; Russell et al., 2008)."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from .images import BACKGROUND, Picture, Region, Source, need, polygon

#: Names that LabelMe's own converters give a meaning.
_VOID, _NOTHING = "__ignore__", "_background_"
_SPLITS = ("train", "val", "test")


def read(source: Path, clip: bool) -> Source:
    """A folder of LabelMe files; sub-folders train, val and test are splits. ``labels.txt`` gives the classes' order.

    Raises:
        DataError: no such files, another format, an image that is missing.
    """
    files = sorted(source.rglob("*.json")) if source.is_dir() else []
    if not files:
        raise DataError(f"{source}: no .json files in this folder; expected LabelMe's, one beside each image")
    pictures, names = [], set()
    for file in files:
        data = _load(file)
        picture, used = _picture(file, data, source, clip)
        pictures.append(picture)
        names |= used
    listed = source / "labels.txt"
    if listed.is_file():
        classes = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        classes = sorted(names)
    # "_background_" says what unlabelled pixels are: drawn over something, it takes it away.
    ordered = tuple(dict.fromkeys(BACKGROUND if c == _NOTHING else c for c in classes if c != _VOID))
    return Source(pictures, ordered, True, void=frozenset({_VOID}))


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(data, dict) or "shapes" not in data:
        raise DataError(f"{file}: has no shapes; expected a file of LabelMe")
    return data


def _picture(file: Path, data: dict[str, Any], root: Path, clip: bool) -> tuple[Picture, set[str]]:
    name = need(data, "imagePath", str, str(file)).replace("\\", "/")
    path = file.parent / name
    image: Path | bytes = path
    if not path.is_file():
        if not data.get("imageData"):
            raise DataError(f"{file}: its image {path} is missing, and none is inside the file; put it there")
        image = _bytes(data["imageData"], f"{file}: imageData")
    regions, names = [], set()
    for number, shape in enumerate(need(data, "shapes", list, str(file))):
        where = f"{file}: shape {number}"
        label = str(need(shape, "label", str, where))
        label = BACKGROUND if label == _NOTHING else label
        names.add(label)
        regions.append(Region(label, _drawer(shape, where, clip), where))
    inside = file.relative_to(root).parts[0]
    size = data.get("imageHeight"), data.get("imageWidth")
    picture = Picture(
        file.stem, image, Path(name).suffix or ".png", inside if inside in _SPLITS else None, lambda _size: regions,
        (int(size[0]), int(size[1])) if isinstance(size[0], int) and isinstance(size[1], int) else None,
    )  # fmt: skip
    return picture, names


def _bytes(text: Any, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise DataError(f"{where}: not base64 ({error})") from error


def _drawer(shape: dict[str, Any], where: str, clip: bool) -> Callable[[tuple[int, int]], npt.NDArray[np.bool_]]:
    kind = shape.get("shape_type") or "polygon"
    try:
        points = np.array(need(shape, "points", list, where), np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: points must be pairs of numbers ({error})") from error
    if kind == "polygon":
        return polygon(points, where, clip)
    if len(points) != 2 and kind in ("rectangle", "circle", "mask"):
        raise DataError(f"{where}: a {kind} has two points, got {len(points)}")
    if kind == "rectangle":
        (x0, y0), (x1, y1) = points
        return polygon(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]), where, clip)
    if kind == "circle":
        centre, radius = points[0], float(np.hypot(*(points[1] - points[0])))
        angles = np.linspace(0, 2 * math.pi, 128, endpoint=False)
        return polygon(centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1), where, clip)
    if kind == "mask":
        return _mask(shape, points, where)
    raise DataError(
        f"{where}: a {kind} has no area; expected polygon, rectangle, circle or mask; remove it or draw it as a polygon"
    )


def _mask(
    shape: dict[str, Any], points: npt.NDArray[np.float64], where: str
) -> Callable[[tuple[int, int]], npt.NDArray[np.bool_]]:
    """A picture of 0 and not 0 inside the box of two corners, both included."""
    data = np.frombuffer(_bytes(need(shape, "mask", str, where), where), np.uint8)
    inside = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    x0, y0 = (int(round(float(v))) for v in points[0])
    if inside is None:
        raise DataError(f"{where}: its mask is not a readable image")

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        height, width = inside.shape[:2]
        if x0 < 0 or y0 < 0 or x0 + width > size_hw[1] or y0 + height > size_hw[0]:
            raise DataError(f"{where}: its mask of {width}x{height} at ({x0}, {y0}) leaves the picture")
        full = np.zeros(size_hw, bool)
        full[y0 : y0 + height, x0 : x0 + width] = inside > 0
        return full

    return draw
