"""What a training would go on with, or stop at, though each file is in order: a line each, with what to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...core.labels import Labels
from ..imagefiles.ranges import show_value_range
from ..labelfiles.classes import CLASSES_FILE
from .duplicates import Duplicate
from .report import SplitReport

# Fewer labelled pixels than one in ten thousand: such a class is rarely learned without help.
RARE = 1e-4
_NAMED = 3
_LISTED = 10
# How much better the shares of two classes must fit when they are swapped.
_SWAP_MARGIN = 0.1


def silent(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """What would make a wrong result without an error: a training says this before its first step."""
    return [
        *_gaps(root, reports, labels), *_borders(reports, labels), *_swapped(root, reports, labels),
        *(line for report in reports for line in _void(report)), *_never(reports, labels), *_damaged(reports),
    ]  # fmt: skip


def others(reports: Sequence[SplitReport], labels: Labels, duplicates: Sequence[Duplicate]) -> list[str]:
    """The rest: images in two splits, rare classes, label files without images."""
    lines = []
    for split, file, other, match, bits in duplicates[:_LISTED]:
        same = "the same image as" if bits == 0 else "nearly the same image as"
        lines.append(f"{split}: {file} is {same} {match} of {other}: what is learned by heart will look like skill")
    if len(duplicates) > _LISTED:
        lines.append(f"{len(duplicates) - _LISTED} more images are in two splits")
    for report in reports:
        total = max(1, sum(report.pixels))
        for name, count in zip(labels.names, report.pixels, strict=False):
            if count and count / total < RARE and report.name == "train":
                lines.append(f"train: class {name} is rare ({count / total:.1e} of the pixels)")
        if report.orphans:
            lines.append(f"{report.name}: {len(report.orphans)} label files have no image ({_few(report.orphans)})")
    return lines


def nothing_to_learn(report: SplitReport, labels: Labels) -> list[str]:
    """What a training would say of a split whose labels hold less than two classes."""
    used = [name for name, count in zip(labels.names, report.pixels, strict=False) if count]
    if report.name != "train" or not report.images or report.errors or len(used) > 1:
        return []
    alone = f"its labels hold class {used[0]} alone, so there is nothing to tell apart" if used else ""
    what = alone or "every label pixel is void"
    return [f"{report.name}: {what}; check what the label files' values mean"]


def remedies(root: Path, reports: Sequence[SplitReport]) -> list[str]:
    """Commands that cure what is an error in many files at once."""
    lines = []
    deep = [report.values for report in reports if report.values is not None]
    if deep:
        value_range = show_value_range((min(low for low, _ in deep), max(high for _, high in deep)))
        lines.append(
            f"images are deeper than 8 bits; all their values lie in {value_range}: take that range, or the part that "
            f"matters, with: seg-edge data check {root} --range {value_range} --save"
        )
    errors = [error for report in reports for error in report.errors]
    if any("`snap=True`" in error for error in errors):
        lines.append(f"labels are blurred; if they can't be exported again: seg-edge data check {root} --snap --save")
    for other in ("stored", "upright"):
        if any(f"`exif='{other}'`" in error for error in errors):
            lines.append(f"labels and EXIF orientation disagree: seg-edge data check {root} --exif {other} --save")
    return lines


def _counted(reports: Sequence[SplitReport], labels: Labels) -> list[SplitReport]:
    return [report for report in reports if len(report.pixels) == len(labels)]


def _gaps(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """A line where class numbers that were counted from values have gaps."""
    counted = _counted(reports, labels)
    used = [number for number in range(len(labels)) if any(report.pixels[number] for report in counted)]
    if labels.names != Labels.numbered(len(labels)).names or not used or len(used) == len(labels):
        return []
    names = ", ".join(f'"{number}": "NAME"' for number in used[:_NAMED]) + (", …" if len(used) > _NAMED else "")
    return [
        f"label values have gaps: {len(used)} of 0 to {len(labels) - 1} occur, and each number is a class; to leave the "
        f'others out, write {CLASSES_FILE}: {{"names": {{{names}}}}}'
    ]


def _borders(reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """A line for classes that never cover a square of 3 × 3 pixels: what smoothing leaves along borders."""
    counted = _counted(reports, labels)
    thin = [
        name
        for number, name in enumerate(labels.names)
        if any(report.pixels[number] for report in counted) and not any(report.inside[number] for report in counted)
    ]
    if not thin:
        return []
    what = "class" if len(thin) == 1 else f"{len(thin)} classes:"
    return [
        f"{what} {_few(thin)} along borders alone, nowhere 3 pixels wide: thin things, or what smoothing and resizing "
        "leave between two classes; if so, export the labels without it, resized by nearest neighbour"
    ]


def _swapped(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """A line where two classes change places between two splits."""
    if len(labels) != 2:
        return []
    shares = [(r.name, r.pixels[1] / sum(r.pixels)) for r in _counted(reports, labels) if sum(r.pixels)]
    lines = []
    for name, share in shares[1:]:
        first, expected = shares[0]
        if (expected - 0.5) * (share - 0.5) < 0 and abs(expected - share) > abs(expected - (1 - share)) + _SWAP_MARGIN:
            lines.append(
                f"{first} and {name} look swapped: {labels.names[1]} covers {100 * expected:.0f} % of {first} and "
                f"{100 * share:.0f} % of {name}; look at both (seg-edge data check {root} --sheet sheet.png), and invert "
                "the label files of one if they are"
            )
    return lines


def _void(report: SplitReport) -> list[str]:
    lines = []
    if report.void > sum(report.pixels):
        lines.append(f"{report.name}: most pixels are void ({report.void} of {report.void + sum(report.pixels)})")
    if report.all_void and len(report.all_void) < report.images:
        lines.append(f"{report.name}: {len(report.all_void)} images are void throughout ({_few(report.all_void)})")
    return lines


def _never(reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    counted = [report for report in _counted(reports, labels) if report.images]
    lines = []
    missing = [name for k, name in enumerate(labels.names) if counted and not any(report.pixels[k] for report in counted)]
    if missing and len(counted) > 1:
        lines.append(f"{len(missing)} of {len(labels)} classes never occur: {_few(missing)}")
    for report in counted:
        lines += [
            f"{report.name}: no pixel of class {name}"
            for name, count in zip(labels.names, report.pixels, strict=True)
            if count == 0 and (name not in missing or len(counted) == 1)
        ]
    return lines


def _damaged(reports: Sequence[SplitReport]) -> list[str]:
    return [f"{report.name}: {report.damaged} damaged image files" for report in reports if report.damaged]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
