"""Folders of images and folders of labels, with and without splits, under the names that people give them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from ...core.errors import DataError
from .base import (
    IMAGE_SUFFIXES,
    SPLIT_NAMES,
    SPLITS,
    Layout,
    Pairs,
    automatic_split,
    file_stem,
    folders,
    holds_images,
    image_files,
    split_word,
    stem,
    tree,
)
from .naming import pair_names

#: Names of folders of images and of labels, in lower case; the first ones are what this project calls them.
IMAGE_DIRS = (
    "images",
    "image",
    "imgs",
    "img",
    "img_dir",
    "imgs_dir",
    "photos",
    "rgb",
    "frames",
    "inputs",
    "input",
    "image_2",
)
LABEL_DIRS = (
    "labels", "masks", "annotations", "label", "mask", "annotation", "ann_dir", "ann", "gt", "groundtruth", "ground_truth",
    "gts", "seg", "segmentation", "segmentations", "semantic", "targets", "target", "label_dir", "mask_dir", "lbl", "lbls",
)  # fmt: skip
_WORD = "|".join(sorted(SPLIT_NAMES, key=len, reverse=True))
_BEFORE, _AFTER = re.compile(rf"^({_WORD})[_\-. ]?(.*)$"), re.compile(rf"^(.*?)[_\-. ]?({_WORD})$")


def image_dir(root: Path) -> Path | None:
    """The folder of images among a folder's; None where there is none."""
    return _named(root, IMAGE_DIRS)


def label_dir(root: Path) -> Path | None:
    """The folder of label images among a folder's; one without images only where there is no other."""
    return _named(root, LABEL_DIRS)


def check_one_label_dir(root: Path) -> None:
    """Raises DataError where two folders hold images that may be the labels."""
    holding = [path for path in _all_named(root, LABEL_DIRS) if holds_images(path)]
    if len(holding) > 1:
        raise DataError(
            f"dataset {root}: {' and '.join(path.name for path in holding)} both hold images that may be the labels; rename "
            "the one that isn't meant"
        )


def _named(root: Path, names: tuple[str, ...]) -> Path | None:
    named = _all_named(root, names)
    return named[0] if len(named) == 1 else next((path for path in named if holds_images(path)), named[0] if named else None)


def _all_named(root: Path, names: tuple[str, ...]) -> list[Path]:
    found = {path.name.lower(): path for path in folders(root)}
    return [found[name] for name in names if name in found]


def _of_split(folder: Path, split: str) -> Path:
    """The folder of a split, which may bear another name for it on the other side (valid, val)."""
    exact = folder / split
    if exact.is_dir():
        return exact
    word = split_word(split)
    return next((path for path in folders(folder) if word is not None and split_word(path.name) == word), exact)


def pair_trees(images: Path, masks: Path) -> Pairs:
    """The images in a folder and the folders below it, with their label files in another one.

    Where the labels lie below the images, only the images of the folder itself count.
    """
    names = image_files(images) if masks.parent == images else tree(images)
    found = pair_names(names, tree(masks), str(masks))
    return [(f"{images}/{name}", f"{masks}/{found[name]}" if name in found else None) for name in names]


def _files(folder: Path) -> list[str]:
    return [f"{folder}/{name}" for name in tree(folder)]


def _path_below(image: Path, names: tuple[str, ...], skip: int) -> str:
    """A label file's path: its image's one below the folder of images and ``skip`` more."""
    parts = image.with_suffix(".png").parts
    at = next((k for k in range(len(parts) - 2, -1, -1) if parts[k].lower() in names), len(parts) - 2)
    return "/".join(parts[at + 1 + skip :])


# --- images/<split> and labels/<split>


def _images(root: Path) -> Path:
    return image_dir(root) or root / "images"


def _labels(root: Path) -> Path:
    return label_dir(root) or root / "labels"


def _split_dirs(root: Path) -> list[str]:
    return [path.name for path in folders(_images(root))]


def _has_splits(root: Path) -> str | None:
    names, labels = _split_dirs(root), label_dir(root)
    return f"{_images(root).name}/{names[0]} and {labels.name}" if names and labels is not None else None


def _in_splits(root: Path, split: str) -> Pairs:
    check_one_label_dir(root)
    return pair_trees(_images(root) / split, _of_split(_labels(root), split))


#: Ours. Also what is expected where nothing fits: open_dataset, whose errors explain this layout, looks at both folders.
FOLDERS = Layout(
    key="folders",
    name="images/<split> and labels/<split>",
    shown_by=_has_splits,
    splits=_split_dirs,
    pairs=_in_splits,
    expects=lambda root, split: _of_split(_labels(root), split),
    label_name=lambda image: _path_below(image, IMAGE_DIRS, 1),
    label_files=lambda root, split: _files(_of_split(_labels(root), split)),
)


# --- <split>/images and <split>/labels


def _split_first(root: Path) -> list[str]:
    """Folders that hold labels, and images in a folder of theirs or by themselves."""
    return [path.name for path in folders(root) if label_dir(path) and (image_dir(path) or image_files(path))]


def _in_split(root: Path, split: str) -> Pairs:
    check_one_label_dir(root / split)
    return pair_trees(image_dir(root / split) or root / split, _labels(root / split))


