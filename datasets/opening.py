"""Opens datasets: one split of a folder in any layout, or of several datasets read as one.

The entries of a description may be any dataset, merged ones included: what opens one kind calls what opens the other, so
both live here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from os.path import commonprefix
from pathlib import Path

import numpy as np

from ..core.errors import DataError, UnknownNameError
from ..core.labels import BACKGROUND, Labels, preset
from ..core.spec import ModelSpec
from .dataset import Paths, SegDataset, is_lossy, read_image
from .labelfiles.classes import CLASSES_FILE, read_classes
from .labelfiles.semantic_yaml import find_semantic_yaml, is_semantic_yaml
from .layouts import (
    FOLDERS,
    GENERIC,
    IMAGE_SUFFIXES,
    LAYOUTS,
    SPLITS,
    Layout,
    Pairs,
    find_layout,
    folders,
    image_dir,
    split_word,
)
from .layouts.ade20k import check_not_meant
from .layouts.base import file_stem
from .layouts.unknown import foreign, inside, kinds, nearest, seen
from .merged import (
    BinaryMask,
    MergedDataset,
    Part,
    class_folders,
    coloured,
    is_merged,
    open_description,
    whole_splits,
)
from .options import ReadOptions
from .resolving import BINARY, resolve_classes
from .saved import effective

#: Kinds of files that hold annotations of other tools.
_ANNOTATIONS = (".json", ".xml", ".csv", ".parquet", ".txt")
# A label has at most so many colours; a photograph has more among so many pixels.
_FEW_COLOURS, _PIXELS = 64, 1 << 16


def open_dataset(
    root: str | Path, split: str, labels: Labels | str | None = None, options: ReadOptions | None = None
) -> SegDataset:
    """Lists one split of a dataset in any of the layouts of :mod:`.layouts`, or of several as :mod:`.merged` reads them.

    Classes come from, in this order: ``labels`` (a :class:`Labels` or the name of a preset), ``classes.json`` in the
    root, the layout (Cityscapes, …), CamVid's own file names, or the label values found in the split (``class0``,
    ``class1``, …; 255 is void).

    >>> data = open_dataset("data", "val")
    >>> len(data), data.labels.names[:3]
    (3, ('sky', 'building', 'pole'))
    >>> frame, mask = data.read(0)  # BGR and class numbers
    >>> frame.shape, mask.shape, mask.dtype
    ((64, 96, 3), (64, 96), dtype('uint8'))

    Args:
        root: The dataset's folder, or a description of several.
        split: ``"train"``, ``"val"``, …
        labels: Its classes; None lets the dataset say.
        options: How its files are read; what is left out is as ``reading.json`` beside the data says.

    Raises:
        DataError: a folder is missing or empty, or images and labels do not pair up.
        UnknownNameError: no such preset.
    """
    root = Path(root)
    root = folder_of(root)
    if is_merged(root):
        return open_merged(root, split, preset(labels) if isinstance(labels, str) else labels)
    if not root.is_dir() and not is_semantic_yaml(root):
        what = "is a file, no folder; if it is an archive, unpack it" if root.is_file() else "no such folder"
        raise DataError(f"dataset {root}: {what}; pass `data` a folder with images/{split} and labels/{split}")
    return open_folder(root, split, labels, options)


def folder_of(root: Path) -> Path:
    """The dataset's folder, where ``root`` is the YAML file in it of Ultralytics' semantic task; else ``root``.

    A YAML file outside of its dataset stands for the dataset itself.
    """
    content = find_semantic_yaml(root) if is_semantic_yaml(root) else None
    return root.parent if content is not None and content.root == root.parent else root


def open_for_model(root: str | Path, split: str, spec: ModelSpec) -> SegDataset:
    """:func:`open_dataset` for a model: see :func:`for_model`.

    Raises:
        DataError: as :func:`open_dataset` says; on reading, a number that is none of the classes.
    """
    return for_model(open_dataset(root, split), spec)


def for_model(data: SegDataset, spec: ModelSpec) -> SegDataset:
    """An open dataset for a model: numbers get its classes (:func:`open_dataset_for`), and images deeper than 8 bits its
    range, as the runtime reads them.
    """
    named = named_for(data, spec.labels)
    if spec.input_range is None or named.value_range == spec.input_range:
        return named
    return replace(named, options=named.options.with_(value_range=spec.input_range))


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
    own = data.labels.names
    if own == labels.names or is_merged(data.root) or (data.root / CLASSES_FILE).is_file():
        return True
    return own != BINARY.names and all(names != Labels.numbered(len(names)).names for names in (own, labels.names))


def with_names(numbers: SegDataset, labels: Labels) -> SegDataset:
    """A dataset of numbers, taken to be these classes; void is their number for it where the dataset has that, else 255."""
    if len(numbers.labels) <= len(labels):
        labels = replace(labels, ignore_index=255)
    return replace(numbers, labels=labels)


def open_folder(root: Path, split: str, labels: Labels | str | None = None, given: ReadOptions | None = None) -> SegDataset:
    """:func:`open_dataset` of one dataset, whatever folders of single classes lie beside it."""
    options = effective(root, given)
    layout = find_layout(root, options.layout)
    if layout is FOLDERS and options.layout is None and labels is None:
        check_not_meant(root)
    folder = _split_name(root, layout, split)
    pairs = layout.pairs(root, folder)
    if not pairs:
        place = (image_dir(root) or root / "images") / folder
        where = place if layout is FOLDERS else f"dataset {root}, {split}"
        there = f"; it holds {kinds(place)}" if layout is FOLDERS and kinds(place) else ""
        raise DataError(f"{where}: no images in this folder; expected files ending in {', '.join(IMAGE_SUFFIXES)}{there}")
    missing = [image for image, mask in pairs if mask is None]
    if missing:
        first = Path(missing[0])
        expected = layout.expected_label(root, folder, first)
        raise DataError(
            f"{first}: has no label ({len(missing)} of {len(pairs)} images have none); expected {expected}"
            f"{_beside(expected, first, root)}"
        )
    images = Paths([image for image, _ in pairs])
    masks = Paths([mask for _, mask in pairs if mask is not None])
    if layout in GENERIC:
        _check_swapped(images[0], masks[0])

    def others() -> Iterator[Path]:
        for name in layout.splits(root):
            if name != folder:
                yield from (Path(mask) for _, mask in layout.pairs(root, name) if mask is not None)

    meaning = resolve_classes(root, layout, images, masks, labels, others, options)
    notes = (*meaning.notes, *(_named_differently(pairs) if layout in GENERIC else ()))
    return SegDataset(
        root, split, meaning.labels, images, masks, meaning.coding, notes=notes, options=options, snaps=meaning.snaps
    )


def _named_differently(pairs: Pairs) -> tuple[str, ...]:
    """A word on pairs whose names are not the same."""
    image, mask = pairs[0]
    if mask is None or file_stem(image) == file_stem(mask):
        return ()
    return (f"labels are found by name, as {Path(mask).name} for {Path(image).name}",)


def _check_swapped(image: Path, mask: Path) -> None:
    """Raises DataError where the image has the values of a label and the label those of a photograph."""
    try:
        label = read_image(mask)
        if len(np.unique(label.reshape(-1, 3)[:_PIXELS], axis=0)) <= _FEW_COLOURS and not is_lossy(mask.read_bytes()):
            return
        frame = read_image(image)
    except (DataError, OSError):
        return  # what is wrong with the files is said when they are read
    colours = [len(np.unique(pixels.reshape(-1, 3), axis=0)) for pixels in (frame, label)]
    if 1 < colours[0] <= _FEW_COLOURS < colours[1] // 2:
        raise DataError(
            f"{mask}: images and labels are swapped: this label has {colours[1]} colours, as a photograph, and its image "
            f"{image} has {colours[0]}, as a label; rename the folders"
        )


def _beside(expected: Path, image: Path, root: Path) -> str:
    """Which files of this image there are instead of an expected label; nothing where there are none."""
    if not expected.parent.is_dir():
        return f"; there is no folder {expected.parent}"
    stem = commonprefix([image.stem, expected.stem]).rstrip("_")
    own = sorted(
        path.name
        for path in expected.parent.iterdir()
        if path.name.startswith(stem) and not path.name[len(stem) : len(stem) + 1].isalnum()
    )
    if other := foreign(expected.parent):
        return f"; {other}"
    if not stem or not own:
        return ""
    there = f"; there is {', '.join(own[:2])}"
    if own[0].lower().endswith(_ANNOTATIONS):
        return f"{there}: annotations of another tool become label files with: seg-edge data convert auto {root} DST"
    return there if own[0].lower().endswith(IMAGE_SUFFIXES) else f"{there}; label files are PNG, TIFF or BMP"


def open_merged(root: Path, split: str, labels: Labels | None = None) -> SegDataset:
    """One split of a merged dataset.

    A folder of single-class folders may also hold ``images/<split>`` and ``labels/<split>`` with labels of all classes: they
    then are that split (the one to validate on). The first class of its ``classes.json`` is the background.

    Args:
        root: See :func:`is_merged`.
        split: ``"train"``, ``"val"``, …
        labels: Classes that it must have.

    Raises:
        DataError: a wrong description, or a dataset that can't be read.
    """
    if root.is_file():
        own, parts = open_description(root)
    else:
        names = tuple(p.name for p in class_folders(root))
        file = root / CLASSES_FILE
        own = read_classes(file) if file.is_file() else coloured((BACKGROUND, *names))
        parts = [Part(p, (p.name,), binary=True) for p in class_folders(root)]
    if labels is not None and labels.names != own.names:
        raise DataError(
            f"dataset {root}: its classes are {', '.join(own.names)}, expected {', '.join(labels.names)}; "
            "name them in that order, or leave `classes` out"
        )
    own = labels or own
    if root.is_dir() and split in whole_splits(root):
        return open_folder(root, split, own)
    return _merge(root, split, own, parts)


def _split_name(root: Path, layout: Layout, split: str) -> str:
    """The name of ``split`` in this dataset, which may say ``valid`` or ``Validation`` where we say ``val``."""
    names = layout.splits(root)
    word = split_word(split)
    found = next((name for name in names if name == split), None) or next(
        (name for name in names if word is not None and split_word(name) == word), None
    )
    if found is not None and (layout is not FOLDERS or layout.expects(root, found).is_dir()):
        return found
    if found is not None:  # images are there, labels are not
        names = [path.name for path in folders(layout.expects(root, found).parent)]
    has = f"it has {', '.join(names)}" if names else "it has no splits"
    if layout is not FOLDERS:
        raise DataError(f"dataset {root}: no split {split!r} ({has}); it lies there as {layout.name}")
    folder = "images" if found is None else layout.expects(root, found).parent.name
    raise DataError(
        f"dataset {root}: no folder {folder}/{split} ({has}); expected images/{split} and labels/{split}"
        f"{_instead_of_labels(root, None if found is None else layout.expects(root, found).parent, bool(names))}"
    )


def _instead_of_labels(root: Path, labels: Path | None, others: bool) -> str:
    """What lies where a split's labels should be; nothing where there are ``others``, and this one is left out."""
    if labels is not None and (files := kinds(labels)) and any(kind in files for kind in _ANNOTATIONS):
        return f"; {labels} holds {files}: annotations of another tool; run: seg-edge data convert auto {root} DST"
    return "" if others else _instead(root)


