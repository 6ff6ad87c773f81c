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

import cv2
import numpy as np

from ...core.errors import DataError, InputError, UnknownNameError
from ...core.labels import PRESETS, Labels
from ..dataset import write_labels
from ..layouts import SPLITS, Pairs, automatic_split
from . import coco, labelme, yolo
from .images import BACKGROUND, Picture, Source, labels_of, paint

FORMATS: dict[str, Callable[[Path, bool], Source]] = {"coco": coco.read, "labelme": labelme.read, "yolo": yolo.read}
#: What becomes of classes that --classes doesn't list, and of pixels that nothing covers.
OTHERS = ("error", "void", "background")
UNLABELLED = ("void", "background")

#: Called with pictures done and pictures in all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        splits: Images by split.
        labels: The classes.
    """

    splits: dict[str, int]
    labels: Labels


def convert(
    kind: str,
    source: str | Path,
    target: str | Path,
    *,
    classes: str | Path | None = None,
    others: str = "error",
    unlabelled: str | None = None,
    clip: bool = False,
    link: bool = False,
    progress: Progress | None = None,
) -> Converted:
    """Converts a dataset.

    Args:
        kind: A key of :data:`FORMATS`.
        source: Its folder or annotation file.
        target: A folder that doesn't exist yet, or is empty.
        classes: The classes of the result, in order: a preset's name, a text file with a name a line, or a classes.json.
            None takes the source's.
        others: What becomes of the source's other classes, see :data:`OTHERS`.
        unlabelled: Of pixels that nothing covers, see :data:`UNLABELLED`; None: void for panoptic data, else background.
        clip: Cut polygons off at the picture's border instead of refusing them.
        link: Symbolic links to the images instead of copies.

    Raises:
        UnknownNameError, DataError, InputError: what can't be used; nothing is left in ``target`` then.
    """
    for name, value, valid in (("format", kind, FORMATS), ("--others", others, OTHERS)):
        if value not in valid:
            raise UnknownNameError(name, value, valid)
    if unlabelled is not None and unlabelled not in UNLABELLED:
        raise UnknownNameError("--unlabelled", unlabelled, UNLABELLED)
    source, target = Path(source), Path(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target}: exists and is not empty; pass another folder")
    if not source.exists():
        raise DataError(f"{source}: no such folder or file")
    found = FORMATS[kind](source, clip)
    if not found.pictures:
        raise DataError(f"{source}: no images")
    background = found.background if unlabelled is None else unlabelled == "background"
    wanted = None if classes is None else _class_list(classes)
    labels = wanted or labels_of(found, background or others == "background")
    values = _values(found, labels, others, background)
    nothing = values[BACKGROUND] if background else labels.ignore_index
    splits = _splits(found.pictures)

    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for done, (picture, split) in enumerate(splits, 1):
            _write(folder, picture, split, values, nothing, link)
            if progress is not None:
                progress(done, len(splits))
        write_labels(folder, labels)
        folder.chmod(0o755)
        if target.exists():
            target.rmdir()
        os.replace(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Converted(dict(Counter(split for _, split in splits)), labels)


def _class_list(classes: str | Path) -> Labels:
    if str(classes) in PRESETS:
        return PRESETS[str(classes)]
    path = Path(classes)
    if not path.is_file():
        raise InputError(f"--classes {classes}: no such file; expected a list of names, or one of {', '.join(PRESETS)}")
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return Labels.from_dict(json.loads(text))
        return Labels.from_dict({"names": [line.strip() for line in text.splitlines() if line.strip()]})
    except (ValueError, TypeError, AttributeError) as error:  # DataError is a ValueError
        raise DataError(f"--classes {path}: {error}") from error


def _values(source: Source, labels: Labels, others: str, background: bool) -> dict[str, int]:
    values = {name: number for number, name in enumerate(labels.names)}
    values |= dict.fromkeys(source.void, labels.ignore_index)
    if (background or others == "background") and BACKGROUND not in values:
        raise InputError(
            f"--classes: has no {BACKGROUND!r} for pixels that nothing covers; add it, or pass --unlabelled void"
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
