"""One composite image: a background, things on it from far to near, objects that are none of them, one camera over all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ..imagefiles.pixels import read_image
from .body import completed
from .light import blurred, matched, photographed, varied
from .options import ComposeOptions
from .pool import Pool

Pixels = npt.NDArray[Any]
Rng = np.random.Generator
#: Things are enlarged at most by this factor: beyond it they are only blur.
_LARGEST_ZOOM = 2.6


@dataclass(frozen=True)
class Layer:
    """Something to paste.

    Attributes:
        pixels: uint8 (h, w, 3).
        alpha: Its region, uint8 (h, w), 0 to 255.
    """

    pixels: Pixels
    alpha: Pixels


def compose_one(pool: Pool, options: ComposeOptions, rng: Rng) -> tuple[Pixels, Pixels]:
    """Draws an image and its labels: uint8 (H, W, 3) BGR and uint8 (H, W), both of ``options.size_hw``."""
    kind = rng.random()
    if kind < options.plain and pool.photos:
        frame, mask = _plain(pool, options.size_hw, rng)
        return photographed(frame, rng), mask
    frame, mask = _ground(pool, options.size_hw, rng)
    if rng.random() < 0.25:
        frame = blurred(frame, rng.uniform(0.5, 3))
    for _ in range(rng.integers(0, 4)):
        paste(frame, mask, _object(pool, options.size_hw, rng), _anywhere(options.size_hw, rng), 0)
    if kind < options.plain + options.empty:
        return photographed(frame, rng), mask
    count = 1 + min(int(rng.geometric(0.55)) - 1, options.most - 1)
    sizes = np.sort(np.exp(rng.uniform(math.log(0.16), math.log(1.5), count)))
    for size in sizes:
        _add_thing(frame, mask, pool, options, float(size), rng)
    if rng.random() < 0.25:
        paste(frame, mask, _object(pool, options.size_hw, rng, 0.35), _anywhere(options.size_hw, rng), 0)
    return photographed(frame, rng), mask


def _ground(pool: Pool, size_hw: tuple[int, int], rng: Rng) -> tuple[Pixels, Pixels]:
    """A part of a photograph without things, or of what lies beside them."""
    kinds = [(len(pool.backgrounds), 0.45), (len(pool.empty), 0.25), (len(pool.sides), 0.3)]
    shares = np.array([share if count else 0.0 for count, share in kinds])
    kind = int(rng.choice(3, p=shares / shares.sum()))
    number = int(rng.integers(kinds[kind][0]))
    if kind == 0:
        frame = read_image(pool.backgrounds[number])
        mask = np.zeros(frame.shape[:2], np.uint8)
    elif kind == 1:
        frame, mask = pool.read(pool.empty[number])
    else:
        side = pool.sides[number]
        frame, mask = (image[:, slice(*side.columns)] for image in pool.read(side.photo))
        # As wide as an image again: what lies beside people is mostly higher than wide.
        while frame.shape[1] < 0.8 * frame.shape[0]:
            frame, mask = (np.concatenate((image, image[:, ::-1]), axis=1) for image in (frame, mask))
    frame, mask = _part(frame, mask, size_hw, rng, least=0.35)
    return varied(frame, rng), mask


def _plain(pool: Pool, size_hw: tuple[int, int], rng: Rng) -> tuple[Pixels, Pixels]:
    frame, mask = pool.read(pool.photos[int(rng.integers(len(pool.photos)))])
    return _part(frame, mask, size_hw, rng, least=0.5)


def _part(frame: Pixels, mask: Pixels, size_hw: tuple[int, int], rng: Rng, least: float) -> tuple[Pixels, Pixels]:
    """A random rectangle, ``least`` to all of each side, not stretched by more than a third, mirrored half of the time."""
    height, width = mask.shape
    aspect = size_hw[1] / size_hw[0] * math.exp(rng.uniform(-0.28, 0.28))
    high = min(height, width / aspect) * rng.uniform(least, 1)
    high, wide = max(1, round(high)), max(1, min(width, round(high * aspect)))
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    box = slice(top, top + high), slice(left, left + wide)
    small = high > size_hw[0]
    image = cv2.resize(frame[box], size_hw[::-1], interpolation=cv2.INTER_AREA if small else cv2.INTER_LINEAR)
    labels = cv2.resize(mask[box], size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    if rng.random() < 0.5:
        image, labels = cv2.flip(image, 1), cv2.flip(labels, 1)
    return image, labels


def _add_thing(frame: Pixels, mask: Pixels, pool: Pool, options: ComposeOptions, size: float, rng: Rng) -> None:
    """Pastes a random thing that is ``size`` times as high as the image."""
    height, width = mask.shape
    cutout = pool.cutouts[int(rng.integers(len(pool.cutouts)))]
    cut_top, cut_bottom, cut_left, cut_right = cutout.cut
    pixels, region = pool.cut(cutout)
    if cut_bottom and not cut_top and rng.random() < options.bodies:
        pixels, region, cut_bottom = *completed(pixels, region, rng), False
        size = max(size, 0.3)
    whole = not (cut_top or cut_bottom or cut_left or cut_right)
    layer = _turned(pixels, region, whole, size * height, rng)
    high, wide = layer.alpha.shape
    if rng.random() < 0.5:
        layer = Layer(cv2.flip(layer.pixels, 1), cv2.flip(layer.alpha, 1))
        cut_left, cut_right = cut_right, cut_left
    left = int(rng.integers(-wide // 3, max(1, width - wide + wide // 3)))
    if cut_left != cut_right and rng.random() < 0.7:
        left = -int(rng.integers(0, 3)) if cut_left else width - wide + int(rng.integers(0, 3))
    hidden = False
    if cut_bottom:
        hidden = high < 0.9 * height and rng.random() < 0.4
        top = height - high + int(rng.integers(0, max(1, high // 4)))
        if hidden:
            top = int(rng.integers(0, max(1, height - high)))
    else:
        lowest = height - high
        top = lowest - int(rng.integers(0, max(1, lowest))) if lowest > 0 else int(rng.integers(lowest, 1))
        if rng.random() < 0.15:  # the feet outside
            top = height - int(high * rng.uniform(0.4, 1))
    if cut_top:
        top = min(top, 0)
    paste(frame, mask, layer, (top, left), cutout.label, match=rng.uniform(0, 0.55))
    if hidden:
        _hide(frame, mask, pool, (top + high, left, wide), rng)


def _turned(pixels: Pixels, region: Pixels, whole: bool, high: float, rng: Rng) -> Layer:
    """A thing at about ``high`` pixels, a little stretched and, if it is whole, turned, with soft edges."""
    zoom = min(high / region.shape[0], _LARGEST_ZOOM)
    stretch = math.exp(rng.uniform(-0.15, 0.15))
    rows, columns = max(8, round(region.shape[0] * zoom)), max(8, round(region.shape[1] * zoom * stretch))
    way = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(pixels, (columns, rows), interpolation=way)
    # The region shrinks by about half a pixel: the outermost ones are partly background.
    region = cv2.resize(region, (columns, rows), interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR)
    if zoom > 0.5:
        region = cv2.erode(region, np.ones((3, 3), np.uint8))
    if whole and rng.random() < 0.4:
        turn = cv2.getRotationMatrix2D((columns / 2, rows / 2), rng.normal(0, 7), 1)
        pixels = cv2.warpAffine(pixels, turn, (columns, rows), borderMode=cv2.BORDER_REPLICATE)
        region = cv2.warpAffine(region, turn, (columns, rows))
    soft = blurred(region, rng.uniform(0.4, 1.2) if zoom > 0.3 else 0.4)
    if rng.random() < 0.2:
        pixels = blurred(pixels, rng.uniform(0.3, 1.5))
    return Layer(varied(pixels, rng, 0.8), soft)


def _object(pool: Pool, size_hw: tuple[int, int], rng: Rng, largest: float = 0.6) -> Layer:
    """Something that is none of the things, cut out like them: a blob, a box or a slab of another background."""
    height, width = size_hw
    pixels, _ = _ground(pool, size_hw, rng)
    high, wide = (max(6, int(side * math.exp(rng.uniform(math.log(0.06), math.log(largest))))) for side in size_hw)
    region = np.zeros((high, wide), np.uint8)
    shape = rng.random()
    if shape < 0.35:
        region[1:-1, 1:-1] = 255
    elif shape < 0.55:
        cv2.ellipse(region, (wide // 2, high // 2), (wide // 2 - 1, high // 2 - 1), 0, 0, 360, 255, -1)
    else:
        angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(5, 12)))
        radius = rng.uniform(0.35, 1, angles.size)
        points = np.stack([wide / 2 * (1 + radius * np.cos(angles)), high / 2 * (1 + radius * np.sin(angles))], 1)
        cv2.fillPoly(region, [points.astype(np.int32)], 255)
        if shape > 0.75:
            region = np.where(blurred(region, min(high, wide) / 8) > 110, np.uint8(255), np.uint8(0))
    top, left = int(rng.integers(height - high + 1)), int(rng.integers(width - wide + 1))
    patch = pixels[top : top + high, left : left + wide]
    if rng.random() < 0.3:  # of one colour, as cloth and furniture are
        patch = cv2.addWeighted(patch, 0.25, np.full_like(patch, rng.integers(0, 256, 3)), 0.75, 0)
    return Layer(varied(patch, rng, 1.2), blurred(region, rng.uniform(0.4, 1.2)))


def _hide(frame: Pixels, mask: Pixels, pool: Pool, below: tuple[int, int, int], rng: Rng) -> None:
    """A slab in front of where a thing was cut off: a desk, a wall, a car."""
    height, width = mask.shape
    bottom, left, wide = below
    pixels, _ = _ground(pool, (height, width), rng)
    top = max(0, bottom - int(rng.integers(2, max(3, height // 8))))
    first = max(0, left - int(rng.integers(2, max(3, wide))))
    last = min(width, left + wide + int(rng.integers(2, max(3, wide))))
    end = height if rng.random() < 0.7 else min(height, bottom + int(rng.integers(8, 60)))
    if end - top < 3 or last - first < 3:
        return
    patch = pixels[top:end, first:last]
    if rng.random() < 0.5:
        patch = cv2.addWeighted(patch, 0.3, np.full_like(patch, rng.integers(0, 256, 3)), 0.7, 0)
    region = np.zeros(patch.shape[:2], np.uint8)
    region[1:] = 255
    paste(frame, mask, Layer(patch, blurred(region, 0.6)), (top, first), 0)


def _anywhere(size_hw: tuple[int, int], rng: Rng) -> tuple[int, int]:
    return int(rng.integers(-size_hw[0] // 8, size_hw[0])), int(rng.integers(-size_hw[1] // 8, size_hw[1]))


def paste(frame: Pixels, mask: Pixels, layer: Layer, at: tuple[int, int], label: int, match: float = 0.0) -> None:
    """Blends a layer in, in place: its top left pixel comes to ``at``, which may lie outside."""
    height, width = mask.shape
    (top, left), (high, wide) = at, layer.alpha.shape
    rows, columns = slice(max(0, top), min(height, top + high)), slice(max(0, left), min(width, left + wide))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    own = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    alpha = layer.alpha[own].astype(np.float32) / 255
    below = frame[rows, columns]
    pixels = matched(layer.pixels[own], alpha, below, match)
    mixed = below + alpha[..., None] * (pixels.astype(np.float32) - below)
    frame[rows, columns] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    mask[rows, columns][alpha >= 0.5] = label
