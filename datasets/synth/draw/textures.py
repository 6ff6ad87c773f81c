"""Noise, masonry, light and the colours that classes share.

Classes share their colours on purpose: brick on buildings and on pavements, one palette for doors, cars, clothes and signs,
greens for trees and fences, greys for everything. What tells classes apart is texture, shape and place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import F32, U8

Rng = np.random.Generator
BGR = tuple[float, float, float]

# Named only for the reader; every class draws from these (BGR).
PAINTS: tuple[BGR, ...] = (
    (38, 36, 36), (62, 60, 58), (95, 94, 92), (140, 140, 138), (188, 190, 190), (225, 228, 228),  # black to white
    (40, 38, 150), (35, 50, 110), (110, 55, 30), (150, 95, 45), (50, 85, 45), (45, 120, 75), (60, 150, 190),
    (30, 105, 175), (120, 150, 175), (60, 75, 105), (90, 110, 120), (160, 165, 120),
)  # fmt: skip
WALLS: tuple[BGR, ...] = (
    (66, 78, 135), (80, 100, 150), (90, 125, 160), (120, 160, 185), (150, 178, 195), (165, 175, 180), (120, 124, 126),
    (95, 98, 102), (200, 208, 212), (150, 150, 140), (105, 120, 110), (75, 85, 100),
)  # fmt: skip
LEAVES: tuple[BGR, ...] = (
    (30, 70, 48), (38, 85, 70), (45, 100, 85), (35, 60, 55), (45, 80, 95), (40, 85, 120), (50, 60, 60), (42, 62, 88),
)  # fmt: skip


def fractal(rng: Rng, size_hw: tuple[int, int], cell_px: float, octaves: int = 4, gain: float = 0.55) -> F32:
    """Smooth noise, float32 (h, w), mean 0, standard deviation 1; it tiles in both directions."""
    height, width = size_hw
    total = np.zeros(size_hw, np.float32)
    amplitude = 1.0
    for _ in range(octaves):
        rows, columns = max(2, round(height / cell_px)), max(2, round(width / cell_px))
        if rows > height or columns > width:
            break
        grid = rng.standard_normal((rows, columns), np.float32)
        # What np.pad with mode="wrap" does, at a fifth of its time.
        grid = grid[np.ix_(np.arange(-2, rows + 2) % rows, np.arange(-2, columns + 2) % columns)]
        # The padded grid is sampled at texel centres, so both ends continue into each other.
        scale = np.array([[columns / width, 0, 1.5 + 0.5 * columns / width], [0, rows / height, 1.5 + 0.5 * rows / height]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        layer = np.asarray(cv2.warpAffine(grid, scale, (width, height), flags=flags), np.float32)
        layer *= amplitude
        total += layer
        amplitude *= gain
        cell_px /= 2
    mean, deviation = total.mean(), total.std()
    total -= mean
    total /= deviation + 1e-6
    return total


def jitter(rng: Rng, colour: BGR, amount: float = 12.0) -> BGR:
    """A colour near another: common brightness and a little hue."""
    values = np.clip(np.array(colour) * rng.uniform(0.82, 1.18) + rng.normal(0, amount / 2, 3), 8, 245)
    return float(values[0]), float(values[1]), float(values[2])


def paint(rng: Rng) -> BGR:
    """A colour from the shared palette."""
    return jitter(rng, PAINTS[int(rng.integers(len(PAINTS)))])


def shade(colour: BGR, factor: float) -> BGR:
    """A colour made lighter or darker, clipped to 0..255."""
    b, g, r = (min(255.0, max(0.0, value * factor)) for value in colour)
    return b, g, r


def to_u8(image: npt.NDArray[np.floating]) -> U8:
    rounded = np.round(image)
    return np.asarray(np.clip(rounded, 0, 255, out=rounded), np.uint8)


def masonry(rng: Rng, size_hw: tuple[int, int], colour: BGR, brick_px: tuple[int, int], contrast: float) -> F32:
    """Bricks or slabs with joints: float32 (h, w, 3). ``brick_px`` is (height, width)."""
    height, width = size_hw
    brick_h, brick_w = brick_px
    rows = -(-height // brick_h)
    # Every other row is shifted by half a brick.
    shifted = [(np.arange(width) + offset) % width for offset in (0, brick_w // 2)]
    shape = (rows, (width - 1) // brick_w + 1)
    tone = rng.standard_normal((*shape, 1), np.float32) + rng.standard_normal((*shape, 3), np.float32) / 3
    table = (1 + np.float32(contrast) * tone) * np.array(colour, np.float32)
    joint = (np.array(colour, np.float32) * (1.16 if rng.random() < 0.5 else 0.78)).astype(np.float32)
    lines = np.empty((rows, width, 3), np.float32)  # one line of pixels for each row of bricks
    for parity, columns in enumerate(shifted):
        line = table[parity::2].take(columns // brick_w, axis=1)
        line[:, columns % brick_w == 0] = joint
        lines[parity::2] = line
    wall = np.repeat(lines, brick_h, axis=0)[:height]
    wall[::brick_h] = joint
    return wall


def in_colour(factor: F32, colour: npt.NDArray[np.floating[Any]]) -> F32:
    """An image of one colour, lighter and darker: float32 (h, w) times float32 (3,) → float32 (h, w, 3)."""
    return np.asarray(cv2.merge([factor * value for value in colour]), np.float32)


def dye(image: F32, factor: npt.NDArray[np.floating[Any]]) -> None:
    """Multiplies each pixel of an image by a factor, in place: float32 (h, w, 3) by float32 (h, w).

    The same as ``image *= factor[..., None]``, without NumPy's slow loop over three channels.
    """
    image *= cv2.merge([factor, factor, factor])


@dataclass(frozen=True)
class Light:
    """Light of one scene: direction of the sun over the ground (radians from +Z towards +X), its strength 0..1, how many
    windows are lit."""

    azimuth: float
    sun: float
    lit: float

    def on(self, x: float, y: float, z: float) -> float:
        """Brightness of a surface of this normal, about 0.55 to 1.25."""
        facing = 0.62 * (np.sin(self.azimuth) * x + np.cos(self.azimuth) * z) + 0.78 * y
        return float(0.84 - 0.22 * self.sun + 0.10 * y + 0.55 * self.sun * max(0.0, facing))
