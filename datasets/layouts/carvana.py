"""Carvana's Image Masking Challenge, as its archives unpack."""

from __future__ import annotations

import re
from pathlib import Path

from ...core.labels import CARVANA
from ..labelfiles.coding import Coding
from .base import SPLITS, Layout, automatic_split, by_stem, file_stem, image_files

_MASK_SUFFIXES = (".gif", ".png")
#: id_01.jpg to id_16.jpg show one car from 16 sides.
_NAME = re.compile(r"^[0-9a-z]+_(0[1-9]|1[0-6])\.")


def _shown_by(root: Path) -> str | None:
    """Anybody may call folders so; the images' names tell, and that there is no other split."""
    if not ((root / "train").is_dir() and (root / "train_masks").is_dir()) or (root / "val").is_dir():
        return None
    files = image_files(root / "train")
    return "train, train_masks and images such as id_01" if files and all(map(_NAME.match, files)) else None


LAYOUT = Layout(
    key="carvana",
    name="Carvana (train, train_masks)",
    shown_by=_shown_by,
    splits=lambda _root: list(SPLITS),
    pairs=lambda root, split: automatic_split(
        by_stem(root / "train", root / "train_masks", lambda name: name.removesuffix("_mask"), _MASK_SUFFIXES),
        split,
        lambda image: file_stem(image).rpartition("_")[0],
    ),
    labels=lambda _root: CARVANA,
    coding=lambda _root: Coding({0: 0, 1: 1, 255: 1}, {(0, 0, 0): 0, (255, 255, 255): 1}),
    expects=lambda root, _split: root / "train_masks",
    label_name=lambda image: f"{image.stem}_mask.gif",
)
