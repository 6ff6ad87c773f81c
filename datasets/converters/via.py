"""VGG Image Annotator: JSON, CSV and project files of version 2 (and 1), project files and CSV of version 3.

Dutta and Zisserman, "The VIA Annotation Software for Images, Audio and Video" (2019).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ..regions.images import Draw, Region, Sample, Source, need, polygon
from ..regions.reading import READ_WHOLE, ImageFiles, Reading, base_name, read_json, read_text, split_of
from ..regions.shapes import ellipse, pairs, rectangle

_WITH_AREA = "polygon, rect, circle or ellipse"
_HEADER_3 = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
#: Names of attributes that mean the class, where regions have several.
_CLASS_KEYS = ("class", "label", "category", "name", "type", "object", "object_type", "class_name", "label_name")
#: Shapes of version 3 by their number.
_SHAPES_3 = {
    1: "point", 2: "rect", 3: "circle", 4: "ellipse", 5: "line", 6: "polyline", 7: "polygon", 8: "extreme rect",
    9: "extreme circle",
}  # fmt: skip
#: Of the shapes of version 3 that are stored as numbers of their own: VIA 2's names of them.
_KEYS_3 = {"rect": ("x", "y", "width", "height"), "circle": ("cx", "cy", "r"), "ellipse": ("cx", "cy", "rx", "ry")}
_DEGREES = 180 / np.pi

#: (file name, shapes); a shape is (its attributes by VIA 2's names, the region's attributes, place for messages).
Entry = tuple[str, list[tuple[dict[str, Any], dict[str, Any], str]]]


def recognise(source: Path) -> str | None:
    """Why a folder or file is VIA's; None where it isn't."""
    for file in _files(source)[:50]:
        if file.suffix == ".csv":
            with file.open(encoding="utf-8-sig", errors="replace") as stream:
                head = "".join(islice(stream, 20))
            for words in ("region_shape_attributes", _HEADER_3):
                if words in head:
                    return f"{file.name} has {words.removeprefix('# ')[:40]}"
        elif file.stat().st_size <= READ_WHOLE and _entries_of_json(file, strict=False):
            return f"{file.name} has regions with shape_attributes, or VIA's metadata"
    return None


def read(source: Path, reading: Reading) -> Source:
    """VIA files in a folder (beside the images, or one in each of ``train`` and ``val``), or one of them.

    The class is the region attribute that all regions share; of several, the one called class, label, name, …

    Raises:
        DataError: another format, an image that is missing, no attribute that says the class.
    """
    found: list[tuple[Path, list[Entry]]] = []
    for file in _files(source):
        entries = _entries_of_csv(file) if file.suffix == ".csv" else _entries_of_json(file, strict=source.is_file())
        if entries:
            found.append((file, entries))
    if not found:
        raise DataError(f"{source}: no file of VIA; expected its JSON, CSV or project file")
    files_of = Counter(file.parent for file, _ in found)
    if (folder := max(files_of, key=lambda f: files_of[f])) and files_of[folder] > 1:
        names = ", ".join(file.name for file, _ in found if file.parent == folder)
        raise DataError(f"{folder}: has several files of VIA ({names}); pass the right one")
    regions = [region for _, entries in found for _, own in entries for region in own]
    key = _class_key([attributes for _, attributes, _ in regions], found[0][0], reading)
    root = source if source.is_dir() else source.parent
    samples, classes = [], set()
    for file, entries in found:
        images = ImageFiles(file.parent)
        for name, own in entries:
            labelled = [(_label(attributes, key, where), shape, where) for shape, attributes, where in own]
            classes |= {label for label, _, _ in labelled}
            samples.append(_sample(name, labelled, images, file, root, reading))
    return Source(samples, tuple(sorted(classes)), True)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix in (".json", ".csv") else []
    return sorted(p for pattern in ("*.json", "*.csv", "*/*.json", "*/*.csv") for p in source.glob(pattern))


def _entries_of_json(file: Path, strict: bool) -> list[Entry]:
    """The images of a JSON file; none where it is not VIA's, or an error if ``strict``."""
    try:
        data = read_json(file)
    except DataError:
        if strict:
            raise
        return []
    if not isinstance(data, dict):
        return []
    if isinstance(data.get("file"), dict) and isinstance(data.get("metadata"), dict) and "view" in data:
        return _entries_of_3(data, file)
    entries = data.get("_via_img_metadata", data)
    if not isinstance(entries, dict) or not entries:
        return []
    if not all(isinstance(entry, dict) and {"filename", "regions"} <= set(entry) for entry in entries.values()):
        return []
    result: list[Entry] = []
    for entry in entries.values():
        # Version 1 has a dictionary of regions.
        regions = entry["regions"].values() if isinstance(entry["regions"], dict) else entry["regions"]
        name = str(entry["filename"])
        own = []
        for number, region in enumerate(regions):
            where = f"{file}: {name}, region {number}"
            shape = need(region, "shape_attributes", dict, where)
            own.append((shape, region.get("region_attributes") or {}, where))
        result.append((name, own))
    return result


