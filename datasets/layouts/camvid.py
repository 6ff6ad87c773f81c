"""CamVid (Brostow et al., 2009): as published, and as SegNet's tutorial has it."""

from __future__ import annotations

import re
from pathlib import Path

from ...core.labels import CAMVID
from ..labelfiles.coding import Coding
from .base import SPLITS, Layout, automatic_split, by_stem, file_stem, image_files

#: The four sequences that its frames are named after.
NAME = re.compile(r"^(0001TP|0006R0|0016E5|Seq05VD)_")
#: The 32 colours of CamVid's own labels, in the 11 classes of SegNet.
COLOURS = {
    "sky": ((128, 128, 128),),
    "building": ((0, 128, 64), (128, 0, 0), (64, 192, 0), (64, 0, 64), (192, 0, 128)),
    "pole": ((192, 192, 128), (0, 0, 64)),
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    "tree": ((128, 128, 0), (192, 192, 0)),
    "sign symbol": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
}
_STILLS, _APPROVED = "701_StillsRaw_full", "LabeledApproved_full"


def _segnet(root: Path) -> str | None:
    """Anybody may call folders so; the frames' names tell."""
    if not ((root / "train").is_dir() and (root / "trainannot").is_dir()):
        return None
    files = [name for split in SPLITS for name in image_files(root / split)[:1]]
    return "train, trainannot and CamVid's file names" if files and all(map(NAME.match, files)) else None


SEGNET = Layout(
    key="camvid",
    name="CamVid as SegNet's tutorial has it (train, trainannot)",
    shown_by=_segnet,
    splits=lambda root: [name for name in SPLITS if (root / name).is_dir() and (root / f"{name}annot").is_dir()],
    pairs=lambda root, split: by_stem(root / split, root / f"{split}annot"),
    labels=lambda _root: CAMVID,
    expects=lambda root, split: root / f"{split}annot",
)

ORIGINAL = Layout(
    key="camvid-original",
    name=f"CamVid as published ({_STILLS}, {_APPROVED})",
    shown_by=lambda root: (
        f"{_STILLS} and {_APPROVED}" if (root / _STILLS).is_dir() and (root / _APPROVED).is_dir() else None
    ),
    splits=lambda _root: list(SPLITS),
    pairs=lambda root, split: automatic_split(
        by_stem(root / _STILLS, root / _APPROVED, lambda name: name.removesuffix("_L")),
        split,
        # Neighbours in a ride look alike: thirty seconds of one stay together.
        lambda image: file_stem(image)[:-3],
    ),
    labels=lambda _root: CAMVID,
    coding=lambda _root: Coding(
        colours={c: i for i, name in enumerate(CAMVID.names) for c in COLOURS[name]} | {(0, 0, 0): CAMVID.ignore_index}
    ),
    expects=lambda root, _split: root / _APPROVED,
    label_name=lambda image: f"{image.stem}_L.png",
)
