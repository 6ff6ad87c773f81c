"""What the tests of rows share: pairs written anywhere, and how they are read or refused."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import DataError
from seg_edge.datasets import ReadOptions, open_dataset

SIZE_HW = (32, 40)
#: Left, middle and right third.
THREE = np.repeat(np.array([[0, 1, 2]], np.uint8), [13, 13, 14], 1).repeat(SIZE_HW[0], 0)
SPLITS = ("train", "val")


def photo(seed: int = 0, hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (hw[0] // 4, hw[1] // 4, 3), np.uint8)
    return cv2.resize(coarse, hw[::-1], interpolation=cv2.INTER_CUBIC)


def write(path: Path, image: object, *extra: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.asarray(image), list(extra))
    return path


def fill(root: Path, images: str, labels: str, mask: np.ndarray = THREE, count: int = 3, splits: tuple = SPLITS) -> Path:
    """Pairs at paths such as ``images/{split}/{n}.jpg``."""
    for position, split in enumerate(splits):
        for n in range(count):
            name = f"{split}{n}"
            write(root / images.format(split=split, name=name), photo(10 * position + n))
            write(root / labels.format(split=split, name=name), mask)
    return root


def mask_of(root: Path, split: str = "train", **options: object) -> np.ndarray:
    data = open_dataset(root, split, options=ReadOptions(**options))
    frame, mask = data.read(0)
    assert frame.shape[:2] == mask.shape
    return mask


def refused(root: Path, *texts: str, split: str = "train", **options: object) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(root, split, options=ReadOptions(**options)).read(0)
    assert "\n" not in str(caught.value)
    for text in texts:
        assert text in str(caught.value)


def classes(root: Path, **content: object) -> None:
    (root / "classes.json").write_text(json.dumps(content))


def voc(
    root: Path, names: dict[str, tuple], lists: dict[str, list[str]], suffix: str = ".jpg", mask: np.ndarray = THREE
) -> Path:
    colours = np.array(list(names.values()), np.uint8)[:, ::-1]
    for position, name in enumerate(name for listed in lists.values() for name in listed):
        write(root / f"JPEGImages/{name}{suffix}", photo(position))
        write(root / f"SegmentationClass/{name}.png", colours[mask])
    for split, listed in lists.items():
        path = root / f"ImageSets/Segmentation/{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(listed) + "\n")
    lines = [f"{name}:{r},{g},{b}::" for name, (r, g, b) in names.items()]
    (root / "labelmap.txt").write_text("\n".join(["# label:color_rgb:parts:actions", *lines]) + "\n")
    return root
