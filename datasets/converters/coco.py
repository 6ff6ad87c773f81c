"""COCO: instances and stuff (polygons and run lengths in JSON), panoptic (PNGs of segment ids).

Lin et al., "Microsoft COCO" (2014); Kirillov et al., "Panoptic Segmentation" (2019); formats as on cocodataset.org.
Roboflow's exports have one file in each split's folder, beside its images.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError
from ...core.labels import RGB
from ..regions import runs
from ..regions.images import Region, Sample, Source, check_corners, need
from ..regions.reading import ImageFiles, Reading, read_json, split_of, top_level_keys
from ..regions.shapes import decode_image

ROBOFLOW_FILE = "_annotations.coco.json"
#: Parts of a file's name that say the split, not the kind of annotation.
_SPLIT_PART = re.compile(r"(train|val|valid|validation|test|trainval|minival|default)[\d.-]*(dev\d*)?", re.IGNORECASE)
_SPLITS = ("train", "val", "test")

Names = dict[int, str]


@dataclass(frozen=True)
class _File:
    """One annotation file.

    Attributes:
        path: Where it lies.
        data: Its content.
        split: Of its images; None where it doesn't say.
        folders: Where its images may lie.
    """

    path: Path
    data: dict[str, Any]
    split: str | None
    folders: list[Path]


def recognise(source: Path) -> str | None:
    """Why a folder or file is a COCO dataset; None where it isn't."""
    files = [source] if source.is_file() else [*_roboflow_files(source), *_json_files(source)]
    for file in files[:20]:
        if file.suffix == ".json" and {"images", "categories"} <= top_level_keys(file):
            return f"{file.name} has images and categories"
    return None


def read(source: Path, reading: Reading, panoptic: bool = False) -> Source:
    """A COCO dataset.

    Args:
        source: An annotation file, or a folder with ``annotations/*.json`` and folders of images, or with Roboflow's
            ``<split>/_annotations.coco.json``.
        reading: Options and account.
        panoptic: Of a folder with several kinds of annotations, take the panoptic ones instead of the instances.

    Raises:
        DataError: no such files, other formats, an image that is missing.
    """
    files = [_open(path, source) for path in _annotation_files(source, reading, panoptic)]
    categories, names = _categories(files, reading)
    segments = False
    for file in files:
        annotations = need(file.data, "annotations", list, str(file.path))
        segments |= bool(annotations) and "segments_info" in annotations[0]
    samples = [sample for file in files for sample in _samples(file, source, names, segments, reading)]
    palette = tuple(colour for _, colour in categories if colour is not None)
    return Source(
        samples, tuple(name for name, _ in categories), not segments, palette if len(palette) == len(categories) else None,
        small_on_top=True,
    )  # fmt: skip


def read_panoptic(source: Path, reading: Reading) -> Source:
    """:func:`read` of the panoptic files among several kinds."""
    return read(source, reading, panoptic=True)


def _roboflow_files(source: Path) -> list[Path]:
    return sorted([*source.glob(f"*/{ROBOFLOW_FILE}"), *source.glob(ROBOFLOW_FILE)])


def _json_files(source: Path) -> list[Path]:
    return sorted((source / "annotations").glob("*.json")) or sorted(source.glob("*.json"))


def _annotation_files(source: Path, reading: Reading, panoptic: bool) -> list[Path]:
    if source.is_file():
        return [source]
    files = _roboflow_files(source) or _json_files(source)
    if not files:
        raise DataError(
            f"{source}: no annotations/*.json and no <split>/{ROBOFLOW_FILE}; pass a COCO folder or one of its "
            "annotation files"
        )
    kinds: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        parts = [part for part in file.stem.split("_") if part and not _SPLIT_PART.fullmatch(part)]
        kinds["_".join(parts)].append(file)
    wanted = "panoptic" if panoptic else "instances"
    if len(kinds) > 1 and wanted not in kinds:
        raise DataError(
            f"{files[0].parent}: holds annotations of several kinds ({', '.join(map(str, sorted(kinds)))}), none of them "
            f"{wanted}; pass one file, such as {files[0]}"
        )
    if len(kinds) > 1:
        others = sorted(file.name for kind, paths in kinds.items() if kind != wanted for file in paths)
        reading.say(f"took {', '.join(file.name for file in kinds[wanted])}; left out {', '.join(others)}")
        return kinds[wanted]
    return files


def _open(path: Path, source: Path) -> _File:
    data = read_json(path)
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected a JSON object with images, annotations, categories, got {type(data).__name__}")
    if path.name == ROBOFLOW_FILE:
        return _File(path, data, split_of([path.parent.name]), [path.parent])
    root = source if source.is_dir() else path.parent.parent if path.parent.name == "annotations" else path.parent
    split = next((name for name in _SPLITS if name in path.stem.lower()), None)
    return _File(path, data, split, _image_folders(root, path, split))


def _image_folders(root: Path, file: Path, split: str | None) -> list[Path]:
    """Where a file's images may lie: COCO's own train2017, then what exports of other tools have."""
    year = file.stem.rpartition("_")[2]
    names = [year, f"images/{year}", *((split, f"images/{split}") if split else ()), "images", "."]
    folders = [root / name for name in dict.fromkeys(names) if (root / name).is_dir()]
    return folders + ([file.parent] if file.parent not in folders else [])


