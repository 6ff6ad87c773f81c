"""ADE20K (Zhou et al., 2017), as the scene parsing challenge's archive unpacks."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import DataError
from ...core.labels import Labels, default_palette
from ..labelfiles import labelmap
from ..labelfiles.classes import CLASSES_FILE, read_classes
from ..labelfiles.coding import Coding
from ..labelfiles.tables import find_table
from .base import SPLITS, Layout, by_stem, folders, image_files

_SPLITS = {"train": "training", "val": "validation"}
_NAMES, _CLASSES = "objectInfo150.txt", 150


def _shown_by(root: Path) -> str | None:
    """The folders alone don't tell: mmsegmentation asks for the same ones of any dataset."""
    both = [name for name in _SPLITS.values() if (root / "images" / name).is_dir()]
    if not any((root / "annotations" / name).is_dir() for name in both):
        return None
    if "training" not in both and [path.name for path in folders(root / "images")] != ["validation"]:
        return None
    if (root / _NAMES).is_file():
        return f"images/{both[0]}, annotations and {_NAMES}"
    files = image_files(root / "images" / both[0])
    if files and files[0].startswith("ADE_"):
        return f"images/{both[0]} with files such as {files[0]}"
    own = root / CLASSES_FILE
    return f"images/{both[0]} and the 150 names in {own}" if own.is_file() and len(read_classes(own)) == _CLASSES else None


def check_not_meant(root: Path) -> None:
    """Raises DataError where the folders are those of ADE20K, and of mmsegmentation's for any dataset, and nothing tells."""
    if any((root / kind / name).is_dir() for kind in ("images", "annotations") for name in SPLITS):
        return
    both = [
        name for name in _SPLITS.values() if (root / "images" / name).is_dir() and (root / "annotations" / name).is_dir()
    ]
    if both and not any((root / file).is_file() for file in (CLASSES_FILE, labelmap.FILE)) and find_table(root) is None:
        raise DataError(
            f"dataset {root}: images/{both[0]} and annotations/{both[0]} are ADE20K's folders, where 0 is void and 1 to 150 "
            "are its classes, and mmsegmentation's for any dataset; nothing here says which: pass `layout='ade20k'`, or "
            f"`layout='folders'` if values are class numbers, or name the classes in {root / CLASSES_FILE}"
        )


def _labels(root: Path) -> Labels:
    """Names as the dataset's own list has them: ``Idx Ratio Train Val Stuff Name``, the first of several synonyms."""
    file = root / _NAMES
    if not file.is_file():
        return Labels.numbered(_CLASSES)
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8-sig").splitlines()[1:] if line.strip()]
    if len(rows) != _CLASSES:
        raise DataError(f"{file}: expected a heading and 150 classes, got {len(rows)}")
    names: list[str] = []
    for row in rows:
        name = row[-1].split(",")[0].strip()
        names.append(name if name not in names else f"{name} {len(names) + 1}")
    return Labels(tuple(names), default_palette(_CLASSES))


LAYOUT = Layout(
    key="ade20k",
    name="ADE20K challenge (images/training, annotations/training)",
    shown_by=_shown_by,
    splits=lambda root: [name for name, folder in _SPLITS.items() if (root / "images" / folder).is_dir()],
    pairs=lambda root, split: by_stem(
        root / "images" / _SPLITS.get(split, split), root / "annotations" / _SPLITS.get(split, split)
    ),
    labels=_labels,
    coding=lambda _root: Coding({0: 255} | {i: i - 1 for i in range(1, 151)}),
    expects=lambda root, split: root / "annotations" / _SPLITS.get(split, split),
)
