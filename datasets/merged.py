"""Datasets that label different classes, read as one: what a dataset leaves unlabelled is unknown there, not background.

A pixel that a dataset of cars does not mark as car may be background or any class that this dataset does not label. Such a
pixel's label value lies above the classes, ``len(labels) + g``, and means "one of ``sets[g]``". The loss sums the
probabilities of a set (:mod:`seg_edge.train.losses.marginal`); metrics take a prediction from the set for background.

Two ways to say it: a folder of single-class folders, ``CLASS/{images,masks}`` with binary masks; or a description in YAML or
JSON, see :func:`open_description`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..core.errors import DataError, InputError, UnknownNameError
from ..core.labels import BACKGROUND, RGB, Labels, default_palette
from .dataset import SegDataset
from .labelfiles.coding import Coding, Mask
from .labelfiles.palettes import Seen, grey_levels
from .labelfiles.semantic_yaml import is_semantic_yaml
from .layouts import LABEL_DIRS, SPLITS, folders, image_dir, label_dir, split_word

DESCRIPTIONS = (".yaml", ".yml", ".json")
#: What a training may take unlabelled pixels for.
UNLABELLED = ("marginal", "background")
#: Folders of these names are no classes.
NO_CLASSES = (*SPLITS, "valid", "validation", "images", *LABEL_DIRS)


@dataclass(frozen=True)
class BinaryMask(Coding):
    """Masks of one class: 0 and 1, 0 and 255, or a colour on black."""

    takes_lossy: ClassVar[bool] = True

    def of_palette(self, numbers: Mask, palette: list[RGB], labels: Labels, path: Path, seen: Seen) -> tuple[Mask, bool]:
        """Grey levels, or 1 where the colour is not black; indices where no entry is black."""
        levels = grey_levels(numbers, palette)
        if levels is not None:
            return levels, False
        black = [index for index, colour in enumerate(palette) if colour == (0, 0, 0)]
        present = np.isin(numbers, black)
        return (np.asarray(~present, np.uint8) if present.any() else numbers), False

    def decode(self, raw: npt.NDArray[Any], labels: Labels, path: Path) -> Mask:
        """uint8 (H, W) or (H, W, 3 or 4) → uint8 (H, W), 1 where the class is.

        Raises:
            DataError: more than 8 bits, or values that are neither of the two kinds.
        """
        if raw.dtype != np.uint8 or raw.ndim not in (2, 3):
            raise DataError(f"{path}: a binary mask must have 8 bits, got {raw.dtype} {raw.shape}")
        value = raw if raw.ndim == 2 else raw[..., :3].max(2)
        highest = int(value.max(initial=0))
        if 1 < highest < 128 and path.suffix.lower() not in (".jpg", ".jpeg"):  # a JPEG's black has some noise
            raise DataError(f"{path}: a binary mask holds 0 and 1, or 0 and 255, got {highest}")
        return np.ascontiguousarray(value >= (1 if highest == 1 else 128)).astype(np.uint8)


@dataclass(frozen=True)
class MergedDataset(SegDataset):
    """One split of several datasets.

    Attributes:
        parts: The datasets, one after another.
        tables: Label value of a part → label value here, uint8 (parts, 256).
    """

    parts: tuple[SegDataset, ...] = ()
    tables: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 256), np.uint8), compare=False, repr=False)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """What all parts have; a network takes one range.

        Raises:
            DataError: they differ.
        """
        ranges = {part.value_range for part in self.parts}
        if len(ranges) > 1:
            raise DataError(f"dataset {self.root}: its datasets are read with different ranges of values; give all one")
        return self.options.value_range or next(iter(ranges), None)

    def read_mask(self, index: int) -> Mask:
        """The mask of one pair: uint8 (H, W); values from ``len(labels)`` up are sets, see the module's text.

        Raises:
            DataError: an unreadable file, or a value or colour that is no class.
        """
        for part, table in zip(self.parts, self.tables, strict=True):
            if index < len(part):
                return np.asarray(table[part.read_mask(index)])
            index -= len(part)
        raise IndexError(index)


@dataclass(frozen=True)
class Part:
    """One dataset of a description: where it is, what it labels, in which splits it takes part (None: in every one)."""

    path: Path
    labelled: tuple[str, ...] | None
    binary: bool = False
    splits: tuple[str, ...] | None = None


def is_merged(root: Path) -> bool:
    """Whether ``root`` is a description, or a folder of single-class folders."""
    if root.suffix in DESCRIPTIONS and root.is_file():
        return not is_semantic_yaml(root)
    return len(class_folders(root)) > 1


def class_folders(root: Path) -> list[Path]:
    """The folders that hold images and masks of one class each, class_2 before class_10."""

    def natural(path: Path) -> list[tuple[int, str]]:
        return [(int(part or 0), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]

    found = [
        p
        for p in folders(root)
        if p.name.lower() not in NO_CLASSES and split_word(p.name) is None and image_dir(p) and label_dir(p)
    ]
    return sorted(found, key=natural)


def splits_of(root: Path) -> list[str]:
    """Names of the splits that a merged dataset may have."""
    if root.is_file():
        named = [part.splits for part in open_description(root)[1]]
        return list(SPLITS) if None in named else sorted({name for splits in named if splits for name in splits})
    first = folders(class_folders(root)[0] / "images")
    return [*dict.fromkeys([*(p.name for p in first or [Path(name) for name in SPLITS]), *whole_splits(root)])]


def open_description(path: Path) -> tuple[Labels, list[Part]]:
    """Reads a description::

        classes: [background, car, pedestrian]   # optional: the order; the first one is the background
        palette: [[0, 0, 0], [0, 0, 142], [220, 20, 60]]   # optional: their colours, RGB
        datasets:
          - {path: cars, binary: car}            # masks of one class: 0 and 1, or 0 and 255
          - {path: camvid, labelled: [pedestrian], splits: [train]}
          - {path: checked, splits: [val]}       # labels every class

    ``path`` is relative to the file, and may be any dataset that seg-edge reads. ``labelled`` names the classes that the
    dataset labels wherever they occur; without it, all of its own. ``splits`` are those that it takes part in; without it,
    every one.

    Raises:
        DataError: not readable, or not of this form.
        UnknownNameError: a key or class that does not exist.
    """
    data = _read(path)
    _keys(path, "description", data, ("classes", "palette", "datasets"))
    entries = data.get("datasets")
    if not isinstance(entries, list) or not entries:
        raise DataError(f"{path}: expected 'datasets', a list of entries such as {{path: cars, binary: car}}")
    parts = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise DataError(f"{path}: expected entries such as {{path: cars, binary: car}}, got {entry!r}")
        _keys(path, "dataset", entry, ("path", "labelled", "binary", "splits"))
        binary = entry.get("binary")
        if binary is not None and ("labelled" in entry or not isinstance(binary, str)):
            raise DataError(f"{path}: {entry['path']}: binary is the name of the one class, without labelled")
        labelled = (binary,) if binary else _names(path, entry, "labelled")
        parts.append(Part(path.parent / entry["path"], labelled, binary is not None, _names(path, entry, "splits")))
    return _classes_of(path, data, parts), parts


def as_background(data: SegDataset) -> SegDataset:
    """The same dataset with unlabelled pixels as background: the naive merge."""
    if not isinstance(data, MergedDataset) or not data.sets:
        return data
    unknown = (data.tables >= len(data.labels)) & (data.tables != data.labels.ignore_index)
    return replace(data, sets=(), tables=np.where(unknown, 0, data.tables).astype(np.uint8))


def settle(
    predicted: npt.NDArray[Any], target: npt.NDArray[Any], classes: int, sets: Sequence[Sequence[int]]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Masks to be compared where targets may be sets: such a target becomes background, and a prediction from its set too.

    Args:
        predicted, target: integer, one shape; target values from ``classes`` on are sets.

    Returns:
        Both masks; copies where something changed.
    """
    for number, members in enumerate(sets, classes):
        at = target == number
        if at.any():
            predicted = np.where(at & np.isin(predicted, members), 0, predicted)
            target = np.where(at, 0, target)
    return predicted, target


