"""Reads zones from files: our own JSON, GeoJSON, LabelMe's JSON, CVAT's XML.

The readers of datasets aren't used: they need the annotated images, and rasterize at those images' size; a zone is polygons
of any frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ...core.errors import DataError, InputError
from ...datasets.regions.images import need
from ...datasets.regions.reading import read_json
from ...datasets.regions.shapes import pairs
from .zones import Points, Zone, Zones

#: Corners of the polygon that a circle or ellipse becomes.
_CORNERS = 128
_EXPECTED = "our own JSON (\"zones\"), GeoJSON, LabelMe's JSON or CVAT's XML"

#: (name, polygons, size_hw)
Part = tuple[str, list[tuple[Points, ...]], "tuple[float, float] | None"]


def read_zones(path: str | Path) -> Zones:
    """The zones of a file; shapes of one name are one zone.

    Coordinates are pixels of the image whose size the file states, and are scaled to frames of other sizes; without a
    size they are pixels of the frame, or fractions of it if all of them lie in 0 to 1. x points right, y down.

    Raises:
        InputError: the file is missing or of another format; a shape without an area; no zones.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"`zones`: {file} is no file; expected {_EXPECTED}")
    parts = list(_cvat(file) if file.suffix.lower() == ".xml" else _json(file))
    if not parts:
        raise InputError(f"{file}: has no zones; expected at least one polygon")
    sizes = {size for _, _, size in parts}
    if len(sizes) > 1:
        raise InputError(f"{file}: its images have {len(sizes)} sizes; expected the zones of one image")
    (size,) = sizes
    corners = np.concatenate([ring for _, polygons, _ in parts for polygon in polygons for ring in polygon])
    if size is None and corners.size and corners.min() >= 0 and corners.max() <= 1:
        size = (1.0, 1.0)
    grouped: dict[str, list[tuple[Points, ...]]] = {}
    for name, polygons, _ in parts:
        grouped.setdefault(name, []).extend(polygons)
    try:
        return Zones([Zone(name, tuple(polygons), size) for name, polygons in grouped.items()])
    except InputError as error:
        raise InputError(f"{file}: {error}") from error


def _json(file: Path) -> Iterator[Part]:
    data = read_json(file)
    if isinstance(data, dict):
        for key, read in (("zones", _own), ("shapes", _labelme), ("features", _geojson)):
            if isinstance(data.get(key), list):
                return read(file, data)
    raise DataError(f"{file}: is none of the known formats; expected {_EXPECTED}")


def _own(file: Path, data: dict[str, Any]) -> Iterator[Part]:
    size = _size(file, data.get("size"))
    for number, entry in enumerate(data["zones"], 1):
        where = f"{file}: zone {number}"
        name = str(need(entry, "name", str, where))
        yield name, [(pairs(need(entry, "polygon", list, where), where),)], size


def _size(file: Path, size: Any) -> tuple[float, float] | None:
    if size is None:
        return None
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, (int, float)) and side > 0 for side in size):
        raise DataError(f"{file}: size: expected [height, width] in pixels, got {size!r}")
    return float(size[0]), float(size[1])


def _geojson(file: Path, data: dict[str, Any]) -> Iterator[Part]:
    size = _size(file, data.get("size"))
    for number, feature in enumerate(data["features"], 1):
        where = f"{file}: feature {number}"
        properties = feature.get("properties") if isinstance(feature, dict) else None
        name = (properties or {}).get("name", (feature if isinstance(feature, dict) else {}).get("id"))
        if name is None:
            raise DataError(f"{where}: has no name in its properties")
        geometry = need(feature, "geometry", dict, where)
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind not in ("Polygon", "MultiPolygon"):
            raise DataError(f"{where}: is a {kind}, which has no area; expected a Polygon or MultiPolygon")
        polygons = [coordinates] if kind == "Polygon" else coordinates
        yield str(name), [tuple(_ring(ring, where) for ring in polygon) for polygon in _lists(polygons, where)], size


