"""Which classes a dataset has and what its label files' values mean: by the user's files, the layout, or the values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.errors import DataError
from ..core.labels import CAMVID, VOC_VOID_RGB, Labels, default_palette, preset
from .dataset import read_grey, read_mask
from .labelfiles import labelmap, snapping, tables
from .labelfiles.classes import CLASSES_FILE, ClassList, read_class_list
from .labelfiles.coding import Coding, Mask
from .labelfiles.labelmap import read_label_map
from .labelfiles.palettes import Seen
from .layouts import Layout, camvid
from .layouts.camvid import NAME as CAMVID_NAME
from .options import ReadOptions

#: Classes of masks that hold 0 and 255 alone, where nothing names them.
BINARY = Labels(("background", "foreground"), ((0, 0, 0), (255, 255, 255)))
_BINARY_CODING = Coding({0: 0, 255: 1}, {(0, 0, 0): 0, (255, 255, 255): 1})
# So many label files show whether masks may be of 0 and 255; then all are read.
_SAMPLE = 4
# So many label files of the split, and of the others, tell the values of blurred labels.
_SNAP_SAMPLE = 16
# More values than this, or more than the second number with gaps, are looked at for smoothing.
_MANY_VALUES, _MANY_WITH_GAPS = 16, 8


@dataclass(frozen=True)
class Meaning:
    """What is known of a dataset's label files.

    Attributes:
        labels: The classes.
        coding: What values and colours mean.
        notes: What was assumed, one line each.
        says_void: Whether the user's file says which value is void.
        snaps: Values that blurred labels are set to.
    """

    labels: Labels
    coding: Coding
    notes: tuple[str, ...] = ()
    says_void: bool = False
    snaps: tuple[int, ...] = ()


def resolve_classes(
    root: Path,
    layout: Layout,
    images: Sequence[Path],
    masks: Sequence[Path],
    labels: Labels | str | None,
    others: Callable[[], Iterable[Path]],
    options: ReadOptions = ReadOptions(),  # noqa: B008  # frozen
) -> Meaning:
    """The classes and the coding of one split.

    Args:
        root: The dataset's folder.
        layout: How it lies on disk.
        images: Images of the split.
        masks: Label files of the split.
        labels: Classes that the user named; None lets the dataset say.
        others: Label files of the other splits, asked for where this split's values leave a doubt.
        options: Which value is void, and whether blurred values are set to those of classes.

    Raises:
        DataError: a file of classes that is wrong, smoothed labels, or labels of one value.
        UnknownNameError: no such preset.
    """
    meaning = _said(root, layout, images, preset(labels) if isinstance(labels, str) else labels)
    if options.snap:
        return _snapped(root, meaning, masks, others)
    if meaning is not None:
        if options.void is not None:
            return _without(meaning, options.void, masks, others)
        greys = _greys(meaning, masks, others)
        if greys is not None:
            return replace(meaning, coding=greys)
        two = len(meaning.labels) == 2 and meaning.labels.ignore_index == 255 and meaning.coding == Coding()
        if two and not meaning.says_void and _may_be_binary(masks) and _is_binary(masks, others):
            return replace(meaning, coding=_BINARY_CODING, notes=(*meaning.notes, _binary_note(root, meaning.labels)))
        return meaning
    found = _by_values(root, masks, others, options.void)
    return found if found.coding != Coding() else _listed_names(root, found)


def _listed_names(root: Path, numbers: Meaning) -> Meaning:
    """Numbered classes with the names of a list beside the label files, if it has enough."""
    listed = tables.read_names(root)
    if listed is None:
        return numbers
    file, names = listed
    if len(names) < len(numbers.labels) or len(set(names)) < len(names) or len(names) > 255:
        note = f"{file.name} lists {len(names)} names, the label values go to {len(numbers.labels) - 1}: they are not taken"
        return replace(numbers, notes=(*numbers.notes, note))
    return replace(
        numbers, labels=Labels(tuple(names), default_palette(len(names))),
        notes=(*numbers.notes, f"names are those of {file.name}, in order from 0 up"),
    )  # fmt: skip


def _by_values(root: Path, masks: Sequence[Path], others: Callable[[], Iterable[Path]], void: int | None) -> Meaning:
    """Classes counted from the values that occur."""
    values = _values(masks)
    if void is not None:
        values |= _values(others())
        _check_smoothing(masks, values)
        used = [value for value in np.flatnonzero(values).tolist() if value not in (void, 255)]
        if not used:
            raise DataError(f"{masks[0]} and others: every label value is void; `void={void}` leaves no class")
        labels = Labels(tuple(f"class{value}" for value in used), default_palette(len(used)))
        return Meaning(labels, Coding({value: number for number, value in enumerate(used)} | {void: 255, 255: 255}))
    if _only(values, 0, 255):
        if _is_binary(masks, others):
            return Meaning(BINARY, _BINARY_CODING, (_binary_note(root, BINARY),))
        values |= _values(others())
    highest = int(np.flatnonzero(values[:255]).max(initial=0))
    _check_smoothing(masks, values)
    return Meaning(Labels.numbered(highest + 1), Coding())


def _without(meaning: Meaning, void: int, masks: Sequence[Path], others: Callable[[], Iterable[Path]]) -> Meaning:
    """Named classes where one value more is void. It has a number between theirs where the highest value shows it."""
    ignored, count = meaning.labels.ignore_index, len(meaning.labels)
    values = dict(meaning.coding.values or {number: number for number in range(count)} | {ignored: ignored})
    notes = meaning.notes
    if meaning.coding.values is None and void < count and _highest(masks, others, ignored) == count:
        numbers = [number for number in range(count + 1) if number != void]
        values = {value: number for number, value in enumerate(numbers)} | {ignored: ignored}
        listed = ", ".join(f"{value} ({name})" for value, name in zip(numbers[:3], meaning.labels.names, strict=False))
        notes = (*notes, f"the value {void} is void and none of the names: the classes are {listed}{', …' * (count > 3)}")
    return replace(meaning, coding=replace(meaning.coding, values=values | {void: ignored}), notes=notes)


def _highest(masks: Sequence[Path], others: Callable[[], Iterable[Path]], ignored: int) -> int:
    """The highest value that isn't void."""
    return int(np.flatnonzero(_values((*masks, *others()), strict=False)[:ignored]).max(initial=0))


