"""Writes a converted dataset: ``images/<split>``, ``labels/<split>``, ``classes.json``; whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ...core.errors import DataError, InputError
from ...core.labels import PRESETS, Labels
from ...core.progress import Progress, Silent
from ...core.report import Report
from ..dataset import write_labels
from ..layouts import SPLITS, Pairs, automatic_split
from ..options import ConvertOptions
from . import coco, labelme, yolo
from .images import BACKGROUND, Picture, Source, labels_of, paint

#: Format → (source, clip) → what it holds. A test holds the names equal to those that the options take.
READERS: dict[str, Callable[[Path, bool], Source]] = {"coco": coco.read, "labelme": labelme.read, "yolo": yolo.read}


@dataclass(frozen=True, repr=False)
class Converted(Report):
    """A converted dataset.

    Attributes:
        data: Its folder.
        splits: Split → images.
        labels: Its classes.
    """

    data: Path
    splits: dict[str, int]
    labels: Labels

    def to_dict(self) -> dict[str, Any]:
        return {"data": str(self.data), "splits": dict(self.splits), "labels": self.labels.to_dict()}

    def title(self) -> str:
        parts = " + ".join(f"{count} {split}" for split, count in sorted(self.splits.items()))
        return f"{self.data}: {parts} images, {len(self.labels)} classes"


def convert(source: str | Path, out: str | Path, options: ConvertOptions, *, progress: Progress | None = None) -> Converted:
    """Converts annotations of other tools into ``images/<split>``, ``labels/<split>`` and ``classes.json``.

    >>> import shutil
    >>> images = shutil.copytree("data/images", "yolo/images")  # without text files: nothing is outlined
    >>> _ = Path("yolo/classes.txt").write_text("car")
    >>> convert("yolo", "converted", ConvertOptions(format="yolo"))
    converted: 6 train + 3 val images, 2 classes

    Args:
        source: Folder of the dataset, or its annotation file.
        out: A folder that doesn't exist yet, or is empty.
        options: The format, the classes of the result, and what becomes of everything else.
        progress: Told how many images are converted.

    Raises:
        InputError: ``out`` is not empty, or the classes can't be used. Nothing is left in ``out``, here and below.
        DataError: an image or annotation that is missing or can't be used.
        UnknownNameError: an annotation of a class that is not listed.
    """
    source, target = Path(source), Path(out)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not empty; pass another folder")
    if not source.exists():
        raise DataError(f"{source}: no such folder or file")
    read = READERS[options.format](source, options.clip)
    if not read.pictures:
        raise DataError(f"{source}: no images")
    background = read.background if options.unlabelled is None else options.unlabelled == "background"
    wanted = None if options.classes is None else _class_list(options.classes)
    labels = wanted or labels_of(read, background or options.others == "background")
    values = _values(read, labels, options.others, background)
    nothing = values[BACKGROUND] if background else labels.ignore_index
    splits = _splits(read.pictures)
    count = (progress or Silent()).count("converting")

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for done, (picture, split) in enumerate(splits, 1):
            _write(folder, picture, split, values, nothing, options.link)
            count(done, len(splits))
        write_labels(folder, labels)
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()
        os.replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Converted(target, dict(Counter(split for _, split in splits)), labels)


def _class_list(classes: str | Path) -> Labels:
    if str(classes) in PRESETS:
        return PRESETS[str(classes)]
    path = Path(classes)
    if not path.is_file():
        raise InputError(f"`classes` {classes}: no such file; expected a list of names, or one of {', '.join(PRESETS)}")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return Labels.from_dict(json.loads(text))
        return Labels.from_dict({"names": [line.strip() for line in text.splitlines() if line.strip()]})
    except (ValueError, TypeError, AttributeError) as error:  # DataError is a ValueError
        raise DataError(f"`classes` {path}: {error}") from error


def _values(source: Source, labels: Labels, others: str, background: bool) -> dict[str, int]:
    values = {name: number for number, name in enumerate(labels.names)}
    values |= dict.fromkeys(source.void, labels.ignore_index)
    if (background or others == "background") and BACKGROUND not in values:
        raise InputError(
            f"`classes`: has no {BACKGROUND!r} for pixels that nothing covers; add it, or pass `unlabelled='void'`"
        )
    if others != "error":
        value = labels.ignore_index if others == "void" else values[BACKGROUND]
        values |= {name: value for name in source.classes if name not in values}
    return values


def _splits(pictures: list[Picture]) -> list[tuple[Picture, str]]:
    """Each picture with its split: the source's, or where it has none, the one drawn by the picture's name."""
    free = [picture for picture in pictures if picture.split is None]
    drawn: dict[str, str] = {}
    if free:
        pairs: Pairs = [(Path(picture.name), None) for picture in free]
        drawn = {str(path): split for split in SPLITS for path, _ in automatic_split(pairs, split)}
    result = [(picture, picture.split or drawn[picture.name]) for picture in pictures]
    taken: set[tuple[str, str]] = set()
    for picture, split in result:
        if (split, picture.name) in taken:
            raise DataError(f"{split}: two pictures are called {picture.name}; rename one")
        taken.add((split, picture.name))
    return result


def _write(folder: Path, picture: Picture, split: str, values: dict[str, int], nothing: int, link: bool) -> None:
    where = picture.image if isinstance(picture.image, Path) else f"the image inside {picture.name}.json"
    try:
        data = picture.image.read_bytes() if isinstance(picture.image, Path) else picture.image
    except OSError as error:
        raise DataError(f"{where}: can't be read ({error.strerror})") from error
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if frame is None:
        raise DataError(f"{where}: not a readable image ({len(data)} bytes); replace or remove it")
    size_hw = (int(frame.shape[0]), int(frame.shape[1]))
    if picture.size_hw is not None and picture.size_hw != size_hw:
        raise DataError(
            f"{where}: is {size_hw[1]}x{size_hw[0]}, its annotations are for {picture.size_hw[1]}x{picture.size_hw[0]}"
        )
    mask = paint(picture.regions(size_hw), size_hw, values, nothing)
    image, label = (folder / kind / split for kind in ("images", "labels"))
    image.mkdir(parents=True, exist_ok=True)
    label.mkdir(parents=True, exist_ok=True)
    out = image / f"{picture.name}{picture.suffix}"
    if link and isinstance(picture.image, Path):
        out.symlink_to(picture.image.resolve())
    else:
        out.write_bytes(data)
    (label / f"{picture.name}.png").write_bytes(cv2.imencode(".png", mask)[1].tobytes())