def _lists(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or not value or not all(isinstance(entry, list) and entry for entry in value):
        raise DataError(f"{where}: its coordinates are no polygons")
    return value


def _ring(ring: Any, where: str) -> Points:
    """A closed ring without its repeated first point, and without heights."""
    if not isinstance(ring, list) or not all(isinstance(point, list) and len(point) >= 2 for point in ring):
        raise DataError(f"{where}: its coordinates are no polygons")
    points = pairs([point[:2] for point in ring], where)
    return points[:-1] if len(points) > 1 and (points[0] == points[-1]).all() else points


def _labelme(file: Path, data: dict[str, Any]) -> Iterator[Part]:
    size = _size(file, [data["imageHeight"], data["imageWidth"]]) if data.get("imageHeight") else None
    for number, shape in enumerate(data["shapes"]):
        where = f"{file}: shape {number}"
        name, kind = str(need(shape, "label", str, where)), shape.get("shape_type") or "polygon"
        points = pairs(need(shape, "points", list, where), where)
        if kind == "rectangle" and len(points) == 2:
            points = _box(*points.ravel())
        elif kind == "circle" and len(points) == 2:
            radius = math.dist(points[0], points[1])
            points = _ellipse(float(points[0, 0]), float(points[0, 1]), radius, radius)
        elif kind not in ("polygon", "rectangle", "rotation", "oriented_rectangle"):
            raise DataError(f"{where}: is a {kind}; expected a polygon, rectangle or circle")
        yield name, [(points,)], size


def _box(x0: float, y0: float, x1: float, y1: float) -> Points:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def _ellipse(x: float, y: float, rx: float, ry: float) -> Points:
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    return np.stack((x + rx * np.cos(angles), y + ry * np.sin(angles)), axis=1)


def _cvat(file: Path) -> Iterator[Part]:
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{file}: not readable as XML ({error})") from error
    if root.tag != "annotations":
        raise DataError(f"{file}: is no CVAT XML (its root is <{root.tag}>); expected {_EXPECTED}")
    original = root.find(".//original_size")
    for parent in (*root.iter("image"), *root.iter("track")):
        of = parent if parent.tag == "image" else original
        sides = [of.get(key) or of.findtext(key) for key in ("height", "width")] if of is not None else [None, None]
        size = (float(sides[0]), float(sides[1])) if sides[0] and sides[1] else None
        # A zone doesn't move: of a track, its first shape.
        shapes = list(parent) if parent.tag == "image" else list(parent)[:1]
        for number, shape in enumerate(shapes):
            where = f"{file}: {parent.get('name') or parent.get('id')}, {shape.tag} {number}"
            if shape.tag in _CVAT:
                try:
                    yield (shape.get("label") or parent.attrib["label"]), [(_CVAT[shape.tag](shape),)], size
                except (KeyError, ValueError) as error:
                    raise DataError(f"{where}: not as CVAT writes it ({type(error).__name__}: {error})") from error
            elif shape.tag not in ("tag", "attribute"):
                raise DataError(f"{where}: expected a polygon, box or ellipse")


def _cvat_polygon(shape: ElementTree.Element) -> Points:
    return np.array([[float(part) for part in point.split(",")] for point in shape.attrib["points"].split(";")], np.float64)


def _cvat_box(shape: ElementTree.Element) -> Points:
    return _turned(shape, _box(*(float(shape.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))))


def _cvat_ellipse(shape: ElementTree.Element) -> Points:
    return _turned(shape, _ellipse(*(float(shape.attrib[key]) for key in ("cx", "cy", "rx", "ry"))))


def _turned(shape: ElementTree.Element, points: Points) -> Points:
    angle = math.radians(float(shape.get("rotation") or 0))
    centre = points.mean(axis=0)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    return np.asarray((points - centre) @ turn + centre)


_CVAT: dict[str, Callable[[ElementTree.Element], Points]] = {
    "polygon": _cvat_polygon,
    "box": _cvat_box,
    "ellipse": _cvat_ellipse,
}
