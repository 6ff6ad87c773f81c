"""Supervisely: a project's ``meta.json``, and for each dataset ``img`` and ``ann`` with a JSON file for each image.

Bitmaps are PNGs in zlib in base64 with an origin. Coordinates are whole pixels, and a shape covers its border, as the
tool's own library draws it.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import RGB
from ..regions.images import Draw, Region, Sample, Source, check_corners, need
from ..regions.reading import Reading, read_json, split_of, top_level_keys
from ..regions.shapes import decode_image, pairs, patch, unbase64

_WITH_AREA = "bitmap, polygon or rectangle"


def recognise(source: Path) -> str | None:
    """Why a folder is a project of Supervisely; None where it isn't."""
    if source.is_dir() and "classes" in top_level_keys(source / "meta.json") and _ann_folders(source):
        return "meta.json has classes, and there are folders ann"
    return None


def read(source: Path, reading: Reading) -> Source:
    """A project's folder. Datasets called train, val, test are splits.

    Raises:
        DataError: another format, an image that is missing, a shape that can't be read.
    """
    meta = read_json(source / "meta.json") if (source / "meta.json").is_file() else {}
    folders = _ann_folders(source)
    if not folders:
        raise DataError(f"{source}: no folder ann with JSON files; expected a project: meta.json, DATASET/img, DATASET/ann")
    entries = need(meta, "classes", list, str(source / "meta.json"))
    where = f"{source / 'meta.json'}: classes"
    classes: dict[str, RGB | None] = {
        str(need(entry, "title", str, where)): _colour(entry.get("color")) for entry in entries
    }
    samples = [
        _sample(file, folder, source, len(folders) > 1, reading)
        for folder in folders
        for file in sorted(folder.glob("*.json"))
    ]
    palette = tuple(colour for colour in classes.values() if colour is not None)
    return Source(samples, tuple(classes), True, palette if palette and len(palette) == len(classes) else None)


def _ann_folders(source: Path) -> list[Path]:
    return sorted(p for p in source.rglob("ann") if p.is_dir() and any(p.glob("*.json"))) if source.is_dir() else []


def _colour(text: Any) -> RGB | None:
    try:
        red, green, blue = bytes.fromhex(str(text).removeprefix("#"))
    except ValueError:
        return None
    return red, green, blue


def _sample(file: Path, folder: Path, source: Path, several: bool, reading: Reading) -> Sample:
    data = read_json(file)
    size = need(data, "size", dict, str(file))
    objects = need(data, "objects", list, str(file))
    # NAME.jpg.json; older projects wrote NAME.json.
    images = folder.parent / "img"
    named = images / file.stem
    path = named if named.is_file() else next((p for p in sorted(images.glob(f"{file.stem}.*")) if p.is_file()), None)
    if path is None:
        raise DataError(f"{file}: its image {named} is missing; download the project with images")
    parts = folder.parent.relative_to(source).parts
    split = split_of(parts)
    # Images of several datasets may have one name.
    name = "_".join([*parts, path.stem]) if several and split is None else path.stem

    def regions(_size: tuple[int, int]) -> list[Region]:
        drawn = []
        for number, entry in enumerate(objects):
            where = f"{file}: object {entry.get('id', number) if isinstance(entry, dict) else number}"
            draw = _drawer(entry, file, where, reading)
            if draw is not None:
                drawn.append(Region(str(need(entry, "classTitle", str, where)), draw, where))
        return drawn

    return Sample(name, path, path.suffix, split, regions, (int(size["height"]), int(size["width"])))


def _drawer(entry: dict[str, Any], file: Path, where: str, reading: Reading) -> Draw | None:
    kind = str(entry.get("geometryType") or ("bitmap" if entry.get("bitmap") else "polygon"))
    if kind == "bitmap":
        bitmap = need(entry, "bitmap", dict, where)
        (x0, y0), *_ = pairs(need(bitmap, "origin", list, where), where).astype(np.int64).tolist()
        return patch(bitmap_mask(need(bitmap, "data", str, where), where), x0, y0, where, reading.clip)
    if kind in ("polygon", "rectangle"):
        points = need(entry, "points", dict, where)
        rings = [pairs(ring, where) for ring in [need(points, "exterior", list, where), *(points.get("interior") or [])]]
        if kind == "rectangle" and len(rings[0]) == 2:
            (x0, y0), (x1, y1) = rings[0]
            rings[0] = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
        return _filled(rings, where, reading.clip)
    reading.skip(kind, file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
    return None


def _filled(rings: list[npt.NDArray[np.float64]], where: str, clip: bool) -> Draw:
    """A polygon with holes, whose borders belong to it and to them: as Supervisely's own library fills it."""
    if len(rings[0]) < 3:
        raise DataError(f"{where}: a polygon needs at least three corners, got {len(rings[0])}")

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        for ring in rings:
            check_corners(ring, size_hw, where, clip)
        mask = np.zeros(size_hw, np.uint8)
        whole = [np.round(ring).astype(np.int32) for ring in rings]
        cv2.fillPoly(mask, whole[:1], 1)
        for hole in whole[1:]:
            cv2.fillPoly(mask, [hole], 0)
        return mask > 0

    return draw


def bitmap_mask(text: str, where: str) -> npt.NDArray[np.bool_]:
    """A bitmap's text → bool (h, w): alpha, where the PNG has it, else what isn't black.

    Raises:
        DataError: not base64, or no PNG inside.
    """
    data = unbase64(text, where)
    try:
        data = zlib.decompress(data)
    except zlib.error:
        pass  # older projects: the PNG itself
    pixels = decode_image(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DataError(f"{where}: its bitmap is not a readable image")
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., 3]
    return np.asarray((pixels.reshape(*pixels.shape[:2], -1) > 0).any(2))
