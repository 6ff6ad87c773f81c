"""Frames to measure with. Their content matters: post-processing is fast where neighbouring pixels have the same class.

A black frame gives one class nearly everywhere, and noise gives another class at every pixel. A street is in between.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...datasets.dataset import SegDataset, read_image
from ...runtime.frame import kernels

Frame = npt.NDArray[np.uint8]

#: Number of different frames in the cycle of a measurement.
COUNT = 8


def dataset_frames(dataset: SegDataset, size_hw: tuple[int, int], count: int = COUNT) -> list[Frame]:
    """Up to ``count`` images, evenly spaced over a split and stretched to ``size_hw``: uint8 (H, W, 3) each.

    Raises:
        DataError: an image can't be read.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
    images = (read_image(dataset.images[i]) for i in chosen)
    return [image if image.shape[:2] == size_hw else kernels.resize(image, size_hw) for image in images]


def generated_frames(size_hw: tuple[int, int], count: int = COUNT, seed: int = 0) -> list[Frame]:
    """Drawn streets, all different: uint8 (H, W, 3) each, the same for the same arguments.

    They show sky, houses with windows, trees, pavements, and a road with cars, people and poles, with uneven light,
    slight blur and sensor noise.
    """
    rng = np.random.default_rng(seed)
    return [_street(size_hw, rng) for _ in range(count)]


def _street(size_hw: tuple[int, int], rng: np.random.Generator) -> Frame:
    height, width = size_hw
    horizon = int(height * rng.uniform(0.38, 0.5))
    sky = np.linspace((225, 180, 130), (235, 225, 215), height)[:, None].repeat(width, 1)
    frame: Frame = np.ascontiguousarray(sky * rng.uniform(0.75, 1.05)).clip(0, 255).astype(np.uint8)
    _houses(frame, horizon, rng)
    frame[horizon:] = rng.integers(120, 160, 3)  # pavement
    middle = int(width * rng.uniform(0.4, 0.6))
    corners = [
        (middle - width // 40, horizon),
        (middle + width // 40, horizon),
        (int(width * 0.95), height),
        (int(width * 0.05), height),
    ]
    cv2.fillPoly(frame, [np.array(corners, np.int32)], _colour(rng, 70, 95, grey=True))
    for _ in range(rng.integers(4, 9)):
        _tree(frame, horizon, rng)
    for kind in rng.permutation(["car"] * int(rng.integers(3, 8)) + ["person"] * int(rng.integers(2, 7)) + ["pole"] * 4):
        _thing(frame, str(kind), horizon, rng)
    light = cv2.resize(rng.uniform(0.7, 1.15, (3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, 4, (height, width, 1)).astype(np.float32)
    lit = np.asarray(cv2.GaussianBlur(frame, (3, 3), 0), np.float32) * light[..., None] + noise
    return np.ascontiguousarray(lit.clip(0, 255).astype(np.uint8))


def _houses(frame: Frame, horizon: int, rng: np.random.Generator) -> None:
    height, width = frame.shape[:2]
    left = 0
    while left < width:
        right = left + max(2, int(width * rng.uniform(0.08, 0.22)))
        top = int(horizon * rng.uniform(0.05, 0.75))
        frame[top:horizon, left:right] = _colour(rng, 60, 190)
        step = max(3, height // 22)
        window = _colour(rng, 30, 90)
        for y in range(top + step // 2, horizon - step // 2, step):
            for x in range(left + step // 2, min(right, width) - step // 2, step):
                frame[y : y + step // 2, x : x + step // 2] = window
        left = right


def _tree(frame: Frame, horizon: int, rng: np.random.Generator) -> None:
    height, width = frame.shape[:2]
    x, radius = int(rng.uniform(0, width)), max(1, int(height * rng.uniform(0.03, 0.11)))
    trunk = max(1, radius // 6)
    cv2.rectangle(frame, (x - trunk, horizon - radius * 2), (x + trunk, horizon + radius // 2), (40, 60, 80), -1)
    for _ in range(12):  # leaves: a rough outline
        dx, dy = rng.normal(0, radius * 0.5, 2).astype(int)
        leaf = (int(rng.integers(20, 60)), int(rng.integers(80, 140)), int(rng.integers(30, 80)))
        cv2.circle(frame, (x + int(dx), horizon - radius * 2 + int(dy)), max(1, radius // 2), leaf, -1)


def _thing(frame: Frame, kind: str, horizon: int, rng: np.random.Generator) -> None:
    height, width = frame.shape[:2]
    foot = int(rng.uniform(horizon + 0.03 * height, 0.9 * height))
    x = int(rng.uniform(0.1, 0.9) * width)
    size = max(3, int((foot - horizon) * rng.uniform(0.5, 0.9)))  # objects lower in the image are nearer and larger
    colour = _colour(rng, 20, 230)
    if kind == "car":
        cv2.rectangle(frame, (x - size, foot - size // 2), (x + size, foot), colour, -1)
        cv2.rectangle(frame, (x - size // 2, foot - size), (x + size // 2, foot - size // 2), _colour(rng, 40, 80), -1)
        for wheel in (x - size // 2, x + size // 2):
            cv2.circle(frame, (wheel, foot), max(1, size // 5), (20, 20, 20), -1)
    elif kind == "person":
        cv2.ellipse(frame, (x, foot - size), (max(1, size // 4), size), 0, 0, 360, colour, -1)
        cv2.circle(frame, (x, foot - 2 * size), max(1, size // 4), (120, 150, 200), -1)
    else:
        cv2.line(frame, (x, foot), (x, max(0, foot - 5 * size)), (90, 90, 90), max(1, size // 12))


def _colour(rng: np.random.Generator, low: int, high: int, grey: bool = False) -> tuple[int, int, int]:
    values = [int(rng.integers(low, high))] * 3 if grey else [int(value) for value in rng.integers(low, high, 3)]
    return values[0], values[1], values[2]
