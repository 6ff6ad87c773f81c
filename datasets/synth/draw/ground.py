"""The ground: road with markings, kerb, pavement, grass, and the shadows on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import F32, U8, GroundBand, with_fourth
from .textures import BGR, LEAVES, WALLS, Light, Rng, dye, fractal, in_colour, jitter, masonry, to_u8

ROAD, PAVEMENT, VEGETATION = 3, 4, 5


@dataclass(frozen=True)
class Street:
    """Cross-section of the street, metres from its centre line; ``driving`` is +1 where cars keep right, -1 left."""

    half_road: float
    pavement: float
    lane: float
    driving: int

    @property
    def edge(self) -> float:
        """Outer edge of the pavement."""
        return self.half_road + self.pavement


#: Length after which the ground's image repeats, metres.
PERIOD = 48.0
_HALF_WIDTH = 14.0
_PX = 32
# (texels per metre along X, along Z, used up to this depth): foreshortening shrinks Z much faster than X.
_BANDS = ((32, 32, 5.5), (32, 16, 9.0), (32, 6, 16.0), (16, 2, 32.0), (8, 1, 70.0), (4, 0.25, 400.0))


def ground_bands(rng: Rng, street: Street, light: Light, wet: bool) -> list[GroundBand]:
    """The ground in six resolutions, finest first."""
    bgr, label = _surface(rng, street, light, wet)
    bands = []
    for px_x, px_z, until in _BANDS:
        size = (round(2 * _HALF_WIDTH * px_x), max(2, round(PERIOD * px_z)))
        colours = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Road, pavement and vegetation have consecutive numbers and lie side by side in this order, so interpolating their
        # numbers between two neighbours gives one of the two.
        classes = np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        period = with_fourth(colours, classes)
        rows = round((PERIOD + until + 2) * px_z)
        repeated = np.ascontiguousarray(np.concatenate([period] * (rows // size[1] + 1))[:rows])
        bands.append(GroundBand(repeated, -_HALF_WIDTH, (2 * _HALF_WIDTH, rows / px_z), until))
    return bands


def _surface(rng: Rng, street: Street, light: Light, wet: bool) -> tuple[U8, U8]:
    height, width = round(PERIOD * _PX), round(2 * _HALF_WIDTH * _PX)
    x = np.asarray((np.arange(width) + 0.5) / _PX - _HALF_WIDTH, np.float32)
    away: F32 = np.abs(x)
    # Asphalt: a mottled grey with tyre tracks, patches, cracks and markings.
    tone = rng.uniform(62, 125)
    tint = np.array((1.0, 1.0, 1.0) + rng.normal(0, 0.03, 3), np.float32)
    asphalt = 1 + 0.06 * fractal(rng, (height, width), 90) + 0.045 * rng.standard_normal((height, width), np.float32)
    tracks = np.abs(np.abs(away - street.lane / 2) - 0.75)
    asphalt *= (1 - 0.09 * np.exp(-((tracks / 0.28) ** 2)))[None, :]
    ground = in_colour(asphalt, tone * tint)
    for _ in range(int(rng.integers(2, 7))):
        cx, cz = rng.uniform(-street.half_road, street.half_road), rng.uniform(0, PERIOD)
        w, h = rng.uniform(0.5, 1.8), rng.uniform(0.8, 6.0)
        _rect(ground, cx - w / 2, cz, cx + w / 2, min(cz + h, PERIOD - 0.1), factor=rng.uniform(0.72, 1.15))
    for _ in range(int(rng.integers(3, 9))):
        points = np.cumsum(rng.normal(0, 9, (24, 2)), 0) + (rng.uniform(0.25, 0.75) * width, rng.uniform(0.1, 0.9) * height)
        cv2.polylines(ground, [points.astype(np.int32)], False, (tone * 0.55,) * 3, 1 + int(rng.integers(2)))
    _markings(rng, ground, street)
    outer, grass = away >= street.half_road, away >= street.edge
    paved = outer & ~grass
    _fill(ground, paved, _paving(rng, (height, int(paved.sum())), tone * tint))
    kerb = outer & (away < street.half_road + 0.22)
    stone = np.array(jitter(rng, (150, 152, 152)), np.float32)
    ground[:, kerb] = stone * (1 + 0.06 * rng.standard_normal((height, 1, 1), np.float32))
    ground[:, (away > street.half_road - 0.12) & ~outer] *= 0.68  # gutter
    ground[:, (away > street.half_road + 0.2) & (away < street.half_road + 0.26)] *= 0.7
    lawn = fractal(rng, (height, int(grass.sum())), 20, 5, 0.8)
    green = np.array(LEAVES[int(rng.integers(3))], np.float32) * np.float32(rng.uniform(1.0, 1.5))
    _fill(ground, grass, in_colour(1 + 0.22 * lawn, green))
    _shadows(rng, ground, light, away, x, street)
    ground *= light.on(0, 1, 0) * (0.72 if wet else 1.0)
    label = np.full((height, width), ROAD, np.uint8)
    label[:, outer] = PAVEMENT
    label[:, grass] = VEGETATION
    return to_u8(ground), label


def _fill(ground: F32, columns: npt.NDArray[np.bool_], values: F32) -> None:
    """``ground[:, columns] = values``, run by run: the columns on both sides of the street are two or three runs."""
    ends = np.flatnonzero(np.diff(np.concatenate([[False], columns, [False]]).astype(np.int8))).reshape(-1, 2)
    start = 0
    for left, right in ends.tolist():
        ground[:, left:right] = values[:, start : start + right - left]
        start += right - left


def _paving(rng: Rng, size_hw: tuple[int, int], asphalt: F32) -> F32:
    """Pavement: asphalt like the road's, slabs, or bricks in the colours of the walls."""
    kind = rng.choice(["asphalt", "slabs", "brick"])
    if kind == "asphalt":
        grain = np.float32(rng.uniform(0.9, 1.35)) * (1 + 0.055 * rng.standard_normal(size_hw, np.float32))
        grain[np.arange(size_hw[0]) % (4 * _PX) < 2] *= 0.7
        paving = in_colour(grain, asphalt)
    elif kind == "slabs":
        paving = masonry(rng, size_hw, jitter(rng, (138, 142, 145)), (16, 24), 0.06)
    else:
        paving = masonry(rng, size_hw, jitter(rng, WALLS[int(rng.integers(len(WALLS)))]), (6, 12), 0.09)
    dye(paving, 1 + 0.05 * fractal(rng, size_hw, 70))
    return paving


