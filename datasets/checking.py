"""Looks a dataset over before a training does: sizes, label values, class frequencies, pairs, images in two splits."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..core.artefact import atomic_path, check_writable
from ..core.errors import DataError
from ..core.labels import Labels, colorize
from ..core.progress import Progress, Silent
from ..core.report import Cells, Report
from .dataset import SegDataset
from .labelfiles.classes import named_classes
from .labelfiles.palettes import Seen
from .layouts import SPLITS, find_layout
from .merged import as_background, is_merged, splits_of
from .opening import folder_of, open_dataset
from .options import CheckOptions
from .remarks import Remarks, decoder_warnings

# Two images are alike if at most this many of the 256 bits of their hashes differ. On CamVid a copy at JPEG quality 60 or
# at half the size differs in 5 and 3 bits (medians; at most 13), a frame and the next labelled one, a second later, in 86
# (at least 12).
ALIKE_BITS = 10
_HASH_HW = (16, 17)
# Fewer labelled pixels than one in ten thousand: such a class is rarely learned without help.
RARE = 1e-4


@dataclass
class SplitReport:
    """What one split holds.

    Attributes:
        images: Pairs that are in order.
        sizes: ``"HEIGHTxWIDTH"`` → images.
        pixels: Labelled pixels per class.
        void: Pixels that count nowhere.
        seen_in: Images per class.
        errors: What a training would stop at, one line each.
    """

    name: str
    images: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    pixels: list[int] = field(default_factory=list)
    void: int = 0
    seen_in: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "split": self.name, "images": self.images, "sizes": dict(self.sizes.most_common()), "pixels": self.pixels,
            "void": self.void, "seen_in": self.seen_in, "errors": self.errors,
        }  # fmt: skip


@dataclass(repr=False)
class CheckReport(Report):
    """What a dataset holds, and what is wrong with it.

    Attributes:
        root: The dataset's folder or description.
        layout: How it lies on disk.
        labels: Its classes.
        splits: What each split holds.
        duplicates: Images that two splits share: (split, file, other split, other file, bits that differ).
        warnings: What a training would go on with, but its user should know.
    """

    root: Path
    layout: str
    labels: Labels
    splits: list[SplitReport]
    duplicates: list[tuple[str, str, str, str, int]]
    warnings: list[str]

    @property
    def errors(self) -> list[str]:
        """What a training would stop at, one line each."""
        return [error for split in self.splits for error in split.errors]

    def to_dict(self) -> dict[str, Any]:
        keys = ("split", "file", "other_split", "other_file", "differing_bits")
        return {
            "data": str(self.root), "layout": self.layout, "labels": self.labels.to_dict(),
            "splits": [split.to_dict() for split in self.splits],
            "duplicates": [dict(zip(keys, row, strict=True)) for row in self.duplicates],
            "warnings": self.warnings,
        }  # fmt: skip

    def title(self) -> str:
        return f"{self.root}: {self.layout}"

    def table(self) -> Cells:
        """For each class its share of the labelled pixels, in percent, and the images that show it, split by split."""
        columns = ["class", *(title for split in self.splits for title in (f"{split.name} %", "images"))]
        rows = []
        for number, name in enumerate(self.labels.names):
            cells = [name]
            for split in self.splits:
                if number < len(split.pixels):
                    share = split.pixels[number] / max(1, sum(split.pixels))
                    cells += [f"{100 * share:.3f}", str(split.seen_in[number])]
                else:  # nothing could be read
                    cells += ["–", "–"]
            rows.append(cells)
        return columns, rows

    def notes(self) -> list[str]:
        """A line for each split with its sizes and its void; then errors and warnings."""
        lines = []
        for split in self.splits:
            sizes = ", ".join(f"{size} ({count})" for size, count in split.sizes.most_common(4))
            more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
            void = split.void / max(1, split.void + sum(split.pixels))
            lines.append(f"{split.name}: {split.images} images, {sizes or 'none readable'}{more}; {100 * void:.1f} % void")
        return [*lines, *(f"error: {line}" for line in self.errors), *(f"warning: {line}" for line in self.warnings)]


def check(
    data: str | Path,
    options: CheckOptions = CheckOptions(),  # noqa: B008  # frozen
    *,
    progress: Progress | None = None,
) -> CheckReport:
    """Reads every image and label of every split: sizes, label values, class frequencies, pairs, images in two splits.

    >>> report = check("data")
    >>> report.title(), report.errors, report.splits[0].images
    ('data: images/<split> and labels/<split>', [], 6)

    Args:
        data: The dataset's folder, in any layout, or a description of several.
        options: Its classes, and where a sheet of samples goes.
        progress: Told how many images of each split are read.

    Raises:
        DataError: there is no dataset, or its layout is not known. What is wrong inside the dataset is in the report.
        UnknownNameError: no such class list.
        InputError: the sheet can't be written.
    """
    if options.sheet is not None:
        check_writable(options.sheet)
    classes = None if options.classes is None else named_classes(options.classes)
    report = _check(folder_of(Path(data)), classes, progress or Silent())
    if options.sheet is not None:
        contact_sheet(report, options.sheet)
    return report


def _check(root: Path, labels: Labels | None, progress: Progress) -> CheckReport:
    merged = is_merged(root)
    if not merged and not root.is_dir():
        raise DataError(f"dataset {root}: no such folder")
    layout, every = ("several datasets as one", splits_of(root)) if merged else _layout(root)
    names = [name for name in every if name in (*SPLITS, "valid", "validation")] or every
    opened: list[SegDataset] = []
    reports: list[SplitReport] = []
    for name in names:
        try:
            opened.append(open_dataset(root, name, labels))
        except DataError as error:
            if name == "test" and every == list(SPLITS):
                continue  # an automatic split of a few images has none to spare
            reports.append(SplitReport(name, errors=[str(error)]))
    if not opened:
        raise DataError(reports[0].errors[0] if reports else f"dataset {root}: no splits; expected images/<split>")
    classes = max((data.labels for data in opened), key=len)
    palettes: Seen = {}  # of all splits: what numbers its colours differently in val is wrong too
    notes = list(dict.fromkeys(note for data in opened for note in data.notes))
    hashes: dict[str, npt.NDArray[np.uint8]] = {}
    for data in opened:
        report, hashes[data.split] = _check_split(
            replace(as_background(data), labels=classes, palettes=palettes), progress, notes
        )
        reports.append(report)
    files = {data.split: [path.name for path in data.images] for data in opened}
    duplicates = _duplicates(hashes, files)
    for report in reports:
        report.errors += _nothing_to_learn(report, classes)
    if not any(report.name == "train" for report in reports):
        notes.append("no split train: it can be evaluated, but a training needs one")
    notes += _gaps(reports, classes)
    warnings = [*notes, *_warnings(reports, classes, duplicates)]
    return CheckReport(root, layout, classes, reports, duplicates, warnings)


def _gaps(reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """A line where class numbers that were counted from values have gaps."""
    counts = [report.pixels for report in reports if len(report.pixels) == len(labels)]
    used = [number for number in range(len(labels)) if any(pixels[number] for pixels in counts)]
    if labels.names != Labels.numbered(len(labels)).names or not counts or len(used) == len(labels):
        return []
    names = ", ".join(f'"{number}": "NAME"' for number in used[:3]) + (", …" if len(used) > 3 else "")
    return [
        f"label values have gaps: {len(used)} of 0 to {len(labels) - 1} occur, and each number is a class; to leave the "
        f'others out, write classes.json: {{"names": {{{names}}}}}'
    ]


def _nothing_to_learn(report: SplitReport, labels: Labels) -> list[str]:
    """What a training would say of a split whose labels hold less than two classes."""
    used = [name for name, count in zip(labels.names, report.pixels, strict=False) if count]
    if report.name != "train" or not report.images or report.errors or len(used) > 1:
        return []
    alone = f"its labels hold class {used[0]} alone, so there is nothing to tell apart" if used else ""
    what = alone or "every label pixel is void"
    return [f"{report.name}: {what}; check what the label files' values mean"]


def _layout(root: Path) -> tuple[str, list[str]]:
    layout = find_layout(root)
    return layout.name, layout.splits(root)


def _check_split(data: SegDataset, progress: Progress, notes: list[str]) -> tuple[SplitReport, npt.NDArray[np.uint8]]:
    report = SplitReport(data.split)
    pixels, seen = np.zeros(256, np.int64), np.zeros(256, np.int64)
    hashes = np.zeros((len(data), 32), np.uint8)
    count, remarks = progress.count(data.split), Remarks()
    for index in range(len(data)):
        image = data.images[index]
        try:
            with decoder_warnings() as warned:
                frame, mask = data.read(index)
            if warned:
                raise DataError(f"{image}: damaged ({warned[0]}); replace or remove it")
        except DataError as error:
            report.errors.append(str(error))
            # An image that can't be read resembles no other.
            hashes[index] = np.frombuffer(hashlib.sha256(str(data.images[index]).encode()).digest(), np.uint8)
        else:
            remarks.look(image)
            counts = np.bincount(mask.ravel(), minlength=256)
            pixels += counts
            seen += counts > 0
            report.images += 1
            report.sizes[f"{mask.shape[0]}x{mask.shape[1]}"] += 1
            hashes[index] = image_hash(frame)
        count(index + 1, len(data))
    notes += [f"{data.split}: {line}" for line in remarks.lines()]
    report.pixels, report.seen_in = pixels[: len(data.labels)].tolist(), seen[: len(data.labels)].tolist()
    report.void = int(pixels[data.labels.ignore_index])
    return report, hashes


def image_hash(frame_bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """256 bits, uint8 (32,): whether brightness rises from each cell of a 16 × 17 grid to the next one on its right.

    Images that look the same differ in few bits ("difference hash").
    """
    grey = cv2.cvtColor(cv2.resize(frame_bgr, _HASH_HW[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def _duplicates(
    hashes: dict[str, npt.NDArray[np.uint8]], files: dict[str, list[str]]
) -> list[tuple[str, str, str, str, int]]:
    found = []
    names = list(hashes)
    for position, split in enumerate(names):
        for other in names[position + 1 :]:
            for index, row in enumerate(hashes[split]):
                bits = np.unpackbits(hashes[other] ^ row, axis=1).sum(1, dtype=np.int64)
                for match in np.flatnonzero(bits <= ALIKE_BITS):
                    found.append((split, files[split][index], other, files[other][match], int(bits[match])))
    return found


def _warnings(
    reports: Sequence[SplitReport], labels: Labels, duplicates: Sequence[tuple[str, str, str, str, int]]
) -> list[str]:
    warnings = []
    for split, file, other, match, bits in duplicates[:10]:
        same = "the same picture as" if bits == 0 else "nearly the same picture as"
        warnings.append(f"{split}: {file} is {same} {match} of {other}: what is learned by heart will look like skill")
    if len(duplicates) > 10:
        warnings.append(f"{len(duplicates) - 10} more pictures are in two splits")
    for report in reports:
        total = max(1, sum(report.pixels))
        for name, count in zip(labels.names, report.pixels, strict=False):
            if count == 0:
                warnings.append(f"{report.name}: no pixel of class {name}")
            elif count / total < RARE and report.name == "train":
                warnings.append(f"train: class {name} is rare ({count / total:.1e} of the pixels)")
        if report.void > sum(report.pixels):
            warnings.append(f"{report.name}: most pixels are void ({report.void} of {report.void + sum(report.pixels)})")
    return warnings


def contact_sheet(checked: CheckReport, path: Path, columns: int = 4, width: int = 320) -> None:
    """Writes an image of samples of every split with their labels over them, and the classes' colours below.

    Raises:
        InputError: ``path`` can't be written.
    """
    rows = []
    for report in checked.splits:
        if not report.images:
            continue
        data = as_background(open_dataset(checked.root, report.name, checked.labels))
        height = width * 3 // 4
        row = np.full((height, columns * width, 3), 255, np.uint8)
        chosen = np.unique(np.linspace(0, len(data) - 1, min(columns, len(data))).round().astype(int))
        for column, index in enumerate(chosen):
            row[:, column * width : (column + 1) * width] = _overlaid(data, int(index), (height, width))
        rows.append(row)
    sheet = np.concatenate([*rows, _legend(checked.labels, columns * width)])
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), sheet):
            raise DataError(f"{path}: OpenCV can't write this kind of image; choose a name that ends in .png")


def _overlaid(data: SegDataset, index: int, size_hw: tuple[int, int]) -> npt.NDArray[np.uint8]:
    try:
        frame, mask = data.read(index)
    except DataError:
        return np.full((*size_hw, 3), (80, 80, 220), np.uint8)
    frame = np.asarray(cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    small = np.asarray(cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    colours = colorize(small, data.labels.palette)[..., ::-1]
    labelled = (small != data.labels.ignore_index)[..., None]
    return np.where(labelled, np.rint(0.4 * frame + 0.6 * colours), frame).astype(np.uint8)


def _legend(labels: Labels, width: int) -> npt.NDArray[np.uint8]:
    line, column = 20, 160
    across = max(1, width // column)
    legend = np.full((line * -(-len(labels) // across) + 6, width, 3), 255, np.uint8)
    for number, (name, colour) in enumerate(zip(labels.names, labels.palette_bgr.tolist(), strict=True)):
        x, y = number % across * column + 4, number // across * line + 4
        cv2.rectangle(legend, (x, y), (x + 14, y + 14), colour, -1)
        cv2.putText(legend, name[:18], (x + 20, y + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return legend
