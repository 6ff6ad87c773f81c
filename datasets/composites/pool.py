"""What composites are made of: photographs with labels, the things in them, and backgrounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...core.errors import DataError, UnknownNameError
from ...core.labels import VOID, Labels
from ...core.progress import Count
from ..dataset import Frame, SegDataset
from ..labelfiles.coding import Mask
from ..layouts.base import IMAGE_SUFFIXES
from ..opening import open_dataset
from .options import ComposeOptions

#: Things smaller than this share of their photograph, or lower than this many pixels, are not cut out.
LEAST_SHARE, LEAST_HEIGHT = 0.002, 32
#: Parts of photographs beside things are backgrounds from this share of the width on.
LEAST_SIDE = 0.2
#: Backgrounds are dealt to the splits in runs of neighbours, since neighbouring names are often frames of one video:
#: every sixth run of eight is for val.
_RUN, _EVERY = 8, 6


@dataclass(frozen=True)
class Photo:
    """One labelled photograph.

    Attributes:
        source: Number of its dataset.
        index: Its place there.
    """

    source: int
    index: int


@dataclass(frozen=True)
class Side:
    """Columns of a photograph, at its left or right border, that show none of the things.

    Attributes:
        photo: Where they are.
        columns: First column, and the one after the last.
    """

    photo: Photo
    columns: tuple[int, int]


@dataclass(frozen=True)
class Cutout:
    """One thing: a connected region of one class.

    Attributes:
        photo: Where it is.
        label: Its class.
        box: Rows and columns of its bounding box: top, bottom, left, right; the ends are exclusive.
        seed: Row and column of one of its pixels.
        cut: Whether the photograph's border cuts it: at the top, bottom, left, right.
    """

    photo: Photo
    label: int
    box: tuple[int, int, int, int]
    seed: tuple[int, int]
    cut: tuple[bool, bool, bool, bool]


@dataclass(frozen=True)
class Pool:
    """All that images of one split are made of.

    Attributes:
        labels: Classes of the composites.
        data: Datasets, and for each the class that each of its values becomes, uint8 (256,).
        tables: See ``data``.
        photos: Photographs with things.
        cutouts: Things.
        empty: Photographs without things.
        sides: Parts of photographs beside things.
        backgrounds: Image files without things.
    """

    labels: Labels
    data: tuple[SegDataset, ...]
    tables: tuple[npt.NDArray[np.uint8], ...]
    photos: tuple[Photo, ...]
    cutouts: tuple[Cutout, ...]
    empty: tuple[Photo, ...]
    sides: tuple[Side, ...]
    backgrounds: tuple[Path, ...]

    def read(self, photo: Photo) -> tuple[Frame, Mask]:
        """A photograph, and its labels in the composites' classes."""
        frame, mask = self.data[photo.source].read(photo.index)
        return frame, self.tables[photo.source][mask]

    def cut(self, cutout: Cutout) -> tuple[Frame, npt.NDArray[np.uint8]]:
        """A thing: pixels uint8 (h, w, 3) of its box, and its region uint8 (h, w), 0 or 255."""
        frame, mask = self.read(cutout.photo)
        top, bottom, left, right = cutout.box
        _, regions = cv2.connectedComponents((mask == cutout.label).astype(np.uint8))
        region = (regions == regions[cutout.seed])[top:bottom, left:right]
        return frame[top:bottom, left:right], np.where(region, np.uint8(255), np.uint8(0))