SPLIT_FIRST = Layout(
    key="split-first",
    name="<split>/images and <split>/labels",
    shown_by=lambda root: next(
        (f"images and {_labels(root / name).name} in {name}" for name in _split_first(root) if split_word(name)), None
    ),
    splits=_split_first,
    pairs=_in_split,
    expects=lambda root, split: _labels(root / split),
    label_name=lambda image: _path_below(image, IMAGE_DIRS, 0),
    label_files=lambda root, split: _files(_labels(root / split)),
)


# --- images and labels without splits, folders of rides or cities in them or not


def _flat(root: Path) -> str | None:
    images, labels = image_dir(root), label_dir(root)
    if images is None or labels is None or not holds_images(images):
        return None
    if any(split_word(path.name) for path in (*folders(images), *folders(labels))):
        return None
    lists = ", ".join(path.name for path in _lists(root).values())
    return f"{images.name} and {labels.name}{f', lists {lists}' if lists else ''}"


def _inner_split(image: str, images: Path) -> str | None:
    """The split that a folder below the one of a ride is named after."""
    return next((word for part in Path(image).relative_to(images).parts[:-1] if (word := split_word(part))), None)


def _lists(root: Path) -> dict[str, Path]:
    """Split → ``train.txt`` and the like, where train and val are there."""
    files = {split: root / f"{split}.txt" for split in SPLITS if (root / f"{split}.txt").is_file()}
    return files if {"train", "val"} <= set(files) else {}


def _listed(file: Path, pairs: Pairs) -> Pairs:
    """The pairs whose images a list names, a line each, with or without folders and suffix."""
    by_name: dict[str, Pairs] = {}
    for pair in pairs:
        by_name.setdefault(file_stem(pair[0]), []).append(pair)
    found: Pairs = []
    for line in file.read_text(encoding="utf-8-sig").splitlines():
        name = line.strip().split("\t")[0].split(",")[0].replace("\\", "/")
        if not name:
            continue
        # Some lists have the label file in a second column.
        fitting = _named_in_list(name, by_name) or _named_in_list(name.split()[0], by_name)
        if len(fitting) != 1:
            raise DataError(f"{file}: lists {name}, for which there are {len(fitting)} images; correct or remove the file")
        found += fitting
    return sorted(set(found))


def _named_in_list(name: str, by_name: dict[str, Pairs]) -> Pairs:
    bare = stem(name) if name.lower().endswith(IMAGE_SUFFIXES) else name
    fitting = by_name.get(bare.rpartition("/")[2], [])
    return fitting if len(fitting) < 2 else [pair for pair in fitting if stem(pair[0]).endswith(f"/{bare}")]


def _divided(root: Path, split: str) -> Pairs:
    check_one_label_dir(root)
    if split in SPLITS:
        pairs = pair_trees(_images(root), _labels(root))
        if lists := _lists(root):
            return _listed(lists[split], pairs) if split in lists else []
        inner = {image: _inner_split(image, _images(root)) for image, _ in pairs}
        if any(inner.values()):
            return [pair for pair in pairs if inner[pair[0]] == split]
        rides = {os.path.dirname(image) for image, _ in pairs}
        # The images of one folder are never parted, where there are folders enough for every split.
        return automatic_split(pairs, split, os.path.dirname if len(rides) >= len(SPLITS) else file_stem)
    return pair_trees(_images(root) / split, _labels(root) / split)


FLAT = Layout(
    key="flat",
    name="images and labels without splits",
    shown_by=_flat,
    splits=lambda root: list(_lists(root)) or list(dict.fromkeys((*SPLITS, *_split_dirs(root)))),
    pairs=_divided,
    expects=lambda root, _split: _labels(root),
    label_name=lambda image: _path_below(image, IMAGE_DIRS, 0),
)


# --- train and train_masks, images_train and labels_train


def _side_by_side(root: Path) -> dict[str, tuple[Path, Path]]:
    """Split → its folder of images and of labels."""
    sides: dict[str, dict[bool, Path]] = {}
    for path in folders(root):
        name = path.name.lower()
        for match, split, rest in ((_BEFORE.match(name), 1, 2), (_AFTER.match(name), 2, 1)):
            if match is None:
                continue
            word = match[rest].strip("_-. ")
            if word in ("", *IMAGE_DIRS, *LABEL_DIRS, "annot"):
                sides.setdefault(SPLIT_NAMES[match[split]], {}).setdefault(word in (*LABEL_DIRS, "annot"), path)
                break
    both = {split: (entry[False], entry[True]) for split, entry in sides.items() if len(entry) == 2}
    return {split: pair for split, pair in both.items() if holds_images(pair[0])}


def _beside_pairs(root: Path, split: str) -> Pairs:
    sides = _side_by_side(root)
    if list(sides) == ["train"]:
        return automatic_split(pair_trees(*sides["train"]), split)
    return pair_trees(*sides[split])


def _beside_splits(root: Path) -> list[str]:
    sides = list(_side_by_side(root))
    return list(SPLITS) if sides == ["train"] else sides


def _shown_side_by_side(root: Path) -> str | None:
    sides = _side_by_side(root)
    return " and ".join(path.name for path in next(iter(sides.values()))) if sides else None


def _last(call: Callable[[Path], dict[str, tuple[Path, Path]]]) -> Callable[[Path, str], Path]:
    def expects(root: Path, split: str) -> Path:
        sides = call(root)
        return sides.get(split, next(iter(sides.values())))[1]

    return expects


SIDE_BY_SIDE = Layout(
    key="side-by-side",
    name="<split> and <split>_masks",
    shown_by=_shown_side_by_side,
    splits=_beside_splits,
    pairs=_beside_pairs,
    expects=_last(_side_by_side),
)