def _entries_of_csv(file: Path) -> list[Entry]:
    text = read_text(file)
    if _HEADER_3 in text:
        return _entries_of_csv_3(text, file)
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or "region_shape_attributes" not in rows[0]:
        return []
    entries: dict[str, Any] = {}
    for number, row in enumerate(rows, 2):
        where = f"{file}:{number}"
        name = str(row.get("filename") or row.get("#filename") or "")
        own = entries.setdefault(name, [])
        try:
            shape = json.loads(row["region_shape_attributes"] or "{}")
            attributes = json.loads(row.get("region_attributes") or "{}")
        except ValueError as error:
            raise DataError(f"{where}: its attributes are not JSON ({error})") from error
        if shape:  # an image without regions has a row too
            own.append((shape, attributes, where))
    return list(entries.items())


def _entries_of_3(data: dict[str, Any], file: Path) -> list[Entry]:
    names = {number: need(entry, "fname", str, f"{file}: file") for number, entry in data["file"].items()}
    attributes = data.get("attribute") or {}
    files_of = {number: [str(f) for f in view.get("fid_list", [])] for number, view in data["view"].items()}
    entries: dict[str, Any] = {name: [] for name in names.values()}
    for key, entry in data["metadata"].items():
        numbers = files_of.get(str(entry.get("vid")), [])
        coordinates = entry.get("xy") or []
        where = f"{file}: metadata {key}"
        if not coordinates:
            continue  # a segment of time, or an attribute of the file
        if len(numbers) != 1 or numbers[0] not in names or entry.get("z"):
            raise DataError(f"{where}: belongs to no single image; regions of videos and pairs of images are not read")
        values = {}
        for number, value in (entry.get("av") or {}).items():
            about = attributes.get(number) or {}
            # A choice is stored as the number of its option.
            values[str(about.get("aname", number))] = (about.get("options") or {}).get(str(value), value)
        entries[names[numbers[0]]].append((_shape_of_3(coordinates, where), values, where))
    return list(entries.items())


def _entries_of_csv_3(text: str, file: Path) -> list[Entry]:
    """The CSV of version 3 as a project: its comments name the attributes, each row the files of its region."""
    lines = text.splitlines()
    stated = next((line.partition("=")[2] for line in lines if line.startswith("# ATTRIBUTE =")), "{}")
    data: dict[str, Any] = {"file": {}, "view": {}, "metadata": {}}
    rows = csv.reader(line for line in lines if line.strip() and not line.startswith("#"))
    try:
        data["attribute"] = json.loads(stated)
        for number, row in enumerate(rows, 1):
            key, names, _flags, times, coordinates, values = row
            files = [f"{number}/{n}" for n, _ in enumerate(json.loads(names))]
            data["file"] |= {f: {"fname": base_name(name)} for f, name in zip(files, json.loads(names), strict=True)}
            data["view"][str(number)] = {"fid_list": files}
            entry = {"vid": str(number), "z": json.loads(times), "xy": json.loads(coordinates), "av": json.loads(values)}
            data["metadata"][f"{key} (row {number})"] = entry
    except ValueError as error:  # JSON's errors too
        raise DataError(f"{file}: a row is not as VIA 3 writes it ({error})") from error
    return _entries_of_3(data, file)