def open_pool(sources: Sequence[Path], split: str, options: ComposeOptions, count: Count) -> Pool:
    """Opens the datasets and looks for things in all their labels.

    Raises:
        DataError: a dataset or a folder of backgrounds can't be read, or there is no thing or no background.
        UnknownNameError: a class that there is not.
    """
    data = tuple(open_dataset(source, split) for source in sources)
    labels = data[0].labels
    things = _things(labels, options)
    tables = tuple(_table(own, labels, options, first=number == 0) for number, own in enumerate(data))
    photos: list[Photo] = []
    cutouts: list[Cutout] = []
    empty: list[Photo] = []
    sides: list[Side] = []
    total, done = sum(map(len, data)), 0
    for source, (own, table) in enumerate(zip(data, tables, strict=True)):
        for index in range(len(own)):
            photo, mask = Photo(source, index), table[own.read_mask(index)]
            present = np.isin(mask, things)
            cutouts += list(_regions(photo, mask, things))
            if present.any():
                photos.append(photo)
                sides += _sides(photo, present | (mask == labels.ignore_index))
            elif not (mask == labels.ignore_index).mean() > 0.05:
                empty.append(photo)
            done += 1
            count(done, total)
    backgrounds = tuple(_dealt(_images(options.backgrounds), split))
    if not cutouts:
        names = ", ".join(labels.names[thing] for thing in things)
        raise DataError(f"dataset {data[0].root}, {split}: no region of {names} is large enough to be cut out")
    if not (backgrounds or empty or sides):
        raise DataError(
            f"dataset {data[0].root}, {split}: there is no background: each of its images shows one of the things; pass "
            "folders of images without them as `backgrounds`"
        )
    return Pool(labels, data, tables, tuple(photos), tuple(cutouts), tuple(empty), tuple(sides), backgrounds)


def _things(labels: Labels, options: ComposeOptions) -> list[int]:
    for name in options.things:
        if name not in labels.names:
            raise UnknownNameError("class in `things`", name, labels.names)
    return [labels.names.index(name) for name in options.things or labels.names[1:]]


def _table(data: SegDataset, labels: Labels, options: ComposeOptions, first: bool) -> npt.NDArray[np.uint8]:
    """The composites' class of each value that :meth:`SegDataset.read` may give."""
    table = np.full(256, labels.ignore_index, np.uint8)
    if first:
        table[: len(labels)] = np.arange(len(labels))
        return table
    renamed = options.renamed()
    for new in renamed.values():
        if new != VOID and new not in labels.names:
            raise UnknownNameError("class in `rename`", new, (*labels.names, VOID))
    for value, name in enumerate(data.labels.names):
        new = renamed.get(name, name)
        if new != VOID:
            table[value] = labels.names.index(new) if new in labels.names else 0
    return table


def _regions(photo: Photo, mask: Mask, things: Sequence[int]) -> Iterator[Cutout]:
    height, width = mask.shape
    for thing in things:
        only = (mask == thing).astype(np.uint8)
        _, regions, stats, _ = cv2.connectedComponentsWithStats(only)
        for number, (left, top, wide, high, area) in enumerate(stats[1:].tolist(), 1):
            if area < LEAST_SHARE * mask.size or high < LEAST_HEIGHT:
                continue
            bottom, right = top + high, left + wide
            column = int(np.flatnonzero(regions[top] == number)[0])
            # Two pixels of slack: labels are often void along the border of the image.
            cut = (top <= 2, bottom >= height - 2, left <= 2, right >= width - 2)
            yield Cutout(photo, thing, (top, bottom, left, right), (top, column), cut)


def _sides(photo: Photo, taken: npt.NDArray[np.bool_]) -> Iterator[Side]:
    """The clear columns at both borders, where they are wide enough to be a background."""
    width = taken.shape[1]
    columns = np.flatnonzero(taken.any(axis=0))
    for first, last in ((0, int(columns[0])), (int(columns[-1]) + 1, width)):
        if last - first >= max(LEAST_SIDE * width, LEAST_HEIGHT):
            yield Side(photo, (first, last))


def _images(folders: Sequence[Path]) -> list[Path]:
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"backgrounds {folder}: no such folder; expected one with images")
        images = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not images:
            raise DataError(f"backgrounds {folder}: no images; expected files ending in {', '.join(IMAGE_SUFFIXES)}")
        found += images
    return found


def _dealt(images: Sequence[Path], split: str) -> Iterator[Path]:
    """The backgrounds of a split: both have all of them where there are too few to deal."""
    few = len(images) < _RUN * _EVERY
    for number, path in enumerate(images):
        if few or (number // _RUN % _EVERY == _EVERY - 1) == (split == "val"):
            yield path
