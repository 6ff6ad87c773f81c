"""COCO: instances and stuff (polygons and run lengths in JSON), panoptic (PNGs of segment ids).

Lin et al., "Microsoft COCO" (2014); Kirillov et al., "Panoptic Segmentation" (2019); formats as on cocodataset.org.
"""

from __future__ import annotations

import json
import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, InputError
from ...core.labels import RGB
from .images import SLACK_PX, Picture, Region, Source, need

_SPLITS = ("train", "val", "test")


def read(source: Path, clip: bool) -> Source:
    """A COCO dataset.

    Args:
        source: An annotation file, or a folder with ``annotations/*.json`` of one kind and folders of images.
        clip: Accept polygons that leave their picture.

    Raises:
        DataError: no such files, other formats, an image that is missing.
    """
    files = _annotation_files(source)
    root = source if source.is_dir() else source.parent.parent if source.parent.name == "annotations" else source.parent
    categories: dict[int, tuple[str, RGB | None]] = {}
    contents = [(file, _load(file)) for file in files]
    panoptic = False
    for file, data in contents:
        for entry in need(data, "categories", list, str(file)):
            where = f"{file}: categories"
            name, number = str(need(entry, "name", str, where)), int(need(entry, "id", int, where))
            colour = tuple(entry["color"]) if len(entry.get("color", ())) == 3 else None
            if categories.setdefault(number, (name, colour))[0] != name:
                raise DataError(f"{file}: category {number} is {name!r}, but {categories[number][0]!r} in another file")
        annotations = need(data, "annotations", list, str(file))
        panoptic |= bool(annotations) and "segments_info" in annotations[0]
    pictures: list[Picture] = []
    for file, data in contents:
        split = next((name for name in _SPLITS if name in file.stem.lower()), None)
        pictures += _pictures(file, data, root, split, {n: name for n, (name, _) in categories.items()}, panoptic, clip)
    ordered = [categories[number] for number in sorted(categories)]
    palette = tuple(colour for _, colour in ordered if colour is not None)
    return Source(
        pictures, tuple(name for name, _ in ordered), not panoptic, palette if len(palette) == len(ordered) else None
    )


def _annotation_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    files = sorted((source / "annotations").glob("*.json")) or sorted(source.glob("*.json"))
    if not files:
        raise DataError(f"{source}: no annotations/*.json; pass a COCO folder or one of its annotation files")
    kinds = {file.stem.split("_")[0] for file in files} if len(files) > 1 else set()
    if len(kinds - set(_SPLITS)) > 1:
        raise DataError(
            f"{files[0].parent}: holds annotations of several kinds ({', '.join(sorted(kinds))}); pass one file, "
            f"such as {files[0]}"
        )
    return files


