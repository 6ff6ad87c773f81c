"""GeoJSON in pixels: a file for each image, as ``seg-edge predict`` and the service write them, and QuPath.

Coordinates are corners of pixels, x to the right and y down (RFC 7946's rings; geographic coordinates are not read).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ..labelfiles.classes import CLASSES_FILE, read_classes
from ..layouts import IMAGE_SUFFIXES, image_dir
from ..regions.images import BACKGROUND, Draw, Region, Sample, Source, check_corners, inside, need
from ..regions.reading import Reading, flat_name, read_json, split_of

#: The folder that ``seg-edge predict`` writes them into.
FOLDER = "geojson"
_WITH_AREA = "Polygon or MultiPolygon"
_CLASS_KEYS = ("name", "class", "label", "category")
_Ring = npt.NDArray[np.float64]


def recognise(source: Path) -> str | None:
    """Why a folder or file is GeoJSON; None where it isn't."""
    files = _files(source)
    return f"{files[0].name} is GeoJSON" if files else None


def read(source: Path, reading: Reading) -> Source:
    """A folder of ``.geojson`` files in ``geojson`` or by themselves, and the images of the same names in ``images`` or
    beside them; folders below them are kept. ``classes.json`` gives the classes' order, else the features' ``id``.

    Raises:
        DataError: no such files, an image that is missing, a feature without a class or with geographic coordinates.
    """
    files = _files(source)
    if not files:
        raise DataError(f"{source}: no .geojson files in this folder; expected one for each image")
    root = source if source.is_dir() else source.parent
    base = root / FOLDER if (root / FOLDER).is_dir() else root
    images = image_dir(root)
    numbers: dict[str, int] = {}
    samples = [_sample(file, base, images, numbers, reading) for file in files]
    names, palette = tuple(sorted(numbers, key=lambda name: (numbers[name], name))), None
    listed = next((p for p in (root / CLASSES_FILE, root.parent / CLASSES_FILE) if p.is_file()), None)
    if listed is not None and set(names) <= set((labels := read_classes(listed)).names):
        names, palette = labels.names, labels.palette
        reading.say(f"classes in the order of {listed}")
    return Source(samples, names, BACKGROUND not in names, palette)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix.lower() == ".geojson" else []
    return sorted(path for path in source.rglob("*.geojson") if not path.name.startswith("."))


def _sample(file: Path, base: Path, images: Path | None, numbers: dict[str, int], reading: Reading) -> Sample:
    inner = file.relative_to(base if file.is_relative_to(base) else file.parent)
    image = _image(file, inner, images)
    regions: list[Region] = []
    for number, feature in enumerate(_features(file)):
        where = f"{file}: feature {number}"
        name, own = _class(feature, where)
        draw = _drawer(need(feature, "geometry", dict, where), file, where, reading)
        if draw is not None:
            if numbers.setdefault(name, own) != own:
                raise DataError(f"{where}: {name} has the id {own} here and {numbers[name]} elsewhere; give it one")
            regions.append(Region(name, draw, where))
    return Sample(
        flat_name(str(Path(*inner.parts[1:]) if split_of(inner.parts[:1]) else inner)), image, image.suffix,
        split_of(inner.parts[:-1]), lambda _size: regions,
    )  # fmt: skip


def _image(file: Path, inner: Path, images: Path | None) -> Path:
    """The image of a file's name; where there is a folder of images, only from there."""
    folder = file.parent if images is None else images / inner.parent
    stem = file.name[: -len(file.suffix)]
    found = [
        path for s in IMAGE_SUFFIXES for path in (folder / f"{stem}{s}", folder / f"{stem}{s.upper()}") if path.is_file()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{file}: {found[0].name} and {found[1].name} may be its image; move away the one that isn't meant")
    raise DataError(f"{file}: its image is missing; expected {folder / stem}.jpg, .png, …")


def _features(file: Path) -> list[Any]:
    data = read_json(file)
    if isinstance(data, dict) and (crs := data.get("crs")) is not None:
        raise DataError(f"{file}: has coordinates on the globe ({str(crs)[:80]}); expected pixels: export it in pixels")
    if isinstance(data, dict) and data.get("type") == "Feature":
        return [data]
    if isinstance(data, list):  # QuPath's bare features
        return data
    return list(need(data, "features", list, str(file)))


def _class(feature: Any, where: str) -> tuple[str, int]:
    """The class of a feature and its number; -1 where it has none."""
    properties = need(feature, "properties", dict, where)
    number = properties.get("id")
    number = number if isinstance(number, int) and not isinstance(number, bool) else -1
    inner = properties.get("classification")  # QuPath
    said = (
        inner.get("name") if isinstance(inner, dict) else next((properties[k] for k in _CLASS_KEYS if k in properties), None)
    )
    if said is None and number >= 0:
        said = f"class{number}"
    if not isinstance(said, str) or not said.strip():
        raise DataError(
            f"{where}: says no class; expected a property {', '.join(_CLASS_KEYS)}, or QuPath's classification; "
            f"it has {', '.join(properties) or 'none'}"
        )
    return said.strip(), number


def _drawer(geometry: dict[str, Any], file: Path, where: str, reading: Reading) -> Draw | None:
    kind = str(geometry.get("type"))
    if kind not in ("Polygon", "MultiPolygon"):
        reading.skip(kind, file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
        return None
    coordinates = need(geometry, "coordinates", list, where)
    parts = [_rings(part, where) for part in (coordinates if kind == "MultiPolygon" else [coordinates])]

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        drawn = np.zeros(size_hw, bool)
        for rings in parts:
            covered = np.zeros(size_hw, bool)
            for ring in rings:  # the first one less its holes
                check_corners(ring, size_hw, where, reading.clip)
                _toggle(covered, ring)
            drawn |= covered
        return drawn

    return draw


def _toggle(covered: npt.NDArray[np.bool_], ring: _Ring) -> None:
    """Inverts the pixels inside a ring; only its box is looked at."""
    low = np.clip(np.floor(ring.min(0)), 0, covered.shape[::-1]).astype(int)
    high = np.clip(np.ceil(ring.max(0)), 0, covered.shape[::-1]).astype(int)
    if (high > low).all():
        box = covered[low[1] : high[1], low[0] : high[0]]
        box ^= inside(ring - low, box.shape)


def _rings(part: Any, where: str) -> list[_Ring]:
    try:
        rings = [np.array([point[:2] for point in ring], np.float64) for ring in part]
    except (TypeError, ValueError, IndexError) as error:
        raise DataError(f"{where}: rings must be lists of pairs of numbers ({error})") from error
    for ring in rings:
        if ring.ndim != 2 or len(ring) < 4 or not np.isfinite(ring).all():
            raise DataError(f"{where}: a ring needs at least three corners and the first one again, got {ring.tolist()}")
    return rings
