"""Datasets on disk as arrays: pairs of image and label files, whatever their layout. Needs no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ..core.errors import DataError
from ..core.labels import CAMVID, Labels, preset
from .coding import Coding, Mask, palette_as_numbers
from .layouts import FOLDERS, Layout, find_layout, folders
from .layouts import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .layouts import list_images as list_images

Frame = npt.NDArray[np.uint8]

#: Optional file in a dataset's root: names, palette and ignore_index as :meth:`Labels.from_dict` reads them.
CLASSES_FILE = "classes.json"
_ALIASES = {"val": ("valid", "validation"), "valid": ("val",), "validation": ("val",)}
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


def open_dataset(root: str | Path, split: str, labels: Labels | str | None = None) -> SegDataset:
    """Lists one split of a dataset in any of the layouts of :mod:`.layouts`, or of several as :mod:`.merged` reads them.

    Classes come from, in this order: ``labels`` (a :class:`Labels` or the name of a preset), ``classes.json`` in the
    root, the layout (Cityscapes, …), CamVid's own file names, or the label values found in the split (``class0``,
    ``class1``, …; 255 is void).

    Raises:
        DataError: a folder is missing or empty, or images and labels do not pair up.
        UnknownNameError: no such preset.
    """
    from .merged import is_merged, open_merged  # datasets made of datasets

    root = Path(root)
    if is_merged(root):
        return open_merged(root, split, preset(labels) if isinstance(labels, str) else labels)
    if not root.is_dir():
        raise DataError(f"dataset {root}: no such folder; pass --data a folder with images/{split} and labels/{split}")
    return open_folder(root, split, labels)


def open_dataset_for(root: str | Path, split: str, labels: Labels) -> SegDataset:
    """:func:`open_dataset` for a network of these classes: a dataset that has only numbers, which name no classes, gets
    them. One that names its own keeps them, whether they are the network's or not.

    Raises:
        DataError: as :func:`open_dataset` says; on reading, a number that is none of the classes.
    """
    return named_for(open_dataset(root, split), labels)


def named_for(data: SegDataset, labels: Labels) -> SegDataset:
    """An open dataset for a network of these classes, as :func:`open_dataset_for` says."""
    return data if names_its_own(data, labels) else with_names(data, labels)


def names_its_own(data: SegDataset, labels: Labels) -> bool:
    """Whether a dataset says what its classes are called, whatever a network with these classes says: by ``classes.json``
    or by the folders it is made of, or by its layout or its files' names where the network's classes have names too.
    """
    from .merged import is_merged  # as in open_dataset

    own = data.labels.names
    if own == labels.names or is_merged(data.root) or (data.root / CLASSES_FILE).is_file():
        return True
    return all(names != Labels.numbered(len(names)).names for names in (own, labels.names))


def with_names(numbers: SegDataset, labels: Labels) -> SegDataset:
    """A dataset of numbers, taken to be these classes; void is their number for it where the dataset has that, else 255."""
    if len(numbers.labels) <= len(labels):
        labels = replace(labels, ignore_index=255)
    return replace(numbers, labels=labels)


def open_folder(root: Path, split: str, labels: Labels | str | None = None) -> SegDataset:
    """:func:`open_dataset` of one dataset, whatever folders of single classes lie beside it."""
    layout = find_layout(root)
    folder = _split_name(root, layout, split)
    pairs = layout.pairs(root, folder)
    if not pairs:
        where = root / "images" / folder if layout is FOLDERS else f"dataset {root}, {split}"
        raise DataError(f"{where}: no images in this folder; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
    missing = [image for image, mask in pairs if mask is None]
    if missing:
        raise DataError(
            f"{missing[0]}: has no label ({len(missing)} of {len(pairs)} images have none); "
            f"expected {layout.expects(root, folder)}/{missing[0].stem}.png"
        )
    images = tuple(image for image, _ in pairs)
    masks = tuple(mask for _, mask in pairs if mask is not None)
    return SegDataset(root, split, _resolve_labels(root, layout, images, masks, labels), images, masks, layout.coding)


def _split_name(root: Path, layout: Layout, split: str) -> str:
    """The name of ``split`` in this dataset, which may say ``valid`` where we say ``val``."""
    names = layout.splits(root)
    found = next((name for name in (split, *_ALIASES.get(split, ())) if name in names), None)
    if found is not None and (layout is not FOLDERS or layout.expects(root, found).is_dir()):
        return found
    if found is not None:  # images are there, labels are not
        names = [path.name for path in folders(layout.expects(root, found).parent)]
    has = f"it has {', '.join(names)}" if names else "it has no splits"
    if layout is not FOLDERS:
        raise DataError(f"dataset {root}: no split {split!r} ({has}); it lies there as {layout.name}")
    folder = "images" if found is None else layout.expects(root, found).parent.name
    raise DataError(f"dataset {root}: no folder {folder}/{split} ({has}); expected images/{split} and labels/{split}")


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


def _resolve_labels(
    root: Path, layout: Layout, images: tuple[Path, ...], masks: tuple[Path, ...], labels: Labels | str | None
) -> Labels:
    if isinstance(labels, Labels):
        return labels
    if labels is not None:
        return preset(labels)
    file = root / CLASSES_FILE
    if file.is_file():
        return read_classes(file)
    known = layout.labels(root)
    if known is not None:
        return known
    if all(_CAMVID_NAME.match(path.name) for path in images):
        return CAMVID
    highest = 0
    for path in masks:
        values = np.unique(read_mask(path))
        highest = max(highest, int(values[values < 255].max(initial=0)))
    return Labels.numbered(highest + 1)


def read_classes(file: Path) -> Labels:
    """Reads ``classes.json``.

    Raises:
        DataError: not readable, or no class list.
    """
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
