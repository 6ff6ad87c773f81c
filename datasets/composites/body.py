"""A body with legs below a person whom a photograph cut off at the chest or the hips: crude, but of a person's shape."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[Any]
Rng = np.random.Generator
#: Widths at the cut, relative to the height above it, that shoulders or hips have.
_NARROWEST, _BUST, _WIDEST = 0.2, 0.75, 1.6


def completed(pixels: Pixels, region: Pixels, rng: Rng) -> tuple[Pixels, Pixels]:
    """Draws what is missing below: the rest of the clothes in their own pattern, and legs, walking or standing.

    Args:
        pixels: uint8 (h, w, 3), the person's box; its lower border is where the person was cut off.
        region: uint8 (h, w), 0 or 255.
        rng: Draws proportions, stance and colours.

    Returns:
        Both, higher and wider; as they were where the cut is neither as wide as shoulders nor as hips.
    """
    height = region.shape[0]
    last = np.flatnonzero(region[max(0, height - 4)] > 127)
    if last.size < 12:
        return pixels, region
    left, right = int(last[0]), int(last[-1]) + 1
    wide = right - left
    if not _NARROWEST <= wide / height <= _WIDEST:
        return pixels, region
    bust = wide / height > _BUST
    trunk = round(wide * (rng.uniform(0.7, 1.1) if bust else rng.uniform(0.05, 0.3)))
    legs = round(wide * rng.uniform(1.5, 2.3))
    pad = round(0.35 * wide)
    size = (height + trunk + legs, region.shape[1] + 2 * pad)
    image, drawn = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    centre = pad + (left + right) / 2
    _legs(image, drawn, centre, wide, height + trunk, legs, rng)
    corners = np.array([(-0.5, -4), (0.5, -4), (0.42, trunk + 0.1 * wide), (-0.42, trunk + 0.1 * wide)])
    shape = np.zeros(size, np.uint8)
    points = corners * (wide, 1) + (centre, height)
    cv2.fillPoly(shape, [points.round().astype(np.int32)], 255)
    below = shape > 0
    image[below], drawn[below] = _cloth(pixels, (left, right), size, height, pad, rng)[below], 255
    box = slice(0, height), slice(pad, pad + region.shape[1])
    above = region > 0
    image[box][above], drawn[box][above] = pixels[above], 255
    return image, drawn


def _cloth(pixels: Pixels, columns: tuple[int, int], size: tuple[int, int], top: int, pad: int, rng: Rng) -> Pixels:
    """The lowest rows of the person, mirrored again and again downwards, darker towards the sides."""
    rows = pixels[-max(6, min(pixels.shape[0] // 6, 60)) :]
    missing = size[0] - top + 4
    strip = np.concatenate([rows[::-1], rows] * (missing // (2 * len(rows)) + 1))[:missing]
    left, right = columns
    middle = cv2.resize(strip[:, left:right], (size[1], missing), interpolation=cv2.INTER_LINEAR)
    strip = np.concatenate((strip[:, :1].repeat(pad, 1), strip, strip[:, -1:].repeat(pad, 1)), axis=1)
    cloth = np.zeros((*size, 3), np.uint8)
    cloth[top - 4 :] = strip if rng.random() < 0.6 else middle
    return cloth


def _legs(image: Pixels, drawn: Pixels, centre: float, wide: int, top: int, length: int, rng: Rng) -> None:
    """Two legs with shoes, in trousers or below a skirt, from ``top`` down."""
    trousers = np.array([rng.integers(10, 90)] * 3) + rng.integers(-10, 40, 3)
    if rng.random() < 0.3:
        trousers = rng.integers(0, 230, 3)
    skin = np.array((110, 140, 190)) * rng.uniform(0.35, 1.15)
    skirt = rng.random() < 0.15
    step = rng.normal(0, 0.16)
    start = top - round(0.12 * wide)
    for side in (-1, 1):
        hip, knee = centre + side * 0.2 * wide, centre + (side * 0.19 + side * step * 0.5) * wide
        ankle = centre + (side * 0.16 + side * step * rng.uniform(0.6, 1.3)) * wide
        rows = (start, top + round(0.48 * length), top + round(0.93 * length))
        halves = (0.23 * wide, rng.uniform(0.12, 0.16) * wide, rng.uniform(0.07, 0.11) * wide)
        spine = list(zip((hip, knee, ankle), rows, halves, strict=True))
        outline = [(x - half, float(y)) for x, y, half in spine] + [(x + half, float(y)) for x, y, half in reversed(spine)]
        leg = np.zeros(drawn.shape, np.uint8)
        cv2.fillPoly(leg, [np.array(outline).round().astype(np.int32)], 255)
        shoe = (round(ankle + 0.06 * side * wide), rows[2]), (round(0.13 * wide), max(2, round(0.06 * length)))
        _fill(image, drawn, leg, skin if skirt else trousers, rng)
        leg[:] = 0
        cv2.ellipse(leg, *shoe, 0, 0, 360, 255, -1)
        _fill(image, drawn, leg, rng.integers(0, 120, 3), rng)
    if skirt:
        cloth = np.zeros(drawn.shape, np.uint8)
        hem = top + rng.uniform(0.3, 0.6) * length
        outline = [(centre - 0.42 * wide, float(start)), (centre + 0.42 * wide, float(start))]
        outline += [(centre + 0.5 * wide, hem), (centre - 0.5 * wide, hem)]
        cv2.fillPoly(cloth, [np.array(outline).round().astype(np.int32)], 255)
        _fill(image, drawn, cloth, trousers, rng)


def _fill(image: Pixels, drawn: Pixels, shape: Pixels, colour: Pixels, rng: Rng) -> None:
    """One colour with soft folds, lighter on one side."""
    inside = shape > 0
    if not inside.any():
        return
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    size = box[0].stop - box[0].start, box[1].stop - box[1].start
    coarse = rng.normal(0, 14, (max(2, size[0] // 12), max(2, size[1] // 8))).astype(np.float32)
    folds = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    light = np.linspace(-1, 1, size[1], dtype=np.float32) * rng.normal(0, 18)
    shaded = np.clip(np.asarray(colour, np.float32) + (folds + light)[..., None], 0, 255).astype(np.uint8)
    image[box][inside[box]] = shaded[inside[box]]
    drawn[inside] = 255
