"""How datasets lie on disk: which folder is which, what splits there are, which label file belongs to which image.

The first layout of :data:`LAYOUTS` that a folder shows is the dataset's; :func:`find_layout` takes a name instead.
"""

from __future__ import annotations

from pathlib import Path

from ...core.errors import DataError
from ...core.options import check_name
from . import ade20k, beside, camvid, carvana, cityscapes, ultralytics, voc
from .base import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .base import SPLIT_NAMES as SPLIT_NAMES
from .base import SPLITS as SPLITS
from .base import Layout as Layout
from .base import Pairs as Pairs
from .base import automatic_split as automatic_split
from .base import folders as folders
from .base import image_files as image_files
from .base import list_images as list_images
from .base import split_word as split_word
from .folders import FLAT, SIDE_BY_SIDE, SPLIT_FIRST
from .folders import FOLDERS as FOLDERS
from .folders import LABEL_DIRS as LABEL_DIRS
from .folders import image_dir as image_dir
from .folders import label_dir as label_dir

#: In the order in which they are looked for: those with names of their own, then folders under common names.
LAYOUTS = (
    cityscapes.LAYOUT, voc.LAYOUT, ade20k.LAYOUT, camvid.SEGNET, camvid.ORIGINAL, carvana.LAYOUT, ultralytics.LAYOUT,
    SPLIT_FIRST, FLAT, FOLDERS, SIDE_BY_SIDE, beside.LAYOUT,
)  # fmt: skip
#: Those whose folders say nothing about their classes.
GENERIC = (SPLIT_FIRST, FLAT, FOLDERS, SIDE_BY_SIDE, beside.LAYOUT)


def find_layout(root: Path, key: str | None = None) -> Layout:
    """The layout of a dataset; where none fits, that of folders with splits, which is what we ask for.

    Args:
        root: The dataset's folder.
        key: Take this one, whatever the folders show.

    Raises:
        UnknownNameError: no such layout.
        DataError: the folder lacks what this layout needs.
    """
    if key is None:
        return next((layout for layout in LAYOUTS if layout.shown_by(root) is not None), FOLDERS)
    check_name("layout", key, [layout.key for layout in LAYOUTS])
    layout = next(layout for layout in LAYOUTS if layout.key == key)
    if layout is not FOLDERS and not layout.splits(root):
        raise DataError(f"dataset {root}: `layout={key!r}` is {layout.name}, and nothing here lies in that way")
    return layout
