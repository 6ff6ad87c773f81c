"""YOLO segmentation: a text file for each image, a line ``class x1 y1 x2 y2 …`` for each polygon, coordinates 0 to 1.

As Ultralytics documents it: ``data.yaml`` with names and the folders of the splits; labels lie where ``images`` in an
image's path is replaced by ``labels``. An image without a text file shows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import DataError, InputError
from ..layouts import IMAGE_SUFFIXES
from .images import Picture, Region, Source, polygon

_SPLITS = ("train", "val", "test")
_ALIASES = {"valid": "val", "validation": "val"}


def read(source: Path, clip: bool) -> Source:
    """A YOLO dataset: its folder or its YAML file.

    Raises:
        DataError: no images, no class names, a line that is no polygon, a class number out of range.
    """
    if not source.exists():
        raise DataError(f"{source}: no such folder or file")
    root = source if source.is_dir() else source.parent
    files = [source] if source.is_file() else sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if len(files) > 1:
        raise DataError(f"{root}: has several YAML files ({', '.join(f.name for f in files)}); pass the right one")
    config = _yaml(files[0]) if files else {}
    names = _names(config, root, files[0] if files else root / "data.yaml")
    pictures: list[Picture] = []
    for split, images in _splits(config, root).items():
        for image in images:
            text = _label_file(image)

            def regions(size_hw: tuple[int, int], text: Path = text) -> Sequence[Region]:
                return _regions(text, names, size_hw, clip)

            pictures.append(Picture(image.stem, image, image.suffix, split or None, regions))
    return Source(pictures, names, True)


def _yaml(file: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"{file}: YAML files need a package ({error}); pip install 'seg-edge[train]'") from error
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{file}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected names, train and val, got {type(data).__name__}")
    return data


def _names(config: dict[str, Any], root: Path, file: Path) -> tuple[str, ...]:
    names = config.get("names")
    if names is None and (root / "classes.txt").is_file():
        lines = (root / "classes.txt").read_text(encoding="utf-8").splitlines()
        names = [line.strip() for line in lines if line.strip()]
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{file}: names must be numbered 0, 1, 2, …, got {', '.join(map(str, sorted(names)))}")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: has no names of classes; expected 'names: [road, car]' there, or {root / 'classes.txt'}")
    return tuple(map(str, names))


def _splits(config: dict[str, Any], root: Path) -> dict[str, list[Path]]:
    """Images by split; "" where there are none."""
    found: dict[str, list[Path]] = {}
    base = root / str(config.get("path", "") or "")
    base = base if base.is_dir() else root  # "path" is often that of the machine it was written on
    for split in _SPLITS:
        entries = config.get(split)
        for entry in entries if isinstance(entries, list) else [entries] if entries else []:
            found.setdefault(split, []).extend(_images(base / str(entry), root))
    if not config or not found:
        images = root / "images"
        for folder in sorted(p for p in images.iterdir() if p.is_dir()) if images.is_dir() else []:
            found[_ALIASES.get(folder.name, folder.name)] = _images(folder, root)
        if images.is_dir() and not found:
            found[""] = _images(images, root)
    if not any(found.values()):
        raise DataError(f"{root}: no images; expected images/train, or the folders that data.yaml names")
    return found


def _images(place: Path, root: Path) -> list[Path]:
    if place.suffix == ".txt" and place.is_file():
        lines = [line.strip() for line in place.read_text(encoding="utf-8").splitlines() if line.strip()]
        paths = [place.parent / line for line in lines]
        if missing := [path for path in paths if not path.is_file()]:
            raise DataError(f"{place}: image {missing[0]} is missing ({len(missing)} of {len(paths)} are)")
        return paths
    # Roboflow writes ../train/images into files that lie beside train.
    folder = place if place.is_dir() else root / place.relative_to(place.anchor).name
    if not place.is_dir() and ".." in place.parts:
        folder = root / Path(*[part for part in place.relative_to(root).parts if part != ".."])
    if not folder.is_dir():
        raise DataError(f"{place}: no such folder of images; correct the path in data.yaml")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)


def _label_file(image: Path) -> Path:
    parts = list(image.with_suffix(".txt").parts)
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts)


def _regions(file: Path, names: tuple[str, ...], size_hw: tuple[int, int], clip: bool) -> list[Region]:
    regions = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: not readable as text ({error})") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            values = np.array(line.split(), np.float64)
        except ValueError as error:
            raise DataError(f"{where}: expected 'class x1 y1 x2 y2 …', got {line[:60]!r}") from error
        if len(values) == 5:
            raise DataError(f"{where}: is a box, not a polygon; a dataset for detection has no outlines to convert")
        if len(values) < 7 or len(values) % 2 == 0:
            raise DataError(f"{where}: expected a class and at least three pairs x y, got {len(values)} values")
        if values[0] != int(values[0]) or not 0 <= values[0] < len(names):
            raise DataError(f"{where}: unknown class {values[0]:g}; expected 0 to {len(names) - 1}")
        points = values[1:].reshape(-1, 2) * np.array(size_hw[::-1])
        x, y = points.T
        area = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
        regions.append(Region(names[int(values[0])], polygon(points, where, clip), where, area))
    return regions