def _load(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not readable as JSON ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a JSON object with images, annotations, categories, got {type(data).__name__}")
    return data


def _pictures(
    file: Path, data: dict[str, Any], root: Path, split: str | None, names: dict[int, str], panoptic: bool, clip: bool
) -> list[Picture]:
    of_image: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in data["annotations"]:
        of_image[int(need(annotation, "image_id", int, f"{file}: annotations"))].append(annotation)
    folders = _image_folders(root, file, split)
    pictures = []
    for image in need(data, "images", list, str(file)):
        where = f"{file}: images"
        number, name = need(image, "id", int, where), need(image, "file_name", str, where)
        size_hw = (int(need(image, "height", int, where)), int(need(image, "width", int, where)))
        path = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if path is None:
            raise DataError(f"{file}: image {name} is in none of {', '.join(map(str, folders))}; put the images there")
        own = of_image.pop(number, [])

        def regions(size: tuple[int, int], own: list[dict[str, Any]] = own, name: str = name) -> Sequence[Region]:
            if panoptic:
                return _panoptic(file, own, names, size)
            return [_region(f"{file}: {name}", entry, names, clip) for entry in own]

        pictures.append(Picture(Path(name).stem, path, path.suffix, split, regions, size_hw))
    if of_image:
        raise DataError(f"{file}: annotations of image {next(iter(of_image))}, which is not in its list of images")
    return pictures


def _image_folders(root: Path, file: Path, split: str | None) -> list[Path]:
    """Where a file's images may lie: COCO's own train2017, then what exports of other tools have."""
    year = file.stem.rpartition("_")[2]
    names = [year, f"images/{year}", *((split, f"images/{split}") if split else ()), "images", "."]
    found = [root / name for name in dict.fromkeys(names) if (root / name).is_dir()]
    return found + ([file.parent] if file.parent not in found else [])


def _category(entry: dict[str, Any], names: dict[int, str], where: str) -> str:
    number = need(entry, "category_id", int, where)
    if number not in names:
        raise DataError(f"{where}: category_id {number} is not in the file's categories")
    return names[number]


def _region(where: str, entry: dict[str, Any], names: dict[int, str], clip: bool) -> Region:
    where = f"{where}, annotation {entry.get('id')}"
    shape = need(entry, "segmentation", (list, dict), where)

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        return _decode(shape, size_hw, where, clip)

    return Region(_category(entry, names, where), draw, where, float(entry.get("area", 0.0)))


def _decode(shape: Any, size_hw: tuple[int, int], where: str, clip: bool) -> npt.NDArray[np.bool_]:
    """Polygons, or run lengths along columns, as pycocotools rasterizes them."""
    try:
        from pycocotools import mask as coco_mask
    except ImportError as error:
        raise InputError(f"COCO masks need pycocotools ({error}); pip install 'seg-edge[convert]'") from error
    height, width = size_hw
    try:
        if isinstance(shape, dict):
            if list(shape["size"]) != [height, width]:
                raise DataError(f"{where}: run lengths are for {shape['size']}, its picture is {[height, width]}")
            lengths = shape["counts"]
            if isinstance(lengths, list) and sum(lengths) != height * width:
                raise DataError(f"{where}: run lengths add up to {sum(lengths)}, its picture has {height * width} pixels")
            parts = coco_mask.frPyObjects(shape, height, width) if isinstance(lengths, list) else shape
            return np.asarray(_quietly(coco_mask.decode, parts), bool)
        _check_polygons(shape, size_hw, where, clip)
        if not shape:
            return np.zeros(size_hw, bool)
        parts = coco_mask.merge(coco_mask.frPyObjects(shape, height, width))
        return np.asarray(_quietly(coco_mask.decode, parts), bool)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{where}: not a polygon or run lengths ({type(error).__name__}: {error})") from error


def _quietly(function: Callable[[Any], Any], argument: Any) -> Any:
    with warnings.catch_warnings():
        # pycocotools 2.0.11 is built for NumPy 1's way of copying; NumPy 2 accepts it with a note to developers.
        warnings.simplefilter("ignore", DeprecationWarning)
        return function(argument)


def _check_polygons(shape: list[Any], size_hw: tuple[int, int], where: str, clip: bool) -> None:
    for part in shape:
        points = np.array(part, np.float64)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise DataError(f"{where}: a polygon is a list x1, y1, x2, y2, … of at least 6 numbers, got {len(part)} values")
        corners = points.reshape(-1, 2)
        limits = np.array(size_hw[::-1], np.float64)
        outside = np.flatnonzero(((corners < -SLACK_PX) | (corners > limits + SLACK_PX)).any(1))
        if outside.size and not clip:
            x, y = corners[outside[0]]
            raise DataError(
                f"{where}: the corner ({x:.1f}, {y:.1f}) lies outside its picture of {size_hw[1]}x{size_hw[0]} pixels; "
                "correct it, or pass `clip=True` to cut polygons off at the border"
            )


def _panoptic(file: Path, entries: list[dict[str, Any]], names: dict[int, str], size_hw: tuple[int, int]) -> list[Region]:
    """Segments of a PNG whose pixels are ids: R + 256 G + 65536 B; 0 is unlabelled."""
    regions = []
    for entry in entries:
        png = file.with_suffix("") / need(entry, "file_name", str, f"{file}: annotations")
        try:
            colours = cv2.imdecode(np.frombuffer(png.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        except (OSError, cv2.error) as error:
            raise DataError(f"{png}: can't be read ({error}); panoptic PNGs lie beside their JSON") from error
        if colours is None or colours.shape[:2] != size_hw:
            got = "no image" if colours is None else f"{colours.shape[1]}x{colours.shape[0]}"
            raise DataError(f"{png}: is {got}, its picture is {size_hw[1]}x{size_hw[0]}")
        ids = (
            colours[..., 2].astype(np.int64) | colours[..., 1].astype(np.int64) << 8 | colours[..., 0].astype(np.int64) << 16
        )
        segments = need(entry, "segments_info", list, str(png))
        known = {int(need(segment, "id", int, str(png))) for segment in segments}
        if strange := set(np.unique(ids).tolist()) - known - {0}:
            raise DataError(f"{png}: segment {min(strange)} is not in segments_info of {file.name}")
        for segment in segments:
            number = segment["id"]
            mask = ids == number
            name = _category(segment, names, f"{png}, segment {number}")
            regions.append(Region(name, lambda _size, mask=mask: mask, f"{png}, segment {number}"))  # type: ignore[misc]
    return regions
