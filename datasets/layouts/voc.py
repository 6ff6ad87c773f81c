"""Pascal VOC's folders (Everingham et al., 2010), also as CVAT, Datumaro and labelme2voc write them."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from ...core.errors import DataError
from ...core.labels import VOC, VOC_VOID_RGB, Labels, voc_palette
from ..labelfiles import labelmap
from ..labelfiles.coding import Coding
from ..labelfiles.labelmap import LabelMap, read_label_map
from .base import SPLITS, Layout, Pairs, automatic_split, holds_images, image_files, stem, tree

_LISTS = "ImageSets/Segmentation"
#: Where label images lie; labelme2voc before version 5.3 kept arrays in the last one.
_LABELS = ("SegmentationClassPNG", "SegmentationClass")
#: What labelme2voc writes: a name a line, by number.
CLASS_NAMES = "class_names.txt"
_IGNORED = "__ignore__"
_NAME = re.compile(r"^(\d{4}_)?\d{6}$")
# Files with a palette arrive as colours; black is the background, a class.
_CODING = Coding(colours={colour: i for i, colour in enumerate(VOC.palette)} | {VOC_VOID_RGB: VOC.ignore_index})


def _base(root: Path) -> Path | None:
    """The folder with JPEGImages or ImageSets: the dataset's, or of its latest year."""
    years = sorted((*root.glob("VOC20??"), *root.glob("VOCdevkit/VOC20??")), reverse=True)
    inner = (root, *years)
    listed = (p for p in inner if (p / _LISTS).is_dir() and (p / "SegmentationClass").is_dir())
    unlisted = (p for p in inner if (p / "JPEGImages").is_dir() and holds_images(_labels_dir(p)))
    return next(chain(listed, unlisted), root if (root / _LISTS).is_dir() else None)


def _labels_dir(base: Path) -> Path:
    return next((base / name for name in _LABELS if holds_images(base / name)), base / "SegmentationClass")


def _lists(root: Path) -> dict[str, Path]:
    """Split → the file that lists its images; CVAT's are called Train, Validation, … or default alone."""
    base = _base(root) or root
    files = {path.stem.lower(): path for path in sorted((base / _LISTS).glob("*.txt"))}
    return dict.fromkeys(SPLITS, files["default"]) if list(files) == ["default"] else files


def _splits(root: Path) -> list[str]:
    return sorted(_lists(root)) or (list(SPLITS) if _base(root) else [])


def _pairs(root: Path, split: str) -> Pairs:
    base, file = _base(root) or root, _lists(root).get(split)
    folder, images = base / "JPEGImages", {stem(name): name for name in tree(base / "JPEGImages")}
    masks = _labels_dir(base)
    labels = {stem(name): name for name in tree(masks)}
    names = list(images)
    if file is not None:
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        # Lists with two columns name an image and a presence.
        names = [name if name in images else name.split()[0] for name in names]
        if missing := [name for name in names if name not in images]:
            raise DataError(
                f"{file}: lists {missing[0]}, but {folder} holds no image of that name ({len(missing)} of {len(names)} are "
                "missing); export the dataset again with its images"
            )
    pairs: Pairs = [(f"{folder}/{images[name]}", f"{masks}/{labels[name]}" if name in labels else None) for name in names]
    return automatic_split(pairs, split) if file is None or file.stem.lower() == "default" else pairs


def _label_map(root: Path) -> LabelMap:
    """What ``labelmap.txt`` or ``class_names.txt`` says; without one it is Pascal VOC."""
    base = _base(root) or root
    if (base / labelmap.FILE).is_file():
        return read_label_map(base / labelmap.FILE)
    if (base / CLASS_NAMES).is_file():
        lines = (base / CLASS_NAMES).read_text(encoding="utf-8-sig").splitlines()
        names = [line.strip() for line in lines if line.strip() not in ("", _IGNORED)]
        return LabelMap(Labels(tuple(names), voc_palette(len(names))), Coding(void_rgb=VOC_VOID_RGB))
    return LabelMap(VOC, _CODING)


def _shown_by(root: Path) -> str | None:
    base = _base(root)
    if base is None:
        return None
    return f"{base / _LISTS}" if (base / _LISTS).is_dir() else f"{base / 'JPEGImages'} and {_labels_dir(base).name}"


def _notes(root: Path) -> tuple[str, ...]:
    """A word where nothing but the folders says that the classes are Pascal VOC's."""
    base = _base(root) or root
    if any((base / name).is_file() for name in (labelmap.FILE, CLASS_NAMES)):
        return ()
    other = [name for name in image_files(base / "JPEGImages") if not _NAME.match(stem(name))]
    if not other:
        return ()
    return (
        f"the classes are taken to be Pascal VOC's 21 for its folders alone, though images such as {other[0]} are none of "
        f"its: if they are others, name them in {root / 'classes.json'} or {base / labelmap.FILE}",
    )


LAYOUT = Layout(
    key="voc",
    name="Pascal VOC (JPEGImages, SegmentationClass, ImageSets)",
    shown_by=_shown_by,
    splits=_splits,
    pairs=_pairs,
    labels=lambda root: _label_map(root).labels,
    coding=lambda root: _label_map(root).coding,
    expects=lambda root, _split: _labels_dir(_base(root) or root),
    notes=_notes,
)
