"""Datasets on disk as arrays: pairs of image and label files, whatever their layout. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError
from ..core.labels import Labels
from .exif import MEANINGS, orientation
from .labelfiles.classes import CLASSES_FILE
from .labelfiles.coding import Coding, Mask, palette_as_numbers
from .labelfiles.palettes import Seen, grey_step, palette_of, resolve

Frame = npt.NDArray[np.uint8]


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
        notes: What was assumed about the label files, one line each.
        palettes: Colours that palette indices had in the label files read so far.
    """

    root: Path
    split: str
    labels: Labels
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    coding: Coding = field(default=Coding(), compare=False)
    sets: tuple[tuple[int, ...], ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    palettes: Seen = field(default_factory=dict, compare=False, repr=False)

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
                f"both must have one size{_turned(self.images[index], frame, mask)}"
            )
        return frame, mask

    def read_mask(self, index: int) -> Mask:
        """The mask of one pair alone: uint8 (H, W).

        Raises:
            DataError: an unreadable file, or a value or colour that is no class.
        """
        path = self.masks[index]
        data = _bytes(path)
        if not self.coding.takes_lossy and is_lossy(data):
            raise DataError(_lossy(path, data))
        palette = palette_of(data) if self.coding.colours is None else None
        raw = _label_pixels(path, data, palette is not None)
        decoded = False
        if palette is not None:
            raw, decoded = self.coding.of_palette(np.asarray(raw, np.uint8), palette, self.labels, path, self.palettes)
        mask = np.ascontiguousarray(raw, np.uint8) if decoded else self.coding.decode(raw, self.labels, path)
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
        DataError: missing, not decodable, or deeper than 8 bits.
    """
    data = _bytes(Path(path))
    # Any depth: OpenCV would divide 16 bits by 256, which leaves a thermal camera's range a few levels.
    image = _pixels(Path(path), data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH, len(data))
    if image.dtype != np.uint8:
        raise DataError(
            f"{path}: the image has {image.dtype} values from {image.min()} to {image.max()}; expected 8 bits: map the "
            "range that matters to 0..255 first, the same for every image"
        )
    return np.asarray(image, np.uint8)


def read_mask(path: str | Path, seen: Seen | None = None) -> Mask:
    """Reads a label image of one 8-bit channel: uint8 (H, W).

    Args:
        path: The file.
        seen: Colours of palette indices in files read before; completed here.

    Raises:
        DataError: missing, not decodable, coloured or deeper than 8 bits, in a lossy format, or a palette index has another
            colour than in a file read before.
    """
    path = Path(path)
    data = _bytes(path)
    if is_lossy(data):
        raise DataError(_lossy(path, data))
    palette = palette_of(data)
    mask = _label_pixels(path, data, palette is not None)
    if palette is not None:
        mask = resolve(np.asarray(mask, np.uint8), palette, None, None, path, {} if seen is None else seen)
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


def is_lossy(data: bytes) -> bool:
    """Whether a file is of a format that changes values: JPEG, or WebP's lossy kind."""
    return data[:2] == b"\xff\xd8" or (data[:4] == b"RIFF" and data[8:12] == b"WEBP" and b"VP8 " in data[12:64])


def _lossy(path: Path, data: bytes) -> str:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    shown = "" if pixels is None else f" (here {len(np.unique(pixels))} values from {pixels.min()} to {pixels.max()})"
    return (
        f"{path}: a label in a lossy format, JPEG or WebP: compression changes the values{shown}; export the labels "
        "again as PNG, because the borders can't be restored"
    )


def _turned(path: Path, frame: Frame, mask: Mask) -> str:
    """What EXIF has to do with sizes that differ; nothing where it has none."""
    turn = orientation(_bytes(path))
    if turn < 5 or frame.shape[:2] != mask.shape[::-1]:
        return ""
    return (
        f"; EXIF orientation {turn} of the image says {MEANINGS[turn]}, and the label was drawn without it: turn the label "
        "as viewers turn the image, or write the image anew without EXIF"
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read ({error.strerror}); check the path") from error


def _label_pixels(path: Path, data: bytes, indices: bool) -> npt.NDArray[np.generic]:
    """Pixels as stored: of a file with a palette the indices or the colours, of a grey one of few bits the raw values."""
    if indices:
        image = _pixels(path, palette_as_numbers(data), cv2.IMREAD_UNCHANGED, len(data))
        return image if image.ndim == 2 else image[..., 0]  # all three channels are the same
    image, step = _pixels(path, data, cv2.IMREAD_UNCHANGED, len(data)), grey_step(data)
    return image if step == 1 else np.asarray(image // step, np.uint8)


def _pixels(path: Path, data: bytes, flags: int, size: int) -> npt.NDArray[np.generic]:
    # imdecode on bytes, because imread prints its own warnings and can't say why it failed.
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    if image is None:
        raise DataError(f"{path}: not a readable image ({size} bytes); replace or remove it")
    return np.asarray(image)


def _size(image: npt.NDArray[np.generic]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