def _greys(meaning: Meaning, masks: Sequence[Path], others: Callable[[], Iterable[Path]]) -> Coding | None:
    """The coding of grey files whose values are the grey colours of the classes; None where they are class numbers."""
    if meaning.coding.values is not None or meaning.says_void:
        return None
    colours = meaning.coding.known_colours(meaning.labels)
    if not all(red == green == blue for red, green, blue in colours):
        return None
    greys = {colour[0]: number for colour, number in colours.items()}
    numbers = {*range(len(meaning.labels)), meaning.labels.ignore_index}
    if all(grey in numbers and grey == number for grey, number in greys.items()):
        return None
    used: set[int] = set()
    for path in (*masks, *others()):
        used |= set(np.flatnonzero(_values((path,), strict=False)).tolist())
        if not used <= set(greys):
            return None
        if not used <= numbers:
            break
    if used <= numbers and 255 not in used:
        return None
    return replace(meaning.coding, values=greys)


def _snapped(root: Path, meaning: Meaning | None, masks: Sequence[Path], others: Callable[[], Iterable[Path]]) -> Meaning:
    """The meaning of blurred labels: classes that are named keep their values, else those of areas are the classes."""
    if meaning is not None and meaning.coding.values is not None:
        return replace(meaning, snaps=tuple(sorted(meaning.coding.values)))
    files = [*masks[:_SNAP_SAMPLE], *islice(others(), _SNAP_SAMPLE)]
    if not _is_grey(files[0]):  # colours are those of the classes; without classes the error asks for them
        return _by_values(root, masks, others, None) if meaning is None else meaning
    found = snapping.plateaus(read_grey(path) for path in files)
    if meaning is not None:
        numbers = {*range(len(meaning.labels)), meaning.labels.ignore_index}
        greys = {c[0]: n for c, n in meaning.coding.known_colours(meaning.labels).items() if c[0] == c[1] == c[2]}
        if set(found) <= set(greys) and len(greys) == len(meaning.labels):
            return replace(meaning, coding=Coding(greys), snaps=tuple(sorted(greys)))
        if len(found) == len(meaning.labels) == 2:
            return replace(meaning, coding=Coding(dict(zip(found, (0, 1), strict=True))), snaps=found)
        return replace(meaning, snaps=tuple(sorted(numbers)))
    if len(found) < 2:
        raise DataError(
            f"{masks[0]} and others: `snap`: the areas hold one value alone ({', '.join(map(str, found)) or 'none'}), or "
            "values that are too close to be told apart; export the labels again, without smoothing and as PNG"
        )
    binary = len(found) == 2
    labels = BINARY if binary else Labels(tuple(f"class{value}" for value in found), default_palette(len(found)))
    shown = ", ".join(f"{value} ({name})" for value, name in zip(found, labels.names, strict=True))
    note = f"label values are set to the nearest of {shown}; to name them, write values into {root / CLASSES_FILE}"
    return Meaning(labels, Coding({value: number for number, value in enumerate(found)}), (note,), snaps=found)


def _is_grey(path: Path) -> bool:
    try:
        read_grey(path)
    except DataError:
        return False
    return True


