"""YOLO segmentation: a text file for each image, a line ``class x1 y1 x2 y2 …`` for each polygon, coordinates 0 to 1.

As Ultralytics documents it: ``data.yaml`` with names and the folders of the splits; labels lie where ``images`` in an
image's path is replaced by ``labels``. An image without a text file shows nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import DataError, InputError
from ..layouts import IMAGE_SUFFIXES, folders
from ..regions.images import Region, Sample, Source, polygon
from ..regions.reading import SPLIT_NAMES, Reading, read_lines, read_text

_SPLITS = ("train", "val", "test")
#: A class and coordinates.
_LINE = re.compile(r"^\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*$", re.MULTILINE)
_DRIVE = re.compile(r"^[A-Za-z]:[/\\\\]")

# No outline reaches that many widths or heights of its image beyond it.
_FAR = 3.0

Names = dict[int, str]


def recognise(source: Path) -> str | None:
    """Why a folder or YAML file is a YOLO dataset; None where it isn't."""
    if source.is_file():
        return f"{source.name} is a YAML file" if source.suffix in (".yaml", ".yml") else None
    for file in _yaml_files(source):
        text = file.read_text(encoding="utf-8-sig", errors="replace")
        if re.search(r"^names\s*:", text, re.MULTILINE) and "masks_dir" not in text:
            return f"{file.name} has names"
    if (source / "classes.txt").is_file() and (source / "images").is_dir():
        return "classes.txt beside images"
    labels = next((p for p in (source / "labels").rglob("*.txt")), None) if (source / "images").is_dir() else None
    return f"text files in labels, such as {labels.name}" if labels is not None and _LINE.match(read_text(labels)) else None


def read(source: Path, reading: Reading) -> Source:
    """A YOLO dataset: its folder or its YAML file.

    Raises:
        DataError: no images, no class names, no labels, a line that is no polygon, a class number out of range.
    """
    root = source if source.is_dir() else source.parent
    files = [source] if source.is_file() else _yaml_files(source)
    if len(files) > 1:
        raise DataError(f"{root}: has several YAML files ({', '.join(f.name for f in files)}); pass the right one")
    file = files[0] if files else root / "data.yaml"
    config = _yaml(file) if files else {}
    names = _names(config, root, file)
    skip_unlabelled = bool(config.get("skip_if_label_file_missing"))  # Lightly Train's key
    samples: list[Sample] = []
    missing: list[Path] = []
    for split, images in _splits(config, root, file, reading).items():
        for image in images:
            text = _label_file(image)
            if not text.is_file():
                missing.append(image)
                if skip_unlabelled:
                    continue

            def regions(size_hw: tuple[int, int], text: Path = text) -> Sequence[Region]:
                return _regions(text, names, size_hw, reading)

            samples.append(Sample(image.stem, image, image.suffix, split or None, regions))
    if missing and len(missing) == len(samples) + len(missing) * skip_unlabelled:
        raise DataError(_no_labels(root, missing))
    if skip_unlabelled and missing:
        reading.say(f"skipped {len(missing)} images without a label file, as skip_if_label_file_missing in {file.name} says")
    elif missing:
        reading.unlabelled += [
            str(image.relative_to(root)) if image.is_relative_to(root) else str(image) for image in missing
        ]
    return Source(samples, tuple(names[number] for number in sorted(names)), True, small_on_top=True)


def _yaml_files(root: Path) -> list[Path]:
    return sorted([*root.glob("*.yaml"), *root.glob("*.yml")])


def _no_labels(root: Path, images: list[Path]) -> str:
    """What to say where no image has a label file."""
    texts = [path for path in root.rglob("*.txt") if path.parent != root]
    there = sorted({str(p.parent.relative_to(root)) for p in texts})
    seen = f"text files lie in {', '.join(there[:4])}" if there else "no other text files are there"
    return (
        f"{root}: none of {len(images)} images has a label file; expected such as {_label_file(images[0])} for "
        f"{images[0].name}; {seen}; rename the folder to labels"
    )


def _yaml(file: Path) -> dict[str, Any]:
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"{file}: YAML files need a package ({error}); pip install 'seg-edge[convert]'") from error
    try:
        data = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise DataError(f"{file}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected names, train and val, got {type(data).__name__}")
    return data


def _names(config: dict[str, Any], root: Path, file: Path) -> Names:
    """Class number → name. Numbers may have gaps."""
    names = config.get("names")
    if names is None and (root / "classes.txt").is_file():
        names = read_lines(root / "classes.txt")
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not names:
        raise DataError(f"{file}: has no names of classes; expected 'names: [road, car]' there, or {root / 'classes.txt'}")
    try:
        numbered = {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError) as error:
        raise DataError(f"{file}: names must be numbered, got {', '.join(map(str, names))}") from error
    if len(set(numbered.values())) != len(numbered):
        raise DataError(f"{file}: two classes have one name: {', '.join(numbered.values())}")
    return numbered


