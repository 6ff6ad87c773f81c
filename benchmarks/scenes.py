"""Scenes whose true classes are known, for the videos of other benchmarks: photographs of CamVid, or generated streets."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seg_edge.datasets import open_dataset, synthesize
from seg_edge.datasets.synth.options import SynthOptions
from seg_edge.runtime.instances import components

CAMVID = Path(__file__).parents[2] / "shared" / "data" / "camvid"
VOID = 255
#: An image, int16 (H, W, 3), and its true classes, uint8 (H, W), in a model's numbers.
Scene = tuple[Any, Any]


def scenes(camvid: Path | None, names: tuple[str, ...], size_hw: tuple[int, int], every: int = 8) -> tuple[list[Scene], str]:
    """Scenes, enlarged to a size, and where they are from.

    Args:
        camvid: The data set; every n-th image of its val split is taken. None, or a folder that is missing: generated ones.
        names: Classes of the model; other ones become void.
        size_hw: Height and width.
    """
    if camvid is not None and camvid.is_dir():
        return _read(camvid, "val", names, size_hw, every), "CamVid, val split"
    with tempfile.TemporaryDirectory() as folder:
        made = synthesize(Path(folder) / "streets", SynthOptions(train=12, val=1, size_hw=(360, 480), seed=5))
        return _read(Path(made.data), "train", names, size_hw, 1), "seg-edge data synth"


def _read(root: Path, split: str, names: tuple[str, ...], size_hw: tuple[int, int], every: int) -> list[Scene]:
    numbers = np.full(256, VOID, np.uint8)
    for number, name in enumerate(open_dataset(root, split).labels.names):
        if name in names:
            numbers[number] = names.index(name)
    found = []
    for file in sorted((root / "images" / split).iterdir())[::every]:
        image = cv2.imread(str(file))
        mask = cv2.imread(str(root / "labels" / split / f"{file.stem}.png"), cv2.IMREAD_UNCHANGED)
        assert image is not None
        assert mask is not None
        large = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_CUBIC).astype(np.int16)
        found.append((large, cv2.resize(numbers[mask], size_hw[::-1], interpolation=cv2.INTER_NEAREST)))
    return found


def car_of(found: list[Scene], number: int) -> tuple[Any, Any]:
    """The largest car below a tenth of the frame: its pixels, and which of them are the car's."""
    best: tuple[int, Any, Any] | None = None
    for image, mask in found:
        cars = components(mask, number)
        for index in range(len(cars)):
            area = int(cars.area[index])
            if area < 0.1 * mask.size and (best is None or area > best[0]):
                left, top, right, bottom = cars.boxes[index]
                best = area, image[top:bottom, left:right], cars.mask(index)[top:bottom, left:right]
    if best is None:
        raise SystemExit("scenes.py: there is no car in the scenes")
    return best[1], best[2]


def with_car(scene: Scene, car: tuple[Any, Any], place: float, number: int) -> Scene:
    """A scene past which a car drives: ``place`` is 0 at its left edge and 1 at its right one."""
    pixels, inside = car
    height, width = pixels.shape[:2]
    image, mask = scene[0].copy(), scene[1].copy()
    x, y = round(place * (mask.shape[1] - width)), min(mask.shape[0] - height, round(0.54 * mask.shape[0]))
    image[y : y + height, x : x + width][inside] = pixels[inside]
    mask[y : y + height, x : x + width][inside] = number
    return image, mask
