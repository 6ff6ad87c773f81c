"""Datumaro's JSON: ``annotations/<subset>.json`` with items, images in ``images/<subset>``; CVAT and Geti export it.

Polygons cover the pixels that Datumaro gives them: it rasterizes with pycocotools.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import DataError
from ...core.labels import RGB
from ..regions import runs
from ..regions.images import Draw, Region, Sample, Source, need
from ..regions.reading import ImageFiles, Reading, flat_name, read_json, split_of, top_level_keys
from ..regions.shapes import COCO_CORNERS, coco_polygon, ellipse, pairs, patch, rectangle

_WITH_AREA = "polygon, mask, bbox or ellipse"
#: Annotations of the whole image, not of a place in it.
_OF_IMAGES = ("label", "caption")


def recognise(source: Path) -> str | None:
    """Why a folder or file is Datumaro's JSON; None where it isn't."""
    for file in _files(source)[:5]:
        if {"categories", "items"} <= top_level_keys(file):
            return f"{file.name} has categories and items"
    return None


def read(source: Path, reading: Reading) -> Source:
    """A folder with ``annotations/*.json``, each a subset, or one of its files.

    Raises:
        DataError: another format, an image that is missing, an annotation that can't be read.
    """
    files = _files(source)
    if not files:
        raise DataError(f"{source}: no annotations/*.json; pass Datumaro's folder or one of its annotation files")
    classes: dict[str, RGB | None] = {}
    samples: list[Sample] = []
    for file in files:
        data = read_json(file)
        labels = need(need(need(data, "categories", dict, str(file)), "label", dict, str(file)), "labels", list, str(file))
        names = [str(need(entry, "name", str, f"{file}: labels")) for entry in labels]
        colours = {
            entry["label_id"]: (entry["r"], entry["g"], entry["b"])
            for entry in data["categories"].get("mask", {}).get("colormap", [])
        }
        for number, name in enumerate(names):
            classes.setdefault(name, colours.get(number))
        root = file.parent.parent if file.parent.name == "annotations" else file.parent
        images = ImageFiles(root)
        for item in need(data, "items", list, str(file)):
            samples.append(_sample(item, names, file, root, images, reading))
    palette = tuple(colour for colour in classes.values() if colour is not None)
    return Source(samples, tuple(classes), True, palette if palette and len(palette) == len(classes) else None)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".json" else []
    return sorted((source / "annotations").glob("*.json")) or sorted(source.glob("*.json"))


def _sample(item: dict[str, Any], names: list[str], file: Path, root: Path, images: ImageFiles, reading: Reading) -> Sample:
    name = str(need(item, "id", (str, int), f"{file}: items"))
    where = f"{file}: {name}"
    image = item.get("image")
    if not isinstance(image, dict):
        raise DataError(f"{where}: has no image; export with images")
    said = str(image.get("path") or f"{name}.jpg")
    path = images.find(said, [root / "images" / file.stem, root / "images", root])
    if path is None:
        raise DataError(f"{where}: its image {said} is not in {root / 'images' / file.stem}; export with images")
    size = image.get("size")

    def regions(size_hw: tuple[int, int]) -> list[Region]:
        entries = need(item, "annotations", list, where)
        drawn = []
        for number, entry in sorted(enumerate(entries), key=lambda pair: int(pair[1].get("z_order") or 0)):
            here = f"{where}, annotation {entry.get('id', number)}"
            if entry.get("type") in _OF_IMAGES:
                continue
            draw = _drawer(entry, size_hw, file, here, reading)
            if draw is not None:
                label = entry.get("label_id")
                if not isinstance(label, int) or not 0 <= label < len(names):
                    raise DataError(f"{here}: label_id {label!r} is none of the file's {len(names)} labels")
                drawn.append(Region(names[label], draw, here))
        return drawn

    size_hw = (int(size[0]), int(size[1])) if isinstance(size, list) and len(size) == 2 else None
    return Sample(flat_name(name + path.suffix), path, path.suffix, split_of([file.stem]), regions, size_hw)


def _drawer(entry: dict[str, Any], size_hw: tuple[int, int], file: Path, where: str, reading: Reading) -> Draw | None:
    kind = str(entry.get("type"))
    if kind == "polygon":
        return coco_polygon(pairs(need(entry, "points", list, where), where), where, reading.clip)
    if kind == "mask":
        return patch(runs.decode(need(entry, "rle", dict, where), size_hw, where), 0, 0, where, reading.clip)
    if kind == "bbox":
        x, y, width, height = map(float, need(entry, "bbox", list, where))
        return rectangle((x, y, x + width, y + height), where, reading.clip, rule=coco_polygon)
    if kind == "rotated_bbox":
        cx, cy, width, height, turned = map(float, need(entry, "points", list, where))
        corners = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        return rectangle(corners, where, reading.clip, degrees=turned, rule=coco_polygon)
    if kind == "ellipse":
        (x0, y0), (x1, y1) = pairs(need(entry, "points", list, where), where)
        radii = float(np.abs(x1 - x0)) / 2, float(np.abs(y1 - y0)) / 2
        return ellipse(((x0 + x1) / 2, (y0 + y1) / 2), radii, where, reading.clip, rule=coco_polygon, corners=COCO_CORNERS)
    reading.skip(kind, file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
    return None
