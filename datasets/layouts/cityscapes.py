"""Cityscapes (Cordts et al., 2016), as its archives unpack, and as CVAT and Datumaro write datasets in its form."""

from __future__ import annotations

from pathlib import Path

from ...core.labels import CITYSCAPES
from ..labelfiles.coding import Coding
from .base import Layout, Pairs, file_stem, folders, tree

#: Label id → training id; the other 15 ids are void in the benchmark.
IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_IMAGES, _LABELS, _ENDING = "leftImg8bit", "gtFine", "_leftImg8bit"


def _label(image: Path) -> str:
    """Below its split: in the folder of its city, which datasets of other tools don't have."""
    city = "" if image.parent.name == "" or image.parent.parent.name == _IMAGES else f"{image.parent.name}/"
    return f"{city}{image.stem.removesuffix(_ENDING)}_gtFine_labelIds.png"


def _pairs(root: Path, split: str) -> Pairs:
    labels = set(tree(root / _LABELS / split))
    pairs: Pairs = []
    for name in tree(root / _IMAGES / split):
        if file_stem(name).endswith(_ENDING):
            label = _label(Path(name))
            pairs.append(
                (f"{root}/{_IMAGES}/{split}/{name}", f"{root}/{_LABELS}/{split}/{label}" if label in labels else None)
            )
    return pairs


LAYOUT = Layout(
    key="cityscapes",
    name="Cityscapes (leftImg8bit, gtFine)",
    shown_by=lambda root: "leftImg8bit and gtFine" if (root / _IMAGES).is_dir() and (root / _LABELS).is_dir() else None,
    splits=lambda root: [p.name for p in folders(root / _IMAGES)],
    pairs=_pairs,
    labels=lambda _root: CITYSCAPES,
    coding=lambda _root: Coding({i: IDS.index(i) if i in IDS else 255 for i in (*range(34), 255)}),
    expects=lambda root, split: root / _LABELS / split,
    label_name=_label,
)