def whole_splits(root: Path) -> list[str]:
    """Names of the splits that lie beside the single-class folders with labels of all classes."""
    return [p.name for p in folders(root / "images")]


def coloured(names: tuple[str, ...]) -> Labels:
    """Classes of these names in the default colours."""
    return Labels(names, default_palette(len(names)))


def _classes_of(path: Path, data: dict[str, Any], parts: Sequence[Part]) -> Labels:
    named = _names(path, data, "classes")
    if named is None:
        named = (BACKGROUND, *dict.fromkeys(name for part in parts for name in part.labelled or ()))
    if len(named) < 2:
        raise DataError(f"{path}: no dataset says what it labels; name the classes, the background first")
    palette = data.get("palette")
    if palette is None:
        return coloured(named)
    try:
        return Labels.from_dict({"names": list(named), "palette": palette})
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _names(path: Path, entry: dict[str, Any], key: str) -> tuple[str, ...] | None:
    value = entry.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise DataError(f"{path}: {key}: expected a list of names, got {value!r}")
    return tuple(value)


def _keys(path: Path, what: str, data: dict[str, Any], valid: tuple[str, ...]) -> None:
    for key in data:
        if key not in valid:
            raise UnknownNameError(f"key of a {what} in {path}", str(key), valid)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".json":
            data = json.loads(text)
        else:
            import yaml  # of the extra "train"; JSON needs no package

            try:
                data = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise DataError(f"{path}: not readable as YAML ({' '.join(str(error).split())[:200]})") from error
    except ImportError as error:
        raise InputError(f"{path}: YAML needs a package ({error}); pip install 'seg-edge[train]', or write JSON") from error
    except DataError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error})") from error
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected 'datasets' with a list, got {type(data).__name__}")
    return data
