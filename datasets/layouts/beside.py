"""Label images beside their images in one folder: Roboflow's PNG masks (``x.jpg``, ``x_mask.png``), and whoever does so."""

from __future__ import annotations

from pathlib import Path

from .base import SPLITS, Layout, Pairs, automatic_split, folders, image_files, split_word, stem
from .folders import IMAGE_DIRS
from .naming import IMAGE_ENDINGS, MASK_PREFIXES, MASK_SUFFIXES

_PHOTOS = (".jpg", ".jpeg")
_SUFFIXES = tuple(sorted(filter(None, MASK_SUFFIXES), key=len, reverse=True))


def _label_of(name: str, own: str, by_stem: dict[str, list[str]]) -> str | None:
    """The label file among a folder's files that belongs to one of them."""
    bare = [own, *(own[: -len(ending)] for ending in IMAGE_ENDINGS if own.endswith(ending))]
    for base in bare:
        for candidate in (*(base + suffix for suffix in _SUFFIXES), *(prefix + base for prefix in MASK_PREFIXES)):
            others = [file for file in by_stem.get(candidate, ()) if file != name]
            if len(others) == 1:
                return others[0]
    if name.lower().endswith(_PHOTOS):  # a.jpg and a.png
        others = [file for file in by_stem.get(own, ()) if file != name]
        if len(others) == 1 and others[0].lower().endswith(".png"):
            return others[0]
    return None


def pairs_in(folder: Path) -> Pairs:
    """Images and labels of one folder."""
    names = image_files(folder)
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(stem(name), []).append(name)
    found = {name: label for name in names if (label := _label_of(name, stem(name), by_stem)) is not None}
    labels = set(found.values())
    images = [name for name in names if name not in labels]
    return [(f"{folder}/{name}", f"{folder}/{found[name]}" if name in found else None) for name in images]


def _paired(folder: Path) -> bool:
    """Whether most images of a folder have their labels beside them."""
    pairs = pairs_in(folder)
    return bool(pairs) and 2 * sum(label is not None for _, label in pairs) > len(pairs)


def _places(root: Path) -> dict[str, Path]:
    """Split → its folder; "" → the one of a dataset without splits."""
    outer = [root, *(path for path in folders(root) if path.name.lower() in IMAGE_DIRS)]
    for place in outer:
        splits = {path.name: path for path in folders(place) if split_word(path.name) and _paired(path)}
        if splits:
            return splits
    return next(({"": place} for place in outer if _paired(place)), {})


def _pairs(root: Path, split: str) -> Pairs:
    places = _places(root)
    return automatic_split(pairs_in(places[""]), split) if "" in places else pairs_in(places[split])


def _shown_by(root: Path) -> str | None:
    for folder in _places(root).values():
        image, label = next((image, label) for image, label in pairs_in(folder) if label is not None)
        return f"{Path(image).relative_to(root)} and {Path(label).name}"
    return None


LAYOUT = Layout(
    key="beside",
    name="label images beside their images",
    shown_by=_shown_by,
    splits=lambda root: list(SPLITS) if "" in _places(root) else list(_places(root)),
    pairs=_pairs,
    expects=lambda root, split: _places(root).get(split) or _places(root).get("") or root,
    label_name=lambda image: f"{image.stem}_mask.png",
)