def _instead(root: Path) -> str:
    """What lies in a folder where no dataset is recognised, and what to do about it."""
    below = inside(root, LAYOUTS)
    if below is not None:
        return f"; the dataset lies in {below}: pass that folder"
    files = seen(root)
    if other := foreign(root, boxes=".json" not in files):
        return f"; {other}"
    if any(kind in files for kind in _ANNOTATIONS):
        return f"; it holds {files}: if these are annotations of another tool: seg-edge data convert auto {root} DST"
    return f"; it holds {files}; {nearest(root)}"


def _merge(root: Path, split: str, labels: Labels, parts: Sequence[Part]) -> MergedDataset:
    names = labels.names
    opened, tables, sets = [], [], _sets(root, labels, parts)
    for part in parts:
        if part.splits is not None and split not in part.splits:
            continue
        if part.binary:
            (name,) = part.labelled or ()
            data = replace(open_dataset(part.path, split, Labels.numbered(2)), coding=BinaryMask())
            own: tuple[str, ...] = ("", name)
            labelled: tuple[str, ...] = (name,)
        else:
            data = open_dataset(part.path, split)
            own = data.labels.names
            labelled = _labelled_by(part, own, names, root)
        rest = _rest(labels, labelled, sets)
        table = np.full(256, labels.ignore_index, np.uint8)
        table[: len(own)] = [names.index(n) if n in labelled and n in names else rest for n in own]
        opened.append(data)
        tables.append(table)
    if not opened:
        raise DataError(f"dataset {root}: none of its {len(parts)} datasets takes part in split {split!r}")
    images, masks = (tuple(p for data in opened for p in getattr(data, key)) for key in ("images", "masks"))
    return MergedDataset(root, split, labels, images, masks, sets=sets, parts=tuple(opened), tables=np.stack(tables))


