"""LabelMe: one JSON file beside each image (github.com/wkentaro/labelme; Russell et al., 2008).

X-AnyLabeling and AnyLabeling write the same files with shapes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ..layouts import IMAGE_SUFFIXES
from ..regions.images import BACKGROUND, Draw, Region, Sample, Source, need, polygon
from ..regions.reading import Reading, base_name, read_json, read_lines, split_of, top_level_keys
from ..regions.shapes import decode_image, ellipse, pairs, patch, rectangle, suffix_of, unbase64

#: Names that LabelMe's own converters give a meaning.
_VOID, _NOTHING = "__ignore__", "_background_"
_WITH_AREA = "polygon, rectangle, circle or mask"


def recognise(source: Path) -> str | None:
    """Why a folder holds LabelMe files; None where it doesn't."""
    if not source.is_dir():
        return None
    for number, file in enumerate(sorted(source.rglob("*.json"))):
        if number >= 50:
            break
        if {"shapes", "imagePath"} <= top_level_keys(file):
            return f"{file.relative_to(source)} has shapes and imagePath"
    return None


def read(source: Path, reading: Reading) -> Source:
    """A folder of LabelMe files; sub-folders train, val and test are splits. ``labels.txt`` gives the classes' order.

    Raises:
        DataError: no such files, an image that is missing, a shape that can't be read.
    """
    files = sorted(source.rglob("*.json")) if source.is_dir() else []
    contents = [(file, read_json(file)) for file in files]
    own = [(file, data) for file, data in contents if isinstance(data, dict) and isinstance(data.get("shapes"), list)]
    if not files:
        raise DataError(f"{source}: no .json files in this folder; expected LabelMe's, one beside each image")
    if not own:
        raise DataError(
            f"{files[0]}: has no shapes; expected a file of LabelMe ({len(files)} .json files, none of them is one)"
        )
    if len(own) < len(files):
        foreign = [file for file, data in contents if not (isinstance(data, dict) and isinstance(data.get("shapes"), list))]
        reading.say(f"skipped {len(foreign)} .json files of other tools, such as {foreign[0].relative_to(source)}")
    samples, names = [], set()
    for file, data in own:
        sample, used = _sample(file, data, source, reading)
        samples.append(sample)
        names |= used
    classes = _listed_classes(source, names, reading) or sorted(names)
    # "_background_" says what unlabelled pixels are: drawn over something, it takes it away.
    ordered = tuple(dict.fromkeys(BACKGROUND if c == _NOTHING else c for c in classes if c != _VOID))
    return Source(samples, ordered, True, void=frozenset({_VOID}))


def _listed_classes(source: Path, used: set[str], reading: Reading) -> list[str]:
    """The classes of ``labels.txt``; beside the folder, as LabelMe's examples have it, only where it lists all names."""
    file = source / "labels.txt"
    if not file.is_file():
        file = source.resolve().parent / "labels.txt"
        if not file.is_file() or not used <= {BACKGROUND, *read_lines(file)}:
            return []
        reading.say(f"classes in the order of {file}")
    return read_lines(file)


def _sample(file: Path, data: dict[str, Any], root: Path, reading: Reading) -> tuple[Sample, set[str]]:
    image, suffix, spare = _image(file, data, reading)
    regions: list[Region] = []
    names: set[str] = set()
    for number, shape in enumerate(data["shapes"]):
        where = f"{file}: shape {number}"
        label = str(need(shape, "label", str, where))
        label = BACKGROUND if label == _NOTHING else label
        drawer = _drawer(shape, file, where, reading)
        if drawer is not None:
            names.add(label)
            regions.append(Region(label, drawer, where))
    size = data.get("imageHeight"), data.get("imageWidth")
    sample = Sample(
        file.stem, image, suffix, split_of(file.relative_to(root).parts[:1]), lambda _size: regions,
        (int(size[0]), int(size[1])) if isinstance(size[0], int) and isinstance(size[1], int) else None, spare,
    )  # fmt: skip
    return sample, names


def _image(
    file: Path, data: dict[str, Any], reading: Reading
) -> tuple[Path | Callable[[], bytes], str, Callable[[], bytes] | None]:
    """The image of a file, its suffix, and the embedded one for the case that the first can't be decoded."""
    said = data.get("imagePath")
    if not isinstance(said, str) and not data.get("imageData"):
        said = need(data, "imagePath", str, str(file))
    said = said if isinstance(said, str) else ""
    spare, inner = None, ".png"
    if data.get("imageData"):
        inside = unbase64(data["imageData"], f"{file}: imageData")
        inner = suffix_of(inside)
        spare = lambda: inside  # noqa: E731
    path = file.parent / said.replace("\\", "/")
    if said and path.is_file():
        return path, path.suffix, spare
    if spare is not None:
        return spare, inner, None
    beside = next((p for p in (file.parent / base_name(said), *_beside(file)) if p.is_file()), None)
    if beside is None:
        raise DataError(f"{file}: its image {path} is missing, and none is inside the file; put it there")
    reading.say("images were found beside their JSON files: imagePath is of another machine or an old name")
    return beside, beside.suffix, None


def _beside(file: Path) -> list[Path]:
    """The image of a file's own name beside it."""
    return [file.with_suffix(suffix) for s in IMAGE_SUFFIXES for suffix in (s, s.upper())]


def _drawer(shape: dict[str, Any], file: Path, where: str, reading: Reading) -> Draw | None:
    """What draws a shape; None where it has no area and is skipped."""
    kind, clip = shape.get("shape_type") or "polygon", reading.clip
    points = pairs(need(shape, "points", list, where), where)
    # X-AnyLabeling's rectangles have four corners, its rotated boxes are called rotation, LabelMe's oriented_rectangle.
    if kind == "polygon" and len(points) < 3:
        reading.skip(
            "short polygon", file, f"{where}: a polygon of {len(points)} corners has no area; expected three or more"
        )
        return None
    if kind in ("polygon", "rotation", "oriented_rectangle") or (kind == "rectangle" and len(points) == 4):
        return polygon(points, where, clip)
    if len(points) != 2 and kind in ("rectangle", "circle", "mask"):
        raise DataError(f"{where}: a {kind} has two points, got {len(points)}")
    if kind == "rectangle":
        return rectangle((*points[0], *points[1]), where, clip)
    if kind == "circle":
        radius = float(np.hypot(*(points[1] - points[0])))
        return ellipse((points[0, 0], points[0, 1]), (radius, radius), where, clip)
    if kind == "mask":
        return _mask(shape, points, where, clip)
    reading.skip(str(kind), file, f"{where}: a {kind} has no area; expected {_WITH_AREA}")
    return None


def _mask(shape: dict[str, Any], points: npt.NDArray[np.float64], where: str, clip: bool) -> Draw:
    """An image of 0 and not 0 inside the box of two corners, both included; as LabelMe 7 places and cuts it."""
    inside = decode_image(unbase64(need(shape, "mask", str, where), where), cv2.IMREAD_GRAYSCALE)
    if inside is None:
        raise DataError(f"{where}: its mask is not a readable image")
    (x0, y0), (x1, y1) = np.round(points).astype(np.int64).tolist()
    if (points == np.trunc(points)).all():  # whole corners bound the mask
        inside = inside[: max(y1 - y0 + 1, 0), : max(x1 - x0 + 1, 0)]
    return patch(inside > 0, x0, y0, where, clip)