def _said(root: Path, layout: Layout, images: Sequence[Path], wanted: Labels | None) -> Meaning | None:
    """What the user's files and the layout say; None where values must tell."""
    file, label_map = root / CLASSES_FILE, root / labelmap.FILE
    own = read_class_list(file) if file.is_file() else None
    if wanted is not None and (own is None or own.labels.names != wanted.names):
        own = ClassList(wanted, None, wanted.palette != default_palette(len(wanted)))
    if own is not None:
        return Meaning(wanted or own.labels, _coding(own, layout, root), says_void=own.says_void)
    if label_map.is_file():
        content = read_label_map(label_map)
        return Meaning(content.labels, content.coding)
    table = _table(root, layout)
    if table is not None:
        content = tables.read_table(table)
        return Meaning(content.labels, content.coding, (f"classes are those of {table}",))
    known = layout.labels(root)
    if known is not None:
        return Meaning(known, layout.coding(root), layout.notes(root))
    if all(CAMVID_NAME.match(path.name) for path in images):
        return Meaning(CAMVID, Coding())
    return None


def _table(root: Path, layout: Layout) -> Path | None:
    """The table of classes; CamVid's own is read by its layout."""
    table = tables.find_table(root)
    return None if table is not None and table.name == tables.NUMBERED and layout is camvid.ORIGINAL else table


def _coding(own: ClassList, layout: Layout, root: Path) -> Coding:
    """What label files mean where the user names the classes: the layout's own coding holds for its own classes only."""
    if own.values is not None:
        return Coding(own.values)
    table = root / labelmap.FILE if (root / labelmap.FILE).is_file() else _table(root, layout)
    if table is not None:
        content = read_label_map(table) if table.name == labelmap.FILE else tables.read_table(table)
        known, coding = content.labels, content.coding
    else:
        layout_labels = layout.labels(root)
        if layout_labels is None:
            return Coding()
        known, coding = layout_labels, layout.coding(root)
    names = own.labels.names
    if coding.values is not None and len(names) == len(known):
        return coding  # Cityscapes' ids, ADE20K's numbers: the classes are renamed
    if coding.colours is None:
        return Coding()
    if own.coloured and any(
        colour != dict(zip(known.names, known.palette, strict=True)).get(name)
        for name, colour in zip(names, own.labels.palette, strict=True)
    ):
        return Coding(void_rgb=VOC_VOID_RGB)
    if not set(names) <= set(known.names):
        return Coding(void_rgb=VOC_VOID_RGB)
    numbers = {known.names.index(name): number for number, name in enumerate(names)} | {
        known.ignore_index: own.labels.ignore_index
    }
    return Coding(colours={colour: numbers[number] for colour, number in coding.colours.items() if number in numbers})


def _binary_note(root: Path, labels: Labels) -> str:
    return (
        f"label values are 0 and 255 alone: 0 is taken as {labels.names[0]}, 255 as {labels.names[1]}; "
        f"to say otherwise, write values into {root / CLASSES_FILE}"
    )


def _may_be_binary(masks: Sequence[Path]) -> bool:
    return _only(_values(masks[:_SAMPLE], strict=False), 0, 255)


def _is_binary(masks: Sequence[Path], others: Callable[[], Iterable[Path]]) -> bool:
    """Whether all splits together hold the values 0 and 255 and no others."""
    values = np.zeros(256, np.bool_)
    for path in (*masks, *others()):
        values |= _values((path,), strict=False)
        if not _only(values, 0, 255):
            return False
    return bool(values[0] and values[255])


def _only(values: npt.NDArray[np.bool_], *allowed: int) -> bool:
    return not np.delete(values, allowed).any()


def _values(masks: Iterable[Path], strict: bool = True) -> npt.NDArray[np.bool_]:
    """Which values occur: bool (256,). Files that can't be read are an error where ``strict``, else left out."""
    values, seen = np.zeros(256, np.bool_), Seen()
    for path in masks:
        try:
            mask = read_mask(path, seen)
        except DataError:
            if strict:
                raise
            continue
        values |= np.bincount(mask.ravel(), minlength=256) > 0
    return values


def _check_smoothing(masks: Sequence[Path], values: npt.NDArray[np.bool_]) -> None:
    """Raises where most of many values occur along borders only: smoothed masks, not class numbers."""
    used = np.flatnonzero(values)
    gaps = int(used[used < 255].max(initial=0)) >= 2 * used.size
    if used.size <= (_MANY_WITH_GAPS if gaps else _MANY_VALUES):
        return
    inside = np.zeros(256, np.bool_)
    for path in masks:
        inside |= _inside(read_mask(path))
        if inside.sum() * 2 >= used.size:
            return
    raise DataError(
        f"{masks[0]} and others: label values are {used.size} different ones from {used[0]} to {used[-1]}, and "
        f"{used.size - int(inside.sum())} of them occur along borders alone: masks with smoothed borders, not class "
        "numbers; export them without anti-aliasing, or set each pixel to a class with `snap=True`"
    )


def _inside(mask: Mask) -> npt.NDArray[np.bool_]:
    """Values that cover some square of 3 × 3 pixels, bool (256,)."""
    even = np.ones((max(0, mask.shape[0] - 2), max(0, mask.shape[1] - 2)), np.bool_)
    for y in range(3):
        for x in range(3):
            even &= mask[y : y + even.shape[0], x : x + even.shape[1]] == mask[1:-1, 1:-1]
    return np.bincount(mask[1:-1, 1:-1][even], minlength=256) > 0