def _categories(files: Iterable[_File], reading: Reading) -> tuple[list[tuple[str, RGB | None]], Names]:
    """The classes in the order of their ids, each once, and the name of every id."""
    categories: dict[int, tuple[str, RGB | None]] = {}
    parents: set[str] = set()
    used: Counter[Any] = Counter()
    for file in files:
        for entry in need(file.data, "categories", list, str(file.path)):
            where = f"{file.path}: categories"
            name, number = str(need(entry, "name", str, where)), int(need(entry, "id", int, where))
            colour = tuple(entry["color"]) if len(entry.get("color") or ()) == 3 else None
            parents.add(str(entry.get("supercategory")))
            if categories.setdefault(number, (name, colour))[0] != name:
                raise DataError(f"{file.path}: category {number} is {name!r}, but {categories[number][0]!r} in another file")
        for annotation in need(file.data, "annotations", list, str(file.path)):
            if isinstance(annotation, dict):
                entries = annotation.get("segments_info", [annotation])
                used.update(e.get("category_id") for e in entries if isinstance(e, dict))
    names = {number: name for number, (name, _) in categories.items()}
    # Roboflow puts a parent first that no object has; it may have the name of the only class.
    idle = {n for n, name in names.items() if name in parents and not used[n] and len(names) > 1}
    for number in sorted(idle):
        reading.say(f"category {number} ({names[number]!r}) is a parent without objects and is left out")
    ordered: dict[str, RGB | None] = {}
    for number in sorted(categories):
        name, colour = categories[number]
        if number in idle:
            continue
        if name in ordered:
            reading.say(f"category {name!r} is listed twice; both are one class")
        ordered.setdefault(name, colour)
    return list(ordered.items()), names


def _samples(file: _File, source: Path, names: Names, panoptic: bool, reading: Reading) -> list[Sample]:
    of_image: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in file.data["annotations"]:
        of_image[need(annotation, "image_id", (int, str), f"{file.path}: annotations")].append(annotation)
    images = ImageFiles(file.folders[0] if source.is_file() else source)
    samples = []
    for image in need(file.data, "images", list, str(file.path)):
        where = f"{file.path}: images"
        number, name = need(image, "id", (int, str), where), need(image, "file_name", str, where)
        stated = [image.get(side) for side in ("height", "width")]  # left out by some tools: then the image says it
        size_hw = (int(stated[0]), int(stated[1])) if all(isinstance(side, int) for side in stated) else None
        path = images.find(name, file.folders)
        if path is None:
            raise DataError(
                f"{file.path}: image {name} is in none of {', '.join(map(str, file.folders))}; put the images there"
            )
        own = of_image.pop(number, [])

        def regions(size: tuple[int, int], own: list[dict[str, Any]] = own, name: str = name) -> Sequence[Region]:
            if panoptic:
                return _panoptic(file.path, own, names, size)
            drawn = (_region(file.path, f"{file.path}: {name}", entry, names, reading) for entry in own)
            return [region for region in drawn if region is not None]

        samples.append(Sample(Path(name.replace("\\", "/")).stem, path, path.suffix, file.split, regions, size_hw))
    if of_image:
        raise DataError(f"{file.path}: annotations of image {next(iter(of_image))}, which is not in its list of images")
    return samples


def _category(entry: dict[str, Any], names: Names, where: str) -> str:
    number = need(entry, "category_id", int, where)
    if number not in names:
        raise DataError(f"{where}: category_id {number} is not in the file's categories")
    return names[number]


def _region(file: Path, where: str, entry: dict[str, Any], names: Names, reading: Reading) -> Region | None:
    where = f"{where}, annotation {entry.get('id')}"
    name = _category(entry, names, where)
    if entry.get("segmentation") is None:
        reading.skip("box", file, f"{where}: has no 'segmentation', only a box")
        return None
    shape = need(entry, "segmentation", (list, dict), where)
    if isinstance(shape, list):
        short = [part for part in shape if isinstance(part, list) and 0 < len(part) < 6]
        if short:
            why = f"{where}: a polygon of {len(short[0])} numbers has no area; expected 6 or more"
            reading.skip("short polygon", file, why)
            shape = [part for part in shape if part not in short]

    def draw(size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        if isinstance(shape, dict):
            return runs.decode(shape, size_hw, where)
        for part in shape:
            _check_polygon(part, size_hw, where, reading.clip)
        return runs.fill_polygons(shape, size_hw)

    return Region(name, draw, where)


def _check_polygon(part: Any, size_hw: tuple[int, int], where: str, clip: bool) -> None:
    try:
        points = np.array(part, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: not a polygon or run lengths ({type(error).__name__}: {error})") from error
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        got = f"{len(part)} values" if isinstance(part, list) else repr(part)
        raise DataError(f"{where}: a polygon is a list x1, y1, x2, y2, … of at least 6 finite numbers, got {got}")
    check_corners(points.reshape(-1, 2), size_hw, where, clip)


def _panoptic(file: Path, entries: list[dict[str, Any]], names: Names, size_hw: tuple[int, int]) -> list[Region]:
    """Segments of a PNG whose pixels are ids: R + 256 G + 65536 B; 0 is unlabelled."""
    regions = []
    for entry in entries:
        png = file.with_suffix("") / need(entry, "file_name", str, f"{file}: annotations")
        try:
            colours = decode_image(png.read_bytes(), cv2.IMREAD_COLOR)
        except OSError as error:
            raise DataError(f"{png}: can't be read ({error}); panoptic PNGs lie beside their JSON") from error
        if colours is None or colours.shape[:2] != size_hw:
            got = "no image" if colours is None else f"{colours.shape[1]}x{colours.shape[0]}"
            raise DataError(f"{png}: is {got}, its image is {size_hw[1]}x{size_hw[0]}")
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