def _labelled_by(part: Part, own: tuple[str, ...], names: tuple[str, ...], root: Path) -> tuple[str, ...]:
    """Classes that a dataset with the classes ``own`` labels."""
    for name in part.labelled or ():
        if name not in own:
            raise UnknownNameError(f"class of {part.path} in {root}", name, own)
    return part.labelled or tuple(name for name in own if name in names[1:])


def _sets(root: Path, labels: Labels, parts: Sequence[Part]) -> tuple[tuple[int, ...], ...]:
    """The sets of all datasets, whatever the split, so that one loss fits all."""
    found: dict[tuple[int, ...], None] = {}
    for part in parts:
        labelled = part.labelled
        if labelled is None:
            splits = part.splits or SPLITS
            labelled = _labelled_by(part, open_dataset(part.path, splits[0]).labels.names, labels.names, root)
        for name in labelled:
            if name not in labels.names[1:]:
                raise UnknownNameError(f"class in {root}", name, labels.names[1:])
        members = _members(labels, labelled)
        if len(members) > 1:
            found[members] = None
    if len(labels) + len(found) > labels.ignore_index:
        raise DataError(
            f"dataset {root}: {len(labels)} classes and {len(found)} ways to label them leave no room below the void's "
            f"number {labels.ignore_index}; set ignore_index to 255 in classes.json"
        )
    return tuple(found)


def _members(labels: Labels, labelled: Sequence[str]) -> tuple[int, ...]:
    return tuple(i for i, name in enumerate(labels.names) if i == 0 or name not in labelled)


def _rest(labels: Labels, labelled: Sequence[str], sets: tuple[tuple[int, ...], ...]) -> int:
    """The label value of what a dataset leaves unlabelled."""
    members = _members(labels, labelled)
    return len(labels) + sets.index(members) if len(members) > 1 else 0
