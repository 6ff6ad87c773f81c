"""Facades: walls of brick, plaster or panels with windows, doors, shops and roofs."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .draw.canvas import F32, U8
from .draw.textures import BGR, WALLS, Light, Rng, dye, fractal, jitter, masonry, paint, shade, to_u8

_STOREY_M = 3.0
#: Texels per metre.
FACADE_PX = 22
_GLASS = np.array((130, 112, 98), np.float32)
_LAMP = np.array((120, 205, 245), np.float32)


@dataclass(frozen=True)
class FacadeStyle:
    """What repeats over one building: wall, windows, shop or door, roof (sizes in metres)."""

    wall: BGR
    kind: str
    window_wh: tuple[float, float]
    spacing: float
    frame: BGR
    shop: bool
    roof_height: float
    roof: BGR

    @classmethod
    def draw(cls, rng: Rng, urban: bool) -> FacadeStyle:
        width = float(rng.uniform(0.8, 1.5))
        return cls(
            wall=jitter(rng, WALLS[int(rng.integers(len(WALLS)))]) if rng.random() < 0.85 else paint(rng),
            kind=str(rng.choice(["brick", "brick", "stucco", "panel"])),
            window_wh=(width, float(rng.uniform(1.2, 1.9))),
            spacing=width + float(rng.uniform(0.6, 1.6)),
            frame=jitter(rng, (225, 228, 228)) if rng.random() < 0.6 else paint(rng),
            shop=bool(rng.random() < (0.6 if urban else 0.12)),
            roof_height=float(rng.choice([0.0, 0.4, 1.6, 2.4])),
            roof=jitter(rng, [(60, 62, 72), (52, 60, 98), (88, 88, 88)][int(rng.integers(3))]),
        )


def facade(
    rng: Rng, style: FacadeStyle, width_m: float, height_m: float, light: Light, brightness: float, blank: bool = False
) -> U8:  # fmt: skip
    """A building's front (or, ``blank``, its side wall with few windows): uint8 (h, w, 3), first row = roof."""
    return _Painter(rng, style, width_m, height_m, light.lit).paint(brightness, blank)


