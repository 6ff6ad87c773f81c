"""Which label file belongs to which image, where nothing but their names can tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from ...core.errors import DataError
from .base import stem

#: What people put behind an image's name for its label file; nothing comes first.
MASK_SUFFIXES = (
    "", "_mask", "_label", "_labels", "_gt", "_seg", "_masks", "_L", "_segmentation", "_annotation", "_labelIds",
    "_gtFine_labelIds", "_labelTrainIds", "-mask", "-label", ".mask", "_GT", "_Mask", "_groundtruth", "_matte",
)  # fmt: skip
#: What people put before it.
MASK_PREFIXES = ("mask_", "label_", "gt_", "seg_")
#: What people put behind the names of images, and leave out of those of their labels.
IMAGE_ENDINGS = ("_leftImg8bit", "_image", "_img", "_rgb", "_sat")
_LOSSY = (".jpg", ".jpeg", ".webp")
#: Label Studio's PNG export of brushes: a file a thing. Its numbers are those of tasks, not of images.
LABEL_STUDIO_PNG = re.compile(r"^task-\d+-annotation-\d+-by-.*-tag-.*\.(png|npy)$")
#: Files for one image that a message names.
_NAMED = 2


def pair_names(images: Sequence[str], labels: Iterable[str], where: str) -> dict[str, str]:
    """Image → label file, both relative to their folders. Images without a label are left out.

    A label file has the name of its image, with one of the endings above; if no label does, all of them together may differ
    from all images by one beginning and one ending.

    Args:
        images, labels: Paths.
        where: The label folder, for messages.

    Raises:
        DataError: an image has two label files, or two images have one.
    """
    by_stem = _by_stem(labels, where)
    stems = {name: stem(name) for name in images}
    if all(own in by_stem for own in stems.values()):  # the usual case
        found = {name: by_stem[own] for name, own in stems.items()}
    else:
        found = _by_endings(stems, by_stem) or _by_last_names(stems, by_stem) or _by_affixes(stems, by_stem)
    if len(set(found.values())) < len(found):
        _shared(found, where)
    return found


def _by_stem(labels: Iterable[str], where: str) -> dict[str, str]:
    """Stem → file; of two files of one name the one that isn't lossy."""
    by_stem: dict[str, str] = {}
    for name in labels:
        own = stem(name)
        other = by_stem.setdefault(own, name)
        if other == name:
            continue
        lossless = [file for file in (other, name) if not file.lower().endswith(_LOSSY)]
        if len(lossless) != 1:
            raise DataError(f"{where}: {other} and {name} are label files of one name; move away the one that isn't meant")
        by_stem[own] = lossless[0]
    return by_stem


def _by_endings(stems: dict[str, str], by_stem: dict[str, str]) -> dict[str, str]:
    taken = set(stems.values())  # a_seg.png belongs to the image a_seg, not to a
    found = {}
    for name, own in stems.items():
        for candidate in _candidates(own):
            if candidate in by_stem and (candidate == own or candidate not in taken):
                found[name] = by_stem[candidate]
                break
    return found


def _candidates(own: str) -> Iterable[str]:
    bare = [own, *(own[: -len(ending)] for ending in IMAGE_ENDINGS if own.endswith(ending))]
    for base in bare:
        for suffix in MASK_SUFFIXES:
            yield base + suffix
        folder, _, last = base.rpartition("/")
        for prefix in MASK_PREFIXES:
            yield f"{folder}/{prefix}{last}" if folder else prefix + last


def _by_last_names(stems: dict[str, str], by_stem: dict[str, str]) -> dict[str, str]:
    """Pairs whose folders differ, where every name is there once."""
    images = {own.rpartition("/")[2]: name for name, own in stems.items()}
    labels = {own.rpartition("/")[2]: own for own in by_stem}
    if len(images) < len(stems) or len(labels) < len(by_stem):
        return {}
    last = {name: own for own, name in images.items()}
    found = _by_endings(last, {own: by_stem[path] for own, path in labels.items()})
    return found if len(set(found.values())) == len(found) else {}


def _by_affixes(stems: dict[str, str], by_stem: dict[str, str]) -> dict[str, str]:
    """Pairs of names that differ by one beginning and one ending, the same for all; none where that leaves a doubt."""
    if len(stems) < 2 or len(by_stem) < 2 or any("/" in own for own in (*stems.values(), *by_stem)):
        return {}
    if any(LABEL_STUDIO_PNG.match(file) for file in by_stem.values()):
        return {}
    images, labels = _cores(stems.values()), _cores(by_stem)
    cores = {core: own for own, core in labels.items()}
    if len(cores) < len(labels) or set(images.values()) != set(cores):
        return {}
    return {name: by_stem[cores[images[own]]] for name, own in stems.items()}


def _cores(names: Iterable[str]) -> dict[str, str]:
    """Name → what is left of it without the beginning and the ending that all have. Digits are never cut apart."""
    listed = list(dict.fromkeys(names))
    start = len(os.path.commonprefix(listed))
    while start and listed[0][start - 1].isdigit():
        start -= 1
    rest = [name[start:] for name in listed]
    end = len(os.path.commonprefix([name[::-1] for name in rest]))
    while end and rest[0][-end].isdigit():
        end -= 1
    return {name: part[: len(part) - end] for name, part in zip(listed, rest, strict=True)}


def _shared(found: dict[str, str], where: str) -> None:
    by_label: dict[str, list[str]] = {}
    for image, label in found.items():
        by_label.setdefault(label, []).append(image)
    label, images = next((label, names) for label, names in by_label.items() if len(names) > 1)
    raise DataError(
        f"{where}: the label file {label} fits {len(images)} images, {', '.join(images[:_NAMED])}; move away the images "
        "that it isn't drawn for"
    )