def _shadows(rng: Rng, ground: F32, light: Light, away: F32, x: F32, street: Street) -> None:
    if light.sun < 0.2:
        ground *= (1 - 0.22 * np.clip((away - street.edge + 2) / 3, 0, 1))[None, :, None]
        return
    height = ground.shape[0]
    # Houses on the sun's side throw a shadow with the outline of their roofs; its edge is soft.
    side = np.sign(np.sin(light.azimuth)) or 1.0
    reach = rng.uniform(0.0, 1.0) * (street.edge + street.half_road)
    outline = np.repeat(rng.uniform(-1.6, 1.6, 6), -(-height // 6))[:height].astype(np.float32)
    edge = street.edge - reach + outline
    inside = np.clip((x[None, :] * side - edge[:, None]) / 0.25, 0, 1)
    dapple = np.clip((fractal(rng, (height // 4, ground.shape[1] // 4), 12, 3) - 0.9) * 4, 0, 1) * (rng.random() < 0.5)
    leaves = np.asarray(cv2.resize(dapple, (ground.shape[1], height)), np.float32)
    dye(ground, 1 - 0.42 * light.sun * np.maximum(inside, 0.8 * leaves))


def _markings(rng: Rng, ground: F32, street: Street) -> None:
    white = rng.uniform(0.8, 1.0) * np.array((205, 210, 212))
    colour: BGR = (float(white[0]), float(white[1]), float(white[2]))
    dash, gap = float(rng.choice([2.0, 3.0, 4.0])), float(rng.choice([4.0, 5.0, 8.0]))
    step = PERIOD / max(1, round(PERIOD / (dash + gap)))
    for i in range(round(PERIOD / step)):
        _rect(ground, -0.07, i * step, 0.07, i * step + dash, colour)
    if rng.random() < 0.5:
        yellow = jitter(rng, (60, 170, 200)) if rng.random() < 0.5 else colour
        for side in (-1, 1):
            at = side * (street.half_road - 0.35)
            _rect(ground, at - 0.05, 0, at + 0.05, PERIOD, yellow)
    if street.half_road - street.lane > 1.5 and rng.random() < 0.7:
        for side in (-1, 1):
            at = side * street.lane
            for i in range(int(PERIOD / 6)):
                _rect(ground, at - 0.05, i * 6.0, at + 0.05, i * 6.0 + 4.2, colour)
    if rng.random() < 0.5:
        start = rng.uniform(4, PERIOD - 8)
        for at in np.arange(-street.half_road + 0.4, street.half_road - 0.4, 1.0):
            _rect(ground, float(at), start, float(at) + 0.5, start + 3.0, colour)


def _rect(ground: F32, x0: float, z0: float, x1: float, z1: float, colour: BGR | None = None, factor: float = 1.0) -> None:
    columns = slice(max(0, round((x0 + _HALF_WIDTH) * _PX)), max(0, round((x1 + _HALF_WIDTH) * _PX)))
    rows = slice(round(z0 * _PX), round(z1 * _PX))
    region = ground[rows, columns]
    if colour is None:
        region *= factor
        return
    wear = region.mean(2, keepdims=True) / max(float(region.mean()), 1.0) if region.size else 1.0
    region[:] = 0.15 * region + 0.85 * np.array(colour, np.float32) * wear
