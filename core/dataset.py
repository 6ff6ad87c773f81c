"""Folder datasets as arrays: ``images/<split>/NAME.*`` beside ``labels/<split>/NAME.png``. Needs no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from .errors import DataError
from .labels import CAMVID, Labels, preset

Frame = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
#: Optional file in a dataset's root: names, palette and ignore_index as :meth:`Labels.from_dict` reads them.
CLASSES_FILE = "classes.json"
# The four sequences that CamVid's frames are named after.
_CAMVID_NAME = re.compile(r"^(0001TP|0006R0|0016E5|Seq05VD)_")


@dataclass(frozen=True)
class SegDataset:
    """One split of a segmentation dataset on disk.

    Attributes:
        root: The dataset's folder.
        split: ``"train"``, ``"val"``, …
        labels: Its classes.
        images, masks: Paths, pair by pair, sorted by name.
    """

    root: Path
    split: str
    labels: Labels
    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[Frame, Mask]]:
        return (self.read(i) for i in range(len(self)))

    def read(self, index: int) -> tuple[Frame, Mask]:
        """One image and its mask.

        Returns:
            uint8 (H, W, 3) BGR and uint8 (H, W); label values are below ``len(labels)`` or equal ``ignore_index``.

        Raises:
            DataError: an unreadable file, sizes that differ, or a label value out of range.
        """
        frame, mask = read_image(self.images[index]), read_mask(self.masks[index])
        if frame.shape[:2] != mask.shape:
            raise DataError(
                f"{self.masks[index]}: label is {_size(mask)} but its image {self.images[index].name} is {_size(frame)}; "
                "both must have one size"
            )
        self.check_values(mask, self.masks[index])
        return frame, mask

    def check_values(self, mask: Mask, path: Path) -> None:
        """Raises DataError if a label value is neither a class nor ``ignore_index``."""
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        bad = values[(values >= len(self.labels)) & (values != self.labels.ignore_index)]
        if bad.size:
            raise DataError(
                f"{path}: label value {bad[0]} is out of range: expected 0..{len(self.labels) - 1} or "
                f"{self.labels.ignore_index} (void); name the classes in {self.root / CLASSES_FILE}"
            )


def open_dataset(root: str | Path, split: str, labels: Labels | str | None = None) -> SegDataset:
    """Lists one split of a folder dataset and settles its classes.

    Classes come from, in this order: ``labels`` (a :class:`Labels` or the name of a preset), ``classes.json`` in the
    root, CamVid's own file names, or the label values found in the split (``class0``, ``class1``, …; 255 is void).

    Raises:
        DataError: a folder is missing or empty, or images and labels do not pair up.
        UnknownNameError: no such preset.
    """
    root = Path(root)
    image_dir, mask_dir = root / "images" / split, root / "labels" / split
    if not root.is_dir():
        raise DataError(f"dataset {root}: no such folder; pass --data a folder with images/{split} and labels/{split}")
    for folder in (image_dir, mask_dir):
        if not folder.is_dir():
            found = sorted(p.name for p in folder.parent.iterdir() if p.is_dir()) if folder.parent.is_dir() else []
            has = f"it has {', '.join(found)}" if found else "it has no splits"
            raise DataError(
                f"dataset {root}: no folder {folder.parent.name}/{split} ({has}); expected images/{split} and labels/{split}"
            )
    images = list_images(image_dir)
    if not images:
        raise DataError(f"{image_dir}: no images in this folder; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
    masks = {path.stem: path for path in list_images(mask_dir)}
    missing = [path for path in images if path.stem not in masks]
    if missing:
        raise DataError(
            f"{missing[0]}: has no label ({len(missing)} of {len(images)} images have none); "
            f"expected {mask_dir / (missing[0].stem + '.png')}"
        )
    pairs = tuple(masks[path.stem] for path in images)
    return SegDataset(root, split, _resolve_labels(root, images, pairs, labels), tuple(images), pairs)


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def read_image(path: str | Path) -> Frame:
    """Reads an image: uint8 (H, W, 3), BGR.

    Raises:
        DataError: missing or not decodable.
    """
    image = _decode(Path(path), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)


def read_mask(path: str | Path) -> Mask:
    """Reads a label image of one 8-bit channel: uint8 (H, W).

    Raises:
        DataError: missing, not decodable, coloured or deeper than 8 bits.
    """
    mask = _decode(Path(path), cv2.IMREAD_UNCHANGED)
    if mask.ndim == 3 and (mask[..., :1] == mask[..., :3]).all():
        mask = mask[..., 0]  # grey stored as colour
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise DataError(
            f"{path}: labels must be one 8-bit channel of class numbers, got {mask.dtype} {mask.shape}; "
            "convert colours to class numbers first"
        )
    return np.ascontiguousarray(mask)


def write_labels(root: str | Path, labels: Labels) -> None:
    """Writes ``classes.json`` into a dataset's root."""
    from .artifact import write_json

    write_json(Path(root) / CLASSES_FILE, labels.to_dict())


def _decode(path: Path, flags: int) -> npt.NDArray[np.generic]:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path") from error
    # imdecode on bytes, because imread prints its own warnings and can't say why it failed.
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise DataError(f"{path}: not a readable image ({data.size} bytes); replace or remove it")
    return np.asarray(image)


def _resolve_labels(root: Path, images: list[Path], masks: tuple[Path, ...], labels: Labels | str | None) -> Labels:
    if isinstance(labels, Labels):
        return labels
    if labels is not None:
        return preset(labels)
    file = root / CLASSES_FILE
    if file.is_file():
        return _read_classes(file)
    if all(_CAMVID_NAME.match(path.name) for path in images):
        return CAMVID
    highest = 0
    for path in masks:
        values = np.unique(read_mask(path))
        highest = max(highest, int(values[values < 255].max(initial=0)))
    return Labels.numbered(highest + 1)


def _read_classes(file: Path) -> Labels:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # not JSON, not even text
        raise DataError(f"{file}: not readable as JSON ({error}); expected names, palette, ignore_index") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: expected a JSON object with names, palette, ignore_index, got {type(data).__name__}")
    try:
        return Labels.from_dict(data)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error


def _size(image: npt.NDArray[np.generic]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