def _splits(config: dict[str, Any], root: Path, file: Path, reading: Reading) -> dict[str, list[Path]]:
    """Images by split; "" where there are none."""
    result: dict[str, list[Path]] = {}
    places: dict[Path, str] = {}
    for split in _SPLITS:
        entries = config.get(split)
        for entry in entries if isinstance(entries, list) else [entries] if entries else []:
            place = _place(str(entry), str(config.get("path") or ""), root)
            if place is None and split == "test" and result:
                reading.say(f"{file.name} names {entry} for test, which is not there")
                continue
            if place is None:
                raise DataError(f"{root / str(entry)}: no such folder of images; correct the path in {file.name}")
            if places.setdefault(place.resolve(), split) != split:
                raise DataError(f"{file}: {places[place.resolve()]} and {split} are both {place}; correct the paths")
            result.setdefault(split, []).extend(_images(place, root))
    if not result:
        images = root / "images"
        for folder in folders(images):
            result[SPLIT_NAMES.get(folder.name, folder.name)] = _images(folder, root)
        if images.is_dir() and not result:
            result[""] = _images(images, root)
        for folder in folders(root):  # supervision's YAML files name no folders
            if not images.is_dir() and (folder / "images").is_dir():
                result[SPLIT_NAMES.get(folder.name, folder.name)] = _images(folder / "images", root)
    if not any(result.values()):
        raise DataError(f"{root}: no images; expected images/train, or the folders that {file.name} names")
    return result


def _place(entry: str, base: str, root: Path) -> Path | None:
    """The folder or list that an entry of the YAML file means, whatever machine wrote it; None where it is not there."""
    entry, base = entry.replace("\\", "/"), base.replace("\\", "/")
    # "path" is often that of the machine the file was written on.
    for start in (root / base, root):
        if (start / entry).exists():
            return start / entry
    # Roboflow writes ../train/images into files that lie beside train; others write whole paths of their machine.
    return _tail(entry, root)


def _tail(path: str, root: Path) -> Path | None:
    """The longest end of a path that exists below the root."""
    parts = [part for part in _DRIVE.sub("", path).split("/") if part not in ("", ".", "..")]
    ends = (root.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((end for end in ends if end.exists()), None)


def _images(place: Path, root: Path) -> list[Path]:
    if place.is_file():
        lines = [line.replace("\\", "/") for line in read_lines(place)]
        paths = [place.parent / line for line in lines]
        paths = [path if path.is_file() else _tail(line, root) or path for path, line in zip(paths, lines, strict=True)]
        if missing := [path for path in paths if not path.is_file()]:
            raise DataError(f"{place}: image {missing[0]} is missing ({len(missing)} of {len(paths)} are)")
        return paths
    return sorted(p for p in place.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def _label_file(image: Path) -> Path:
    parts = list(image.with_suffix(".txt").parts)
    for at in range(len(parts) - 1, -1, -1):
        if parts[at] == "images":
            parts[at] = "labels"
            break
    return Path(*parts)


def _regions(file: Path, names: Names, size_hw: tuple[int, int], reading: Reading) -> list[Region]:
    regions = []
    for number, line in enumerate(read_text(file).splitlines() if file.is_file() else [], 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            values = np.array(line.split(), np.float64)
        except ValueError as error:
            raise DataError(f"{where}: expected 'class x1 y1 x2 y2 …', got {line[:60]!r}") from error
        if len(values) == 5:
            reading.skip(
                "box", file, f"{where}: is a box, not a polygon; a dataset for detection has no outlines to convert"
            )
            continue
        if len(values) < 7 or len(values) % 2 == 0:
            raise DataError(f"{where}: expected a class and at least three pairs x y, got {len(values)} values")
        if values[0] not in names:
            raise DataError(f"{where}: unknown class {values[0]:g}; expected {_numbers(names)}")
        if values[1:].max() > _FAR:
            raise DataError(
                f"{where}: expected coordinates from 0 to 1, got {values[1:].max():g}; if they are pixels, divide x by the "
                f"image's width {size_hw[1]} and y by its height {size_hw[0]}"
            )
        points = values[1:].reshape(-1, 2) * np.array(size_hw[::-1])
        regions.append(Region(names[int(values[0])], polygon(points, where, reading.clip), where))
    return regions


def _numbers(names: Names) -> str:
    numbers = sorted(names)
    if numbers == list(range(len(numbers))):
        return f"0 to {numbers[-1]}"
    return ", ".join(map(str, numbers))
