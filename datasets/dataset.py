"""Datasets on disk as arrays: pairs of image and label files, whatever their layout. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError
from ..core.labels import Labels
from .coding import Coding, Mask, palette_as_numbers

Frame = npt.NDArray[np.uint8]

#: Optional file in a dataset's root: names, palette and ignore_index as :meth:`Labels.from_dict` reads them.
CLASSES_FILE = "classes.json"


@dataclass(frozen=True)
class SegDataset:
    """One split of a segmentation dataset on disk.

    Attributes:
        root: The dataset's folder.
        split: ``"train"``, ``"val"``, …
        labels: Its classes.
        images, masks: Paths, pair by pair, sorted by name.
        coding: What the label files' pixels mean.
        sets: What label values from ``len(labels)`` up stand for: each a set of classes, one of which is the pixel's. Empty
            where every label is one class; see :mod:`.merged`.
    """

    root: Path
    split: str
    labels: Labels
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    coding: Coding = field(default=Coding(), compare=False)
    sets: tuple[tuple[int, ...], ...] = ()

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
        frame, mask = read_image(self.images[index]), self.read_mask(index)
        if frame.shape[:2] != mask.shape:
            raise DataError(
                f"{self.masks[index]}: label is {_size(mask)} but its image {self.images[index].name} is {_size(frame)}; "
                "both must have one size"
            )
        return frame, mask

    def read_mask(self, index: int) -> Mask:
        """The mask of one pair alone: uint8 (H, W).

        Raises:
            DataError: an unreadable file, or a value or colour that is no class.
        """
        path = self.masks[index]
        raw = _decode(path, cv2.IMREAD_UNCHANGED, numbers=self.coding.colours is None)
        mask = self.coding.decode(raw, self.labels, path)
        values = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        bad = values[(values >= len(self.labels)) & (values != self.labels.ignore_index)]
        if bad.size:
            raise DataError(
                f"{path}: label value {bad[0]} is out of range: expected 0..{len(self.labels) - 1} or "
                f"{self.labels.ignore_index} (void); name the classes in {self.root / CLASSES_FILE}"
            )
        return mask


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
    mask = _decode(Path(path), cv2.IMREAD_UNCHANGED, numbers=True)
    if mask.ndim == 3 and (mask[..., :1] == mask[..., :3]).all():
        mask = mask[..., 0]  # grey stored as colour
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise DataError(
            f"{path}: labels must be one 8-bit channel of class numbers, got {mask.dtype} {mask.shape}; "
            "if they are coloured, name the classes and their palette in classes.json"
        )
    return np.ascontiguousarray(mask)


def write_labels(root: str | Path, labels: Labels) -> None:
    """Writes ``classes.json`` into a dataset's root."""
    from ..core.artefact import write_json

    write_json(Path(root) / CLASSES_FILE, labels.to_dict())


def _decode(path: Path, flags: int, numbers: bool = False) -> npt.NDArray[np.generic]:
    """``numbers``: of a file with a palette, take the indices instead of the colours."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path") from error
    file = palette_as_numbers(data) if numbers else data
    # imdecode on bytes, because imread prints its own warnings and can't say why it failed.
    image = cv2.imdecode(np.frombuffer(file, np.uint8), flags) if file else None
    if image is None:
        raise DataError(f"{path}: not a readable image ({len(data)} bytes); replace or remove it")
    # Of indices all three channels are the same.
    return np.asarray(image if file is data or image.ndim == 2 else image[..., 0])


def read_classes(file: Path) -> Labels:
    """Reads ``classes.json``.

    Raises:
        DataError: not readable, or no class list.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
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
