"""What a training would go on with, or stop at, though each file is in order: a line each, with what to do."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...core.labels import Labels
from ..imagefiles.ranges import show_value_range
from ..labelfiles.classes import CLASSES_FILE, read_class_list
from ..layouts import split_word
from .duplicates import Duplicate
from .report import SplitReport

# Fewer labelled pixels than one in ten thousand: such a class is rarely learned without help.
RARE = 1e-4
_NAMED = 3
_LISTED = 10
# So many files of each kind show that masks are written in two ways.
_SEVERAL = 2
# How much better the shares of two classes must fit when they are swapped.
_SWAP_MARGIN = 0.1


def silent(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """What would make a wrong result without an error: a training says this before its first step."""
    return [
        *_gaps(root, reports, labels), *_borders(root, reports, labels), *_swapped(root, reports, labels),
        *(line for report in reports for line in _void(report)), *_never(reports, labels), *_damaged(reports),
    ]  # fmt: skip


def others(
    reports: Sequence[SplitReport], labels: Labels, duplicates: Sequence[Duplicate], files: Mapping[str, Sequence[str]]
) -> list[str]:
    """The rest: images in two splits, rare classes, label files without images.

    Args:
        reports: Of the splits.
        labels: The classes.
        duplicates: Images in two splits.
        files: Split and name, as ``"train/a.png"`` → image and label of a duplicate.
    """
    lines = []
    for split, file, other, match, bits in duplicates[:_LISTED]:
        same = "the same image as" if bits == 0 else "nearly the same image as"
        lines.append(f"{split}: {file} is {same} {match} of {other}: what is learned by heart will look like skill")
    if len(duplicates) > _LISTED:
        lines.append(f"{len(duplicates) - _LISTED} more images are in two splits")
    if duplicates:
        named = dict.fromkeys(f"{split}/{file}" for split, file, *_ in duplicates[:_LISTED])
        lines.append(
            f"to leave them out of one split: rm {' '.join(quoted(p) for key in named for p in files.get(key, ()))}"
        )
    for report in reports:
        total = max(1, sum(report.pixels))
        for name, count in zip(labels.names, report.pixels, strict=False):
            if count and count / total < RARE and report.name == "train":
                lines.append(
                    f"train: class {name} is rare ({count / total:.1e} of the pixels): add images that show it, or let rare "
                    "classes weigh more: seg-edge train --class-weights 2"
                )
        if report.orphans:
            lines.append(f"{report.name}: {len(report.orphans)} label files have no image ({_few(report.orphans)})")
    return lines


def nothing_to_learn(root: Path, report: SplitReport, labels: Labels) -> list[str]:
    """What a training would say of a split whose labels hold less than two classes, or of a void one to measure by."""
    used = [name for name, count in zip(labels.names, report.pixels, strict=False) if count]
    split = split_word(report.name)
    if not report.images or report.errors or len(used) > (split == "train"):
        return []
    if split != "train":
        return [f"{report.name}: every label pixel is void, so there is nothing to measure by"] if split == "val" else []
    alone = f"its labels hold class {used[0]} alone, so there is nothing to tell apart" if used else ""
    what = alone or "every label pixel is void"
    cure = _second_value(root, report, labels) or "check what the label files' values mean"
    return [f"{report.name}: {what}; {cure}"]


def _second_value(root: Path, report: SplitReport, labels: Labels) -> str:
    """The cure where void is the foreground of masks; empty where that can't be."""
    if not report.void or not report.pixels or not report.pixels[0]:
        return ""
    names = labels.names if len(labels) > 1 else ("background", *labels.names)
    values = {"0": names[0], str(labels.ignore_index): names[1]}
    cure = _writing(root, {"names": list(names), "values": values})
    return f"the value {labels.ignore_index} is void: if it is {names[1]}, {cure}"


def doubtful_void(root: Path, reports: Sequence[SplitReport], labels: Labels, void: int | None) -> list[str]:
    """Errors where 255 is void for no other reason than that it usually is, and looks like a class.

    Args:
        root: The dataset.
        reports: Of its splits.
        labels: Its classes.
        void: What the user says is void; None: nothing.
    """
    if void is not None or not any(report.void for report in reports) or _says_values(root):
        return []
    ignored = labels.ignore_index
    used = [number for number in range(len(labels)) if any(r.pixels[number] for r in _counted(reports, labels))]
    if labels.names == Labels.numbered(len(labels)).names and 0 < 2 * len(used) < len(labels):
        return _gaps(root, reports, labels)  # 0, 128 and 255
    alone, beside, nowhere = (sum(getattr(r, key) for r in reports) for key in ("void_alone", "void_beside", "void_nowhere"))
    if len(labels) != 2 or min(alone, nowhere) < _SEVERAL or beside:
        return []
    first, second = labels.names
    values = {"0": first, "1": second, str(ignored): second}
    return [
        f"{alone} label files hold {ignored} beside {first}, {nowhere} others hold {second}, and none both: masks seem to "
        f"be written in two ways; if {ignored} is {second}, "
        f"{_writing(root, {'names': [first, second], 'values': values})}; if it is void: seg-edge data check "
        f"{quoted(root)} --void {ignored} --save"
    ]