class _Painter:
    """One facade in the making: float32 (h, w, 3)."""

    def __init__(self, rng: Rng, style: FacadeStyle, width_m: float, height_m: float, lit: float) -> None:
        self._rng, self._style, self._lit = rng, style, lit
        self._height, self._width = max(8, round(height_m * FACADE_PX)), max(8, round(width_m * FACADE_PX))
        self._wall = self._bare_wall()
        self._lamps: list[tuple[slice, slice, float]] = []

    def paint(self, brightness: float, blank: bool) -> U8:
        style, wall, height, width = self._style, self._wall, self._height, self._width
        roof = round(style.roof_height * FACADE_PX)
        floors = max(1, int((height / FACADE_PX - style.roof_height - 0.3) / _STOREY_M))
        for floor in range(floors):
            if floor or blank:
                self._floor(floor, blank)
            elif style.shop:
                self._shop()
            else:
                self._entrance()
        if style.kind == "panel" and not blank:
            for floor in range(1, floors + 1):
                y = height - round(floor * _STOREY_M * FACADE_PX)
                cv2.rectangle(wall, (0, y - 3), (width, y), shade(style.wall, 0.55), -1)
        self._roof(roof, blank)
        # Streaks of rain, dirt near the ground, the joint between two houses.
        streaks = 1 + 0.035 * fractal(self._rng, (8, width), 6, 3)[0]
        wall *= np.repeat(streaks, 3).reshape(1, width, 3)
        above = np.arange(height - 1, -1, -1, dtype=np.float32) / (1.2 * FACADE_PX)
        wall *= (0.86 + 0.14 * np.clip(above, 0, 1))[:, None, None]
        cv2.rectangle(wall, (0, 0), (2, height), shade(style.wall, 0.55), -1)
        wall *= brightness
        for rows, columns, strength in self._lamps:  # light from inside does not depend on the sun
            wall[rows, columns] = _LAMP * strength
        return to_u8(wall)

    def _bare_wall(self) -> F32:
        rng, style, size = self._rng, self._style, (self._height, self._width)
        if style.kind == "brick":
            wall = masonry(rng, size, style.wall, (4, 10), 0.10)
        elif style.kind == "panel":
            wall = masonry(rng, size, style.wall, (33, 44), 0.05)
        else:
            wall = np.broadcast_to(np.array(style.wall, np.float32), (*size, 3)).copy()
            dye(wall, 1 + 0.03 * rng.standard_normal(size, np.float32))
        dye(wall, 1 + 0.06 * fractal(rng, size, 60, 3))
        return wall

    def _floor(self, floor: int, blank: bool) -> None:
        style = self._style
        sill = self._height - round((floor * _STOREY_M + 0.9) * FACADE_PX)
        count = int(self._rng.integers(0, 3)) if blank else max(1, int((self._width / FACADE_PX - 0.6) / style.spacing))
        for i in range(count):
            x = round((i + 0.5) * self._width / count - style.window_wh[0] / 2 * FACADE_PX)
            self._window(x, sill, round(style.window_wh[0] * FACADE_PX), round(style.window_wh[1] * FACADE_PX))

    def _window(self, x: int, sill: int, w: int, h: int) -> None:
        rng, wall, style = self._rng, self._wall, self._style
        x1, y1, top = min(x + w, self._width - 1), min(sill, self._height - 1), sill - h
        if top < 2 or x < 1 or x1 - x < 6 or y1 - top < 6:
            return
        cv2.rectangle(wall, (x - 2, top - 2), (x1 + 1, y1 + 1), shade(style.wall, 0.62), -1)
        cv2.rectangle(wall, (x, top), (x1, y1), style.frame, -1)
        rows, columns = slice(top + 2, y1 - 1), slice(x + 2, x1 - 1)
        glass = wall[rows, columns]
        # Glass mirrors the sky at its top and the dark street below; some panes have curtains.
        gradient = np.linspace(1.0, 0.35, glass.shape[0], dtype=np.float32)[:, None, None]
        glass[:] = _GLASS * gradient * rng.uniform(0.2, 1.25) + 18
        if rng.random() < 0.3:
            side = max(1, glass.shape[1] // 4)
            glass[:, :side] = glass[:, -side:] = np.array(paint(rng), np.float32) * 0.7
        cv2.line(wall, ((x + x1) // 2, top), ((x + x1) // 2, y1), style.frame, 2)
        if h > w:
            cv2.line(wall, (x, (top + y1) // 2), (x1, (top + y1) // 2), style.frame, 2)
        cv2.rectangle(wall, (x - 3, y1), (x1 + 3, y1 + 2), shade(style.wall, 1.3), -1)
        # Both numbers are drawn in every domain, so that the street stays the same in all.
        strength, chance = rng.uniform(0.8, 1.3), rng.random()
        if chance < self._lit:
            self._lamps.append((rows, columns, strength))

    def _shop(self) -> None:
        rng, wall, width, height = self._rng, self._wall, self._width, self._height
        fascia = paint(rng)
        top = height - round(3.1 * FACADE_PX)
        if top < 0:
            return
        cv2.rectangle(wall, (0, top), (width, height), shade(fascia, 0.7), -1)
        for x in range(round(0.4 * FACADE_PX), width - FACADE_PX, round(2.6 * FACADE_PX)):
            right = min(x + round(2.2 * FACADE_PX), width - 6)
            self._window(x, height - round(0.45 * FACADE_PX), right - x, round(1.75 * FACADE_PX))
        cv2.rectangle(wall, (4, top + 3), (width - 4, top + round(0.65 * FACADE_PX)), fascia, -1)
        ink = (235, 235, 235) if sum(fascia) < 330 else (35, 35, 40)
        for x in range(FACADE_PX, width - round(1.2 * FACADE_PX), 9):  # lettering
            if rng.random() < 0.75:
                cv2.rectangle(wall, (x, top + 6 + int(rng.integers(3))), (x + 5, top + round(0.5 * FACADE_PX)), ink, -1)
        if rng.random() < 0.4:  # awning
            y0 = top + round(0.65 * FACADE_PX)
            for i, x in enumerate(range(0, width, 8)):
                stripe = shade(fascia, 1.4) if i % 2 else (215, 215, 215)
                cv2.rectangle(wall, (x, y0), (x + 8, y0 + round(0.45 * FACADE_PX)), stripe, -1)

    def _entrance(self) -> None:
        rng, wall, style, height = self._rng, self._wall, self._style, self._height
        colour = paint(rng)
        door = round(rng.uniform(0.15, 0.7) * self._width)
        w = round(style.window_wh[0] * FACADE_PX)
        for x in range(round(0.5 * FACADE_PX), self._width - w, round(style.spacing * FACADE_PX)):
            if abs(x - door) > 1.3 * FACADE_PX:
                self._window(x, height - round(0.9 * FACADE_PX), w, round(1.5 * FACADE_PX))
        top = height - round(2.2 * FACADE_PX)
        cv2.rectangle(wall, (door - 3, top - 3), (door + FACADE_PX + 3, height), style.frame, -1)
        cv2.rectangle(wall, (door, top), (door + FACADE_PX, height), colour, -1)
        cv2.rectangle(wall, (door + 4, top + 4), (door + FACADE_PX - 4, top + FACADE_PX // 2), shade(colour, 0.5), -1)

    def _roof(self, rows: int, blank: bool) -> None:
        wall, style, width = self._wall, self._style, self._width
        if not rows:
            cv2.rectangle(wall, (0, 0), (width, FACADE_PX // 4), shade(style.wall, 1.2), -1)
            cv2.line(wall, (0, FACADE_PX // 4 + 2), (width, FACADE_PX // 4 + 2), shade(style.wall, 0.55), 2)
            return
        tiles = masonry(self._rng, (rows, width), style.roof, (5, 7), 0.10)
        wall[:rows] = tiles * np.linspace(0.8, 1.2, rows, dtype=np.float32)[:, None, None]
        cv2.line(wall, (0, rows), (width, rows), shade(style.roof, 0.5), 3)
        if not blank and style.roof_height > 1 and self._rng.random() < 0.5:  # dormers
            for x in range(round(1.2 * FACADE_PX), width - FACADE_PX, round(3.4 * FACADE_PX)):
                cv2.rectangle(wall, (x, rows // 3), (x + FACADE_PX, rows - 6), shade(style.frame, 0.9), -1)
                cv2.rectangle(wall, (x + 3, rows // 3 + 3), (x + FACADE_PX - 3, rows - 8), (70, 62, 55), -1)
