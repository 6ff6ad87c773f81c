"""Reads every pair of a split, on every core."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from ...core.cpu import usable_count
from ...core.errors import DataError
from ...core.progress import Progress
from ..dataset import SegDataset
from ..imagefiles.pixels import DeepImageError
from ..imagefiles.remarks import Remarks, decoder_warnings
from .duplicates import image_hash
from .report import SplitReport

#: Pairs of each core between two looks at what decoders printed.
_EACH = 16
#: Lines on colour profiles and tags, and OpenCV's log, which repeats what raised an error.
_REMARK = re.compile(r"libpng warning|TIFF|^\[ ?[A-Z]+:|^>|^$|iCCP|EXIF", re.IGNORECASE)
#: What OpenCV 5 puts before libtiff's errors, after which it gives what could be decoded.
_TIFF_DAMAGE = "TIFF_Error"
_SQUARE = np.ones((3, 3), np.uint8)


@dataclass
class _Pair:
    """What one pair holds; ``error`` alone where it can't be read."""

    error: DataError | None = None
    hw: tuple[int, int] = (0, 0)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    inside: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(256, np.bool_))
    hash: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(32, np.uint8))


@dataclass
class Scan:
    """What a split holds.

    Attributes:
        report: Counts and errors.
        hashes: Of its images, uint8 (images, 32).
        remarks: What a user should know of the image files, a line each.
        counts: Pixels by label value, int64 (256,).
        errors: What can't be read, a line each; ``report.errors`` has damaged files too.
        damaged: Files that decoders complain of, and decode all the same.
    """

    report: SplitReport
    hashes: npt.NDArray[np.uint8]
    remarks: list[str]
    counts: npt.NDArray[np.int64]
    errors: list[str]
    damaged: list[Path]


def scan(data: SegDataset, progress: Progress, remarks: bool = True) -> Scan:
    """Reads every image and label of a split.

    Args:
        data: The split.
        progress: Told how many pairs are read.
        remarks: Look at the image files' headers too.
    """
    report, looked = SplitReport(data.split), Remarks()
    errors: list[str] = []
    damaged: list[Path] = []
    total = np.zeros(256, np.int64)
    counts, seen, inside = np.zeros(256, np.int64), np.zeros(256, np.int64), np.zeros(256, np.bool_)
    hashes = np.zeros((len(data), 32), np.uint8)
    count = progress.count(data.split)
    stored = data.options.exif == "stored"
    for index, pair in _pairs(data):
        image = data.images[index]
        if pair.error is not None:
            report.errors.append(str(pair.error))
            if isinstance(pair.error, DamagedError):
                report.damaged += 1
                damaged.append(image)
            else:
                errors.append(str(pair.error))
            if isinstance(pair.error, DeepImageError):
                low, high = pair.error.values
                known = report.values or (low, high)
                report.values = (min(low, known[0]), max(high, known[1]))
            # An image that can't be read resembles no other.
            hashes[index] = np.frombuffer(hashlib.sha256(str(image).encode()).digest(), np.uint8)
        if pair.error is None or isinstance(pair.error, DamagedError):
            total += pair.counts
        if pair.error is None:
            if remarks:
                looked.look(image, stored)
            counts += pair.counts
            seen += pair.counts > 0
            inside |= pair.inside
            report.images += 1
            report.sizes[f"{pair.hw[0]}x{pair.hw[1]}"] += 1
            hashes[index] = pair.hash
            void = int(pair.counts[data.labels.ignore_index])
            things = bool(pair.counts[1 : len(data.labels)].any())
            if void == pair.counts.sum():
                report.all_void.append(image.name)
            report.void_alone += 0 < void < pair.counts.sum() and not things
            report.void_beside += bool(void) and things
            report.void_nowhere += not void and things
        count(index + 1, len(data))
    classes = len(data.labels)
    report.pixels, report.seen_in, report.inside = (values[:classes].tolist() for values in (counts, seen, inside))
    report.void = int(counts[data.labels.ignore_index])
    return Scan(report, hashes, looked.lines(), total, errors, damaged)


class DamagedError(DataError):
    """A file that a decoder complains of, and decodes all the same."""


def _pairs(data: SegDataset) -> Iterator[tuple[int, _Pair]]:
    """Every pair in order. Decoders print without a file's name: a group that made one print is read again, one by one."""
    workers = usable_count()
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(data), _EACH * workers):
            group = range(start, min(start + _EACH * workers, len(data)))
            with decoder_warnings() as warned:
                pairs = list(pool.map(lambda index: _read(data, index), group))
            if warned:
                pairs = [_read_alone(data, index) for index in group]
            yield from zip(group, pairs, strict=True)


def _read_alone(data: SegDataset, index: int) -> _Pair:
    with decoder_warnings() as warned:
        pair = _read(data, index)
    if pair.error is None and (warned := _complaints(warned)):
        with decoder_warnings() as label:
            data.read_mask(index)
        file = data.masks[index] if _complaints(label) else data.images[index]
        pair.error = DamagedError(f"{file}: damaged ({warned[0]}); replace or remove it")
    return pair


def _complaints(lines: list[str]) -> list[str]:
    """What decoders say of damage, without their remarks on profiles and tags."""
    damage = [line[line.index(_TIFF_DAMAGE) :] for line in lines if _TIFF_DAMAGE in line]
    return damage or [line for line in lines if not _REMARK.search(line)]


def _read(data: SegDataset, index: int) -> _Pair:
    try:
        frame, mask = data.read(index)
    except DataError as error:
        return _Pair(error)
    even = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, _SQUARE) == 0
    even[[0, -1]] = even[:, [0, -1]] = False  # OpenCV compares with what lies outside, which is nothing
    counts = np.bincount(mask.ravel(), minlength=256)
    return _Pair(None, mask.shape, counts, np.bincount(mask[even], minlength=256) > 0, image_hash(frame))