def _shape_of_3(coordinates: list[float], where: str) -> dict[str, Any]:
    kind, rest = _SHAPES_3.get(int(coordinates[0]), "shape"), [float(v) for v in coordinates[1:]]
    if kind in _KEYS_3:
        if len(rest) != len(_KEYS_3[kind]):
            raise DataError(f"{where}: a {kind} has {len(_KEYS_3[kind])} numbers, got {len(rest)}")
        return {"name": kind, **dict(zip(_KEYS_3[kind], rest, strict=True))}
    if kind == "polygon":
        points = pairs(rest, where)
        return {"name": kind, "all_points_x": points[:, 0].tolist(), "all_points_y": points[:, 1].tolist()}
    if kind == "extreme rect":  # four points on its sides
        low, high = pairs(rest, where).min(0), pairs(rest, where).max(0)
        return _shape_of_3([2, *low.tolist(), *(high - low).tolist()], where)
    if kind == "extreme circle":
        return {"name": "circle", **dict(zip(_KEYS_3["circle"], _circle(pairs(rest, where), where), strict=True))}
    return {"name": kind}


def _circle(points: npt.NDArray[np.float64], where: str) -> tuple[float, float, float]:
    """Centre and radius of the circle through three points."""
    if len(points) != 3:
        raise DataError(f"{where}: an extreme circle has three points, got {len(points)}")
    first = points[0]
    # The centre is as far from the first point as from each of the others.
    sides = points[1:] - first
    if abs(np.linalg.det(sides)) < 1e-9:
        raise DataError(f"{where}: the three points of an extreme circle lie on a line")
    offset = np.linalg.solve(2 * sides, (sides**2).sum(1))
    return float(first[0] + offset[0]), float(first[1] + offset[1]), float(np.hypot(*offset))


def _class_key(attributes: list[dict[str, Any]], file: Path, reading: Reading) -> str | None:
    """The attribute that says the class; None where regions have no attributes at all."""
    keys = list(dict.fromkeys(key for own in attributes for key in own))
    if not keys:
        if attributes:
            reading.say(f"{file.name}: regions have no attributes; all are one class, 'object'")
        return None
    if len(keys) == 1:
        return keys[0]
    named = next((key for wanted in _CLASS_KEYS for key in keys if key.lower() == wanted), None)
    if named is None:
        raise DataError(
            f"{file}: regions have the attributes {', '.join(keys)}; none is called {', '.join(_CLASS_KEYS[:4])}; rename "
            "the one that says the class"
        )
    others = ", ".join(key for key in keys if key != named)
    reading.say(f"{file.name}: the attribute {named!r} says the class; the others ({others}) don't count")
    return named


def _label(attributes: dict[str, Any], key: str | None, where: str) -> str:
    if key is None:
        return "object"
    value = attributes.get(key)
    if isinstance(value, dict):  # check boxes: option → whether it is set
        value = next((name for name, chosen in value.items() if chosen), None)
    if value is None or not str(value).strip():
        raise DataError(f"{where}: its attribute {key!r} is empty; give the region its class")
    return str(value).strip()


def _sample(
    name: str, labelled: list[tuple[str, dict[str, Any], str]], images: ImageFiles, file: Path, root: Path, reading: Reading
) -> Sample:
    path = images.find(name, [file.parent, file.parent / "images"])
    if path is None:
        raise DataError(f"{file}: image {name} is not below {file.parent}; put the images there")

    def regions(_size: tuple[int, int]) -> list[Region]:
        drawn = ((label, _drawer(shape, file, where, reading), where) for label, shape, where in labelled)
        return [Region(label, draw, where) for label, draw, where in drawn if draw is not None]

    split = split_of(path.relative_to(root).parts[:-1])
    return Sample(path.stem, path, path.suffix, split, regions)


def _drawer(shape: dict[str, Any], file: Path, where: str, reading: Reading) -> Draw | None:
    kind = str(shape.get("name"))

    def number(key: str) -> float:
        return float(need(shape, key, (int, float), where))

    if kind == "polygon":
        x, y = (need(shape, key, list, where) for key in ("all_points_x", "all_points_y"))
        if len(x) != len(y):
            raise DataError(f"{where}: has {len(x)} x and {len(y)} y")
        return polygon(pairs(list(zip(x, y, strict=True)), where), where, reading.clip)
    if kind == "rect":
        x0, y0 = number("x"), number("y")
        return rectangle((x0, y0, x0 + number("width"), y0 + number("height")), where, reading.clip)
    if kind == "circle":
        return ellipse((number("cx"), number("cy")), (number("r"), number("r")), where, reading.clip)
    if kind == "ellipse":
        turned = float(shape.get("theta") or 0) * _DEGREES
        return ellipse((number("cx"), number("cy")), (number("rx"), number("ry")), where, reading.clip, degrees=turned)
    reading.skip(kind, file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
    return None
