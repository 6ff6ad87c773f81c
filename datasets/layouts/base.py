"""What a layout is, and the listing of files that all of them share."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ...core.errors import DataError
from ...core.labels import Labels
from ..labelfiles.coding import Coding

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
SPLITS = ("train", "val", "test")
#: Names of splits in folders and files, in lower case, and what this project calls them.
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val", "test": "test",
    "testing": "test",
}  # fmt: skip
#: Images in order of their names, each with its label file, or None where that is missing. Texts, because a path object
#: for each of a hundred thousand files takes longer than listing them.
Pairs = list[tuple[str, "str | None"]]
P = TypeVar("P", str, Path)
#: Folders that archives bring along.
_JUNK = ("__macosx",)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way to lie on disk.

    Attributes:
        key: Its name for ``layout=…``.
        name: For messages.
        shown_by: root → what shows that a dataset lies there in this way; None where it doesn't.
        splits: root → names of its splits.
        pairs: (root, split) → its pairs.
        labels: root → its classes; None where the files must say.
        coding: root → what its label files' pixels mean.
        expects: (root, split) → the folder of the labels, for messages.
        label_name: image → the name that its label file should have in there, for messages.
        label_files: (root, split) → every label file, for counting those without an image; None: not known.
        notes: root → what is assumed, one line each.
    """

    key: str
    name: str
    shown_by: Callable[[Path], str | None]
    splits: Callable[[Path], list[str]]
    pairs: Callable[[Path, str], Pairs]
    expects: Callable[[Path, str], Path]
    labels: Callable[[Path], Labels | None] = lambda _root: None
    coding: Callable[[Path], Coding] = lambda _root: Coding()
    label_name: Callable[[Path], str] = lambda image: f"{image.stem}.png"
    label_files: Callable[[Path, str], list[str]] | None = None
    notes: Callable[[Path], tuple[str, ...]] = lambda _root: ()

    def expected_label(self, root: Path, split: str, image: Path) -> Path:
        """Where the label file of an image should lie."""
        return self.expects(root, split) / self.label_name(image)


def split_word(name: str) -> str | None:
    """What this project calls a split that a folder is named after; None where it is named after none."""
    return SPLIT_NAMES.get(name.lower())


def image_files(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """The names of a folder's image files, sorted; none where it is missing."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if is_image(e.name, suffixes))
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_image(name: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> bool:
    """Whether a file is called like an image. Names that begin with a dot are other systems' notes about files."""
    return name[name.rfind(".") :].lower() in suffixes and name[0] != "."  # os.path.splitext takes five times as long


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name; none where it is missing."""
    return [folder / name for name in image_files(folder)]


def tree(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[str]:
    """The image files in a folder and the folders below it: paths relative to it, sorted."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(folder / below if below else folder) as entries:
                for entry in entries:
                    name = entry.name
                    if is_image(name, suffixes):
                        found.append(below + name)
                    elif name[0] != "." and entry.is_dir() and name.lower() not in _JUNK:
                        waiting.append(f"{below}{name}/")
        except (FileNotFoundError, NotADirectoryError):
            continue
    return sorted(found)


def holds_images(folder: Path) -> bool:
    """Whether there is an image file in a folder or below it."""
    try:
        with os.scandir(folder) as entries:
            inner = []
            for entry in entries:
                if is_image(entry.name):
                    return True
                if not entry.name.startswith(".") and entry.is_dir():
                    inner.append(entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(holds_images(Path(path)) for path in inner)


def folders(root: Path) -> list[Path]:
    """The folders in a folder, sorted by name; none where it is missing."""
    try:
        with os.scandir(root) as entries:
            names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [root / name for name in names if name.lower() not in _JUNK]


def stem(path: str) -> str:
    """A file's path without its suffix."""
    at = path.rfind(".")
    return path if at < 1 or "/" in path[at:] else path[:at]


def by_stem(
    images: Path, masks: Path, key: Callable[[str], str] = lambda name: name, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> Pairs:
    """The images of a folder, each with the label file of its name.

    Args:
        images, masks: The folders.
        key: Name of a label file without suffix → that of its image.
        suffixes: Of label files.
    """
    labels = {key(stem(name)): name for name in image_files(masks, suffixes)}
    pairs: Pairs = []
    for name in image_files(images):
        label = labels.get(stem(name))
        pairs.append((f"{images}/{name}", None if label is None else f"{masks}/{label}"))
    return pairs


def file_stem(path: str | Path) -> str:
    """A file's name without folder and suffix."""
    return stem(os.path.basename(path))


def automatic_split(
    pairs: Sequence[tuple[P, P | None]], split: str, group: Callable[[P], str] = file_stem
) -> list[tuple[P, P | None]]:
    """The share of ``pairs`` that a dataset without splits gives to one: 80 % train, 10 % val, 10 % test.

    The order of the groups' hashed names decides, so that every machine draws the same; images of a group (of one car, of
    one ride) are never parted.
    """
    if split not in SPLITS:
        raise DataError(f"a dataset without splits is divided into {', '.join(SPLITS)}, got {split!r}")
    groups = sorted({group(image) for image, _ in pairs}, key=lambda name: hashlib.sha256(name.encode()).digest())
    tenth = max(1, round(len(groups) / 10)) if len(groups) > 2 else len(groups) // 2
    parts = {"val": groups[:tenth], "test": groups[tenth : 2 * tenth], "train": groups[2 * tenth :]}
    if len(groups) < 3:
        parts = {"val": groups[:tenth], "test": [], "train": groups[tenth:]}
    chosen = set(parts[split])
    return [pair for pair in pairs if group(pair[0]) in chosen]