def _says_values(root: Path) -> bool:
    """Whether ``classes.json`` says what values mean."""
    file = root / CLASSES_FILE
    if not file.is_file():
        return False
    said = read_class_list(file)
    return said.says_void or said.values is not None


def _writing(root: Path, content: dict[str, object]) -> str:
    """How a class list is written: a command, or what to put into the file that is there."""
    file = root / CLASSES_FILE
    if file.is_file():
        return f"put into {file}: {', '.join(f'{json.dumps(key)}: {_json(value)}' for key, value in content.items())}"
    return f"run: echo {quoted(_json(content))} > {quoted(file)}"


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False)


def quoted(text: object) -> str:
    """As a shell takes it."""
    return shlex.quote(str(text))


def remedies(root: Path, reports: Sequence[SplitReport]) -> list[str]:
    """Commands that cure what is an error in many files at once."""
    lines = []
    deep = [report.values for report in reports if report.values is not None]
    if deep:
        value_range = show_value_range((min(low for low, _ in deep), max(high for _, high in deep)))
        if any(report.images for report in reports):
            lines.append("some images have 8 bits and some more: bring all to one depth")
        lines.append(
            f"images are deeper than 8 bits; all their values lie in {value_range}: take that range, or the part that "
            f"matters, with: seg-edge data check {quoted(root)} --range {value_range} --save"
        )
    errors = [error for report in reports for error in report.errors]
    if any("`snap=True`" in error for error in errors):
        lines.append(
            f"labels are blurred; if they can't be exported again: seg-edge data check {quoted(root)} --snap --save"
        )
    for other in ("stored", "upright"):
        if any(f"`exif='{other}'`" in error for error in errors):
            lines.append(f"labels and EXIF orientation disagree: seg-edge data check {quoted(root)} --exif {other} --save")
    return lines


def _counted(reports: Sequence[SplitReport], labels: Labels) -> list[SplitReport]:
    return [report for report in reports if len(report.pixels) == len(labels)]


def _gaps(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
    """A line where class numbers that were counted from values have gaps."""
    counted = _counted(reports, labels)
    used = [number for number in range(len(labels)) if any(report.pixels[number] for report in counted)]
    if labels.names != Labels.numbered(len(labels)).names or not used or len(used) == len(labels):
        return []
    names = {str(number): f"class{number}" for number in used}
    content: dict[str, object] = {"names": names}
    more = ""
    if any(report.void for report in counted):
        content = {"names": list(names.values()), "values": names | {str(labels.ignore_index): "void"}}
        more = f"; {labels.ignore_index} counts as void: if it is a class, name it there too"
    return [
        f"label values have gaps: {len(used)} of 0 to {len(labels) - 1} occur, and each number is a class; to leave the "
        f"others out, with names of your own: {_writing(root, content)}{more}"
    ]


def _borders(root: Path, reports: Sequence[SplitReport], labels: Labels) -> list[str]:
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
        "leave between two classes; if so, export the labels without it, resized by nearest neighbour, or where classes are "
        f"far apart: seg-edge data check {quoted(root)} --snap --save"
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
                f"{100 * share:.0f} % of {name}; look at both (seg-edge data check {quoted(root)} --sheet sheet.png), and "
                "invert the label files of one if they are"
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
        without = [
            name
            for name, count in zip(labels.names, report.pixels, strict=True)
            if count == 0 and (name not in missing or len(counted) == 1)
        ]
        if len(without) > _NAMED:
            lines.append(f"{report.name}: no pixel of {len(without)} of {len(labels)} classes: {_few(without)}")
        else:
            lines += [f"{report.name}: no pixel of class {name}" for name in without]
    return lines


def _damaged(reports: Sequence[SplitReport]) -> list[str]:
    return [f"{report.name}: {report.damaged} damaged image files" for report in reports if report.damaged]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
