"""A data set that a network learns within seconds: noisy coloured rectangles, one colour for each class."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

#: BGR of classes 0, 1, 2.
COLOURS = np.array([[200, 60, 40], [40, 200, 60], [60, 40, 200]])


def pair(rng: np.random.Generator, size_hw: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """One image, uint8 (H, W, 3), and its label, uint8 (H, W); all three classes occur."""
    height, width = size_hw
    mask = np.zeros(size_hw, np.uint8)
    for value, x in ((1, rng.integers(width // 8)), (2, width // 2 + rng.integers(width // 8))):
        y = rng.integers(height // 2)
        mask[y : y + height // 2, x : x + width // 3] = value
    frame = COLOURS[mask] + rng.normal(0, 10, (*size_hw, 3))
    return frame.clip(0, 255).astype(np.uint8), mask


def write_dataset(root: Path, *, train: int = 8, val: int = 3, size_hw: tuple[int, int] = (64, 96), seed: int = 0) -> Path:
    """Writes the folder; each label has a void pixel (255) in its corner."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            frame, mask = pair(rng, size_hw)
            mask[0, 0] = 255
            cv2.imwrite(str(root / "images" / split / f"{i:03}.png"), frame)
            cv2.imwrite(str(root / "labels" / split / f"{i:03}.png"), mask)
    return root
