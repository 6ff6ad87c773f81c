"""What to say of a folder in which no dataset is recognised."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from os.path import isfile, join
from pathlib import Path

from .base import Layout, folders, image_files, split_word
from .naming import LABEL_STUDIO_PNG

_MOST = 6
#: Files that say how data is read: not data themselves.
_OWN = ("classes.json", "reading.json")
_DEPTH = 3
#: How much of an XML file shows what it is.
_HEAD = 1 << 16


def seen(root: Path) -> str:
    """What a folder holds: files by kind, folder by folder, as one line."""
    listed = list(_listed(root, root, 0))
    more = f" and {len(listed) - _MOST} more folders" if len(listed) > _MOST else ""
    return "; ".join(listed[:_MOST]) + more if listed else "nothing"


def _listed(folder: Path, root: Path, depth: int) -> Iterable[str]:
    with os.scandir(folder) as entries:
        files = [e.name for e in entries if not e.name.startswith(".") and e.is_file() and e.name not in _OWN]
    kinds = Counter(os.path.splitext(name)[1].lower() or "without suffix" for name in files)
    if kinds:
        counted = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(3))
        yield f"{folder.relative_to(root).as_posix() if folder != root else 'in it'}: {counted}"
    if depth < _DEPTH:
        for inner in folders(folder):
            yield from _listed(inner, root, depth + 1)


def kinds(folder: Path) -> str:
    """The files of a folder by kind; empty where there are none."""
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not e.name.startswith(".") and e.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return ""
    counted = Counter(os.path.splitext(name)[1].lower() or "without suffix" for name in names)
    return ", ".join(f"{count} {kind}" for kind, count in counted.most_common(3))


def foreign(root: Path, boxes: bool = True) -> str:
    """Which files of other tools that are not read lie in a folder, and what to do about them; empty where there are none.

    Args:
        root: The folder.
        boxes: Name Pascal VOC's boxes too, which also lie beside its masks.
    """
    for folder, inner, names in os.walk(root):
        inner.sort()
        files = sorted(name for name in names if name[0] != ".")
        if any(LABEL_STUDIO_PNG.match(name) for name in files):
            return (
                f"{folder} holds Label Studio's PNG export, a file for each brush, which names no image: export the project "
                "as JSON, put its images beside it, and run: seg-edge data convert label-studio SRC DST"
            )
        for path in [path for name in files if name.lower().endswith(".xml") and isfile(path := join(folder, name))][:1]:
            with open(path, "rb") as file:
                head = file.read(_HEAD)
            if b"<annotation>" in head and b"<polygon" in head:
                return (
                    f"{path} is XML of LabelMe's web tool (3.0), which is not read: import it into CVAT (as LabelMe 3.0) "
                    "and export it as COCO 1.0, then: seg-edge data convert coco SRC DST"
                )
            if boxes and b"<annotation" in head and b"<bndbox" in head:
                return (
                    f"{path} holds Pascal VOC's boxes, which have no outlines: draw outlines or masks, or let a tool make "
                    "them from the boxes"
                )
    return ""


def inside(root: Path, layouts: Iterable[Layout]) -> Path | None:
    """The dataset that lies one or two folders below, as archives unpack; None where there is none, or several."""
    below = [inner for outer in folders(root) for inner in (outer, *folders(outer))]
    fitting = [path for path in below if any(layout.shown_by(path) is not None for layout in layouts)]
    return fitting[0] if len(fitting) == 1 else None


def nearest(root: Path) -> str:
    """What would make the nearest readable layout of the folders with images."""
    holding = [path for path in folders(root) if image_files(path) and split_word(path.name) is None]
    if len(holding) == 2:
        first, second = (path.name for path in holding)
        return (
            f"if {first} holds the images and {second} the labels, rename them to images and labels (or the other way round)"
        )
    if image_files(root):
        return "name each label file after its image, as in a.jpg and a_mask.png, or put them into images and labels"
    return "the nearest readable layout is images/<split> and labels/<split>"
