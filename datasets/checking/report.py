"""What a check finds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.labels import Labels
from ...core.report import Cells, Report

#: Errors that are shown; a thousand files are often wrong in one way.
_SHOWN = 20


@dataclass
class SplitReport:
    """What one split holds.

    Attributes:
        images: Pairs that are in order.
        sizes: ``"HEIGHTxWIDTH"`` → images.
        pixels: Labelled pixels per class.
        void: Pixels that count nowhere.
        seen_in: Images per class.
        inside: Whether a class covers some square of 3 × 3 pixels: one that never does lies along borders alone.
        all_void: Names of the images, up to a few, whose labels are void throughout, and how many there are.
        void_alone: Images whose labels hold void and the first class alone.
        void_beside: Images whose labels hold void and other classes.
        void_nowhere: Images whose labels hold other classes and no void.
        orphans: Label files without an image.
        values: Lowest and highest value of images deeper than 8 bits; None where there are none.
        damaged: JPEG files that the decoder finds damaged.
        errors: What a training would stop at, one line each.
    """

    name: str
    images: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    pixels: list[int] = field(default_factory=list)
    void: int = 0
    seen_in: list[int] = field(default_factory=list)
    inside: list[bool] = field(default_factory=list)
    all_void: list[str] = field(default_factory=list)
    void_alone: int = 0
    void_beside: int = 0
    void_nowhere: int = 0
    orphans: list[str] = field(default_factory=list)
    values: tuple[float, float] | None = None
    damaged: int = 0
    errors: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "split": self.name, "images": self.images, "sizes": dict(self.sizes.most_common()), "pixels": self.pixels,
            "void": self.void, "seen_in": self.seen_in, "all_void": len(self.all_void), "labels_without_image": self.orphans,
            "damaged": self.damaged, "errors": self.errors,
        }  # fmt: skip


@dataclass(repr=False)
class CheckReport(Report):
    """What a dataset holds, and what is wrong with it.

    Attributes:
        root: The dataset's folder or description.
        layout: How it lies on disk.
        shown_by: What shows it.
        layout_key: Its name for ``layout=…``; empty for several datasets read as one.
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
    shown_by: str = ""
    layout_key: str = ""

    @property
    def errors(self) -> list[str]:
        """What a training would stop at, one line each."""
        return [error for split in self.splits for error in split.errors]

    def to_dict(self) -> dict[str, Any]:
        keys = ("split", "file", "other_split", "other_file", "differing_bits")
        return {
            "data": str(self.root), "layout": self.layout, "layout_key": self.layout_key,
            "layout_shown_by": self.shown_by, "labels": self.labels.to_dict(),
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
        """How the dataset was read; a line for each split with its sizes and its void; then errors and warnings."""
        lines = []
        if self.layout_key:
            lines.append(f"read as {self.layout_key}, because of {self.shown_by}; `layout='NAME'` forces another")
        for split in self.splits:
            sizes = ", ".join(f"{size} ({count})" for size, count in split.sizes.most_common(4))
            more = f" and {len(split.sizes) - 4} other sizes" if len(split.sizes) > 4 else ""
            void = split.void / max(1, split.void + sum(split.pixels))
            lines.append(f"{split.name}: {split.images} images, {sizes or 'none readable'}{more}; {100 * void:.1f} % void")
        lines += [f"error: {line}" for line in self.errors[:_SHOWN]]
        if len(self.errors) > _SHOWN:
            lines.append(f"error: {len(self.errors) - _SHOWN} more, which the report lists (`json`)")
        return [*lines, *(f"warning: {line}" for line in self.warnings)]
