"""Surfaces: noise, shared colours, facades and the ground.

Classes share their colours on purpose: brick on buildings and on pavements, one palette for doors, cars, clothes and signs,
greens for trees and fences, greys for everything. What tells classes apart is texture, shape and place.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .canvas import F32, U8, GroundBand

Rng = np.random.Generator
BGR = tuple[float, float, float]

ROAD, PAVEMENT, VEGETATION = 3, 4, 5

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
        grid = np.pad(rng.standard_normal((rows, columns), np.float32), 2, mode="wrap")
        # The padded grid is sampled at texel centres, so both ends continue into each other.
        scale = np.array([[columns / width, 0, 1.5 + 0.5 * columns / width], [0, rows / height, 1.5 + 0.5 * rows / height]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        total += amplitude * np.asarray(cv2.warpAffine(grid, scale, (width, height), flags=flags), np.float32)
        amplitude *= gain
        cell_px /= 2
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


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
    return np.asarray(np.clip(np.round(image), 0, 255), np.uint8)


def masonry(rng: Rng, size_hw: tuple[int, int], colour: BGR, brick_px: tuple[int, int], contrast: float) -> F32:
    """Bricks or slabs with joints: float32 (h, w, 3). ``brick_px`` is (height, width)."""
    height, width = size_hw
    brick_h, brick_w = brick_px
    rows, columns = np.arange(height) // brick_h, np.arange(width)
    shifted = (columns[None, :] + (rows[:, None] % 2) * (brick_w // 2)) % width
    across = shifted // brick_w
    tone = rng.normal(0, contrast, (rows.max() + 1, across.max() + 1)).astype(np.float32)
    hue = rng.normal(0, contrast / 3, (rows.max() + 1, across.max() + 1, 3)).astype(np.float32)
    value = 1 + tone[rows[:, None], across][..., None] + hue[rows[:, None], across]
    joint = (np.arange(height) % brick_h == 0)[:, None] | (shifted % brick_w == 0)
    value[joint] = 1.0 + (0.16 if rng.random() < 0.5 else -0.22)
    return np.asarray(value * np.array(colour, np.float32), np.float32)


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


@dataclass(frozen=True)
class FacadeStyle:
    """What repeats over one building: wall, windows, floors."""

    wall: BGR
    kind: str
    window_wh: tuple[float, float]
    spacing_m: float
    frame: BGR
    shop: bool
    roof_m: float
    roof: BGR
    px_per_m: int

    @classmethod
    def draw(cls, rng: Rng, urban: bool) -> FacadeStyle:
        wall = jitter(rng, WALLS[int(rng.integers(len(WALLS)))]) if rng.random() < 0.85 else paint(rng)
        width = rng.uniform(0.8, 1.5)
        return cls(
            wall=wall,
            kind=str(rng.choice(["brick", "brick", "stucco", "panel"])),
            window_wh=(width, rng.uniform(1.2, 1.9)),
            spacing_m=width + rng.uniform(0.6, 1.6),
            frame=jitter(rng, (225, 228, 228)) if rng.random() < 0.6 else paint(rng),
            shop=bool(rng.random() < (0.6 if urban else 0.12)),
            roof_m=float(rng.choice([0.0, 0.4, 1.6, 2.4])),
            roof=jitter(rng, [(60, 62, 72), (52, 60, 98), (88, 88, 88)][int(rng.integers(3))]),
            px_per_m=22,
        )


def facade(
    rng: Rng, style: FacadeStyle, width_m: float, height_m: float, light: Light, brightness: float, blank: bool = False
) -> U8:
    """A building's front (or, blank, its side wall): uint8 (h, w, 3), top row = roof."""
    px = style.px_per_m
    height, width = max(8, round(height_m * px)), max(8, round(width_m * px))
    wall = _wall(rng, style, (height, width))
    roof = round(style.roof_m * px)
    dark: BGR = shade(style.wall, 0.55)
    floors = max(1, int((height_m - style.roof_m - 0.3) / 3.0))
    lamps: list[tuple[int, int, int, int]] = []
    for floor in range(floors):
        sill_y = height - round((floor * 3.0 + (0.9 if floor else 1.0)) * px)
        if floor == 0 and not blank:
            _ground_floor(rng, wall, style, height, px, lamps)
            continue
        count = max(1, int((width_m - 0.6) / style.spacing_m))
        if blank:
            count = int(rng.integers(0, 3))
        pitch = width_m / max(count, 1)
        for i in range(count):
            x = round(((i + 0.5) * pitch - style.window_wh[0] / 2) * px)
            _window(rng, wall, x, sill_y, round(style.window_wh[0] * px), round(style.window_wh[1] * px), style, lamps)
    if style.kind == "panel" and not blank:
        for floor in range(1, floors + 1):
            y = height - round(floor * 3.0 * px)
            cv2.rectangle(wall, (0, y - 3), (width, y), dark, -1)
    if roof:
        tiles = masonry(rng, (roof, width), style.roof, (5, 7), 0.10)
        wall[:roof] = tiles * (0.8 + 0.4 * np.linspace(0, 1, roof, dtype=np.float32))[:, None, None]
        cv2.line(wall, (0, roof), (width, roof), shade(style.roof, 0.5), 3)
        if not blank and style.roof_m > 1 and rng.random() < 0.5:
            for x in range(round(1.2 * px), width - px, round(3.4 * px)):
                cv2.rectangle(wall, (x, roof // 3), (x + px, roof - 6), shade(style.frame, 0.9), -1)
                cv2.rectangle(wall, (x + 3, roof // 3 + 3), (x + px - 3, roof - 8), (70, 62, 55), -1)
    else:
        cv2.rectangle(wall, (0, 0), (width, max(2, px // 4)), shade(style.wall, 1.2), -1)
        cv2.line(wall, (0, px // 4 + 2), (width, px // 4 + 2), dark, 2)
    # Dirt near the ground, streaks of rain, the drain pipe at the joint between two houses.
    column = fractal(rng, (8, width), 6, 3)[0]
    wall *= (1 + 0.035 * column)[None, :, None]
    wall *= (0.86 + 0.14 * np.clip(np.arange(height - 1, -1, -1, dtype=np.float32) / (1.2 * px), 0, 1))[:, None, None]
    cv2.rectangle(wall, (0, 0), (2, height), dark, -1)
    wall *= brightness
    for x, y, w, h in lamps:  # light from inside does not depend on the sun
        wall[y : y + h, x : x + w] = np.array((120, 205, 245), np.float32) * rng.uniform(0.8, 1.3)
    return to_u8(wall)


def _wall(rng: Rng, style: FacadeStyle, size_hw: tuple[int, int]) -> F32:
    if style.kind == "brick":
        wall = masonry(rng, size_hw, style.wall, (4, 10), 0.10)
    elif style.kind == "panel":
        wall = masonry(rng, size_hw, style.wall, (33, 44), 0.05)
    else:
        wall = np.broadcast_to(np.array(style.wall, np.float32), (*size_hw, 3)).copy()
        wall *= (1 + 0.03 * rng.standard_normal(size_hw, np.float32))[..., None]
    wall *= (1 + 0.06 * fractal(rng, size_hw, 60))[..., None]
    return wall


def _window(rng: Rng, wall: F32, x: int, sill_y: int, w: int, h: int, style: FacadeStyle, lamps: list[tuple[int, int, int, int]],
            lit: float = 0.0) -> None:  # fmt: skip
    top = sill_y - h
    if top < 2 or x < 1 or w < 6 or h < 6:
        return
    height, width = wall.shape[:2]
    x1, y1 = min(x + w, width - 1), min(sill_y, height - 1)
    if x1 - x < 6 or y1 - top < 6:
        return
    cv2.rectangle(wall, (x - 2, top - 2), (x1 + 1, y1 + 1), shade(style.wall, 0.62), -1)
    cv2.rectangle(wall, (x, top), (x1, y1), style.frame, -1)
    glass = wall[top + 2 : y1 - 1, x + 2 : x1 - 1]
    # Glass mirrors the sky at its top and the dark street below; some panes have curtains.
    bright = rng.uniform(0.25, 1.0)
    gradient = np.linspace(1.0, 0.35, glass.shape[0], dtype=np.float32)[:, None, None]
    glass[:] = np.array((130, 112, 98), np.float32) * bright * gradient * rng.uniform(0.7, 1.4) + 18
    if rng.random() < 0.3:
        side = max(1, glass.shape[1] // 4)
        glass[:, :side] = glass[:, -side:] = np.array(paint(rng), np.float32) * 0.7
    cv2.line(wall, ((x + x1) // 2, top), ((x + x1) // 2, y1), style.frame, 2)
    if h > w:
        cv2.line(wall, (x, (top + y1) // 2), (x1, (top + y1) // 2), style.frame, 2)
    cv2.rectangle(wall, (x - 3, y1), (x1 + 3, y1 + 2), shade(style.wall, 1.3), -1)
    if rng.random() < lit:
        lamps.append((x + 2, top + 2, x1 - x - 3, y1 - top - 3))


def _ground_floor(
    rng: Rng, wall: F32, style: FacadeStyle, height: int, px: int, lamps: list[tuple[int, int, int, int]]
) -> None:
    width = wall.shape[1]
    if style.shop:
        fascia = paint(rng)
        top = height - round(3.1 * px)
        if top < 0:
            return
        cv2.rectangle(wall, (0, top), (width, height), shade(fascia, 0.7), -1)
        for x in range(round(0.4 * px), width - px, round(2.6 * px)):
            x1 = min(x + round(2.2 * px), width - 6)
            _window(rng, wall, x, height - round(0.45 * px), x1 - x, round(1.75 * px), style, lamps)
        cv2.rectangle(wall, (4, top + 3), (width - 4, top + round(0.65 * px)), fascia, -1)
        ink = (235, 235, 235) if sum(fascia) < 330 else (35, 35, 40)
        for x in range(round(1.0 * px), width - round(1.2 * px), 9):  # lettering
            if rng.random() < 0.75:
                cv2.rectangle(wall, (x, top + 6 + int(rng.integers(3))), (x + 5, top + round(0.5 * px)), ink, -1)
        if rng.random() < 0.4:
            y0 = top + round(0.65 * px)
            for i, x in enumerate(range(0, width, 8)):
                stripe = paint(rng) if i == 0 else (shade(fascia, 1.4) if i % 2 else (215, 215, 215))
                cv2.rectangle(wall, (x, y0), (x + 8, y0 + round(0.45 * px)), stripe, -1)
        return
    door = paint(rng)
    door_x = round(rng.uniform(0.15, 0.7) * width)
    step = round(style.spacing_m * px)
    for x in range(round(0.5 * px), width - round(style.window_wh[0] * px), step):
        if abs(x - door_x) > 1.3 * px:
            _window(rng, wall, x, height - round(0.9 * px), round(style.window_wh[0] * px), round(1.5 * px), style, lamps)
    top = height - round(2.2 * px)
    cv2.rectangle(wall, (door_x - 3, top - 3), (door_x + px + 3, height), style.frame, -1)
    cv2.rectangle(wall, (door_x, top), (door_x + px, height), door, -1)
    cv2.rectangle(wall, (door_x + 4, top + 4), (door_x + px - 4, top + px // 2), shade(door, 0.5), -1)


@dataclass(frozen=True)
class Street:
    """Cross-section of the street, metres from its centre line; ``driving`` is +1 where cars keep right, -1 left."""

    half_road: float
    pavement: float
    lane: float
    driving: int

    @property
    def kerb(self) -> float:
        return self.half_road

    @property
    def edge(self) -> float:
        """Outer edge of the pavement."""
        return self.half_road + self.pavement


#: Length after which the ground's picture repeats, metres.
PERIOD = 48.0
_HALF_WIDTH = 14.0
_PX = 32
# (texels per metre along X, along Z, used up to this depth): foreshortening shrinks Z much faster than X.
_BANDS = ((32, 32, 5.5), (32, 16, 9.0), (32, 6, 16.0), (16, 2, 32.0), (8, 1, 70.0), (4, 0.25, 400.0))


def ground_bands(rng: Rng, street: Street, light: Light, wet: bool) -> list[GroundBand]:
    """The ground in six resolutions, finest first."""
    bgr, label = _ground(rng, street, light, wet)
    bands = []
    for px_x, px_z, until in _BANDS:
        size = (round(2 * _HALF_WIDTH * px_x), max(2, round(PERIOD * px_z)))
        colours = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
        # Road, pavement and vegetation have consecutive numbers and lie side by side in this order, so interpolating their
        # numbers between two neighbours gives one of the two.
        classes = np.asarray(cv2.resize(label, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        one = np.dstack([colours, classes])
        rows = round((PERIOD + until + 2) * px_z)
        many = np.ascontiguousarray(np.concatenate([one] * (rows // size[1] + 1))[:rows])
        bands.append(GroundBand(many, -_HALF_WIDTH, (2 * _HALF_WIDTH, rows / px_z), until))
    return bands


def _ground(rng: Rng, street: Street, light: Light, wet: bool) -> tuple[U8, U8]:
    height, width = round(PERIOD * _PX), round(2 * _HALF_WIDTH * _PX)
    x = (np.arange(width, dtype=np.float32) + 0.5) / _PX - _HALF_WIDTH
    away = np.abs(x)
    # Asphalt: a mottled grey with tyre tracks, patches, cracks and markings.
    tone = rng.uniform(62, 125)
    tint = np.array((1.0, 1.0, 1.0) + rng.normal(0, 0.03, 3), np.float32)
    asphalt = 1 + 0.06 * fractal(rng, (height, width), 90) + 0.045 * rng.standard_normal((height, width), np.float32)
    tracks = np.abs(np.abs(away - street.lane / 2) - 0.75)
    asphalt *= (1 - 0.09 * np.exp(-((tracks / 0.28) ** 2)))[None, :]
    ground = np.asarray(asphalt[..., None] * (tone * tint), np.float32)
    for _ in range(int(rng.integers(2, 7))):
        cx, cz = rng.uniform(-street.kerb, street.kerb), rng.uniform(0, PERIOD)
        w, h = rng.uniform(0.5, 1.8), rng.uniform(0.8, 6.0)
        _rect(ground, cx - w / 2, cz, cx + w / 2, min(cz + h, PERIOD - 0.1), factor=rng.uniform(0.72, 1.15))
    for _ in range(int(rng.integers(3, 9))):
        points = np.cumsum(rng.normal(0, 9, (24, 2)), 0) + (rng.uniform(0.25, 0.75) * width, rng.uniform(0.1, 0.9) * height)
        cv2.polylines(ground, [points.astype(np.int32)], False, (tone * 0.55,) * 3, 1 + int(rng.integers(2)))
    _markings(rng, ground, street)
    # Pavement: asphalt like the road, slabs, or bricks in the colours of the walls.
    outer = away >= street.kerb
    columns = np.flatnonzero(outer)
    kind = rng.choice(["asphalt", "slabs", "brick"])
    if kind == "asphalt":
        paving = np.asarray(asphalt[..., None] * (tone * rng.uniform(0.9, 1.35) * tint), np.float32)
        paving *= (1 + 0.03 * rng.standard_normal((height, width), np.float32))[..., None]
        paving[np.arange(height) % (4 * _PX) < 2] *= 0.7
    elif kind == "slabs":
        paving = masonry(rng, (height, width), jitter(rng, (138, 142, 145)), (16, 24), 0.06)
    else:
        paving = masonry(rng, (height, width), jitter(rng, WALLS[int(rng.integers(len(WALLS)))]), (6, 12), 0.09)
    paving *= (1 + 0.05 * fractal(rng, (height, width), 70))[..., None]
    ground[:, columns] = paving[:, columns]
    stone = jitter(rng, (150, 152, 152))
    kerb = outer & (away < street.kerb + 0.22)
    ground[:, kerb] = np.array(stone, np.float32) * (1 + 0.06 * rng.standard_normal((height, 1, 1), np.float32))
    ground[:, (away > street.kerb - 0.12) & ~outer] *= 0.68  # gutter
    ground[:, (away > street.kerb + 0.2) & (away < street.kerb + 0.26)] *= 0.7
    # Beyond the pavement: grass.
    grass = away >= street.edge
    lawn = fractal(rng, (height, width), 20, 5, 0.8)
    green = np.array(LEAVES[int(rng.integers(3))], np.float32) * rng.uniform(1.0, 1.5)
    ground[:, grass] = ((1 + 0.22 * lawn)[..., None] * green)[:, grass]
    _shadows(rng, ground, light, away, x, street)
    ground *= light.on(0, 1, 0) * (0.72 if wet else 1.0)
    label = np.full((height, width), ROAD, np.uint8)
    label[:, outer] = PAVEMENT
    label[:, grass] = VEGETATION
    return to_u8(ground), label


def _shadows(rng: Rng, ground: F32, light: Light, away: F32, x: F32, street: Street) -> None:
    if light.sun < 0.2:
        ground *= (1 - 0.22 * np.clip((away - street.edge + 2) / 3, 0, 1))[None, :, None]
        return
    height = ground.shape[0]
    # Houses on the sun's side throw a shadow with the outline of their roofs; its edge is soft.
    side = np.sign(np.sin(light.azimuth)) or 1.0
    reach = rng.uniform(0.0, 1.0) * (street.edge + street.kerb)
    outline = np.repeat(rng.uniform(-1.6, 1.6, 6), -(-height // 6))[:height].astype(np.float32)
    edge = street.edge - reach + outline
    inside = np.clip((x[None, :] * side - edge[:, None]) / 0.25, 0, 1)
    dapple = fractal(rng, (height, ground.shape[1]), 48, 3)
    leaves = np.clip((dapple - 0.9) * 4, 0, 1) * (rng.random() < 0.5)
    ground *= (1 - 0.42 * light.sun * np.maximum(inside, 0.8 * leaves))[..., None]


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
            at = side * (street.kerb - 0.35)
            _rect(ground, at - 0.05, 0, at + 0.05, PERIOD, yellow)
    if street.kerb - street.lane > 1.5 and rng.random() < 0.7:
        for side in (-1, 1):
            at = side * street.lane
            for i in range(int(PERIOD / 6)):
                _rect(ground, at - 0.05, i * 6.0, at + 0.05, i * 6.0 + 4.2, colour)
    if rng.random() < 0.5:
        start = rng.uniform(4, PERIOD - 8)
        for at in np.arange(-street.kerb + 0.4, street.kerb - 0.4, 1.0):
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
