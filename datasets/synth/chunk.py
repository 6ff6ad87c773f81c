"""What stands along the street: one chunk, a ground period long, is filled from its own stream of random numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .draw import sprites
from .draw.canvas import Texture
from .draw.ground import PERIOD
from .draw.planes import Plane, upright, wall
from .draw.textures import BGR, Rng
from .facades import FACADE_PX, facade
from .setting import Setting
from .vehicles import Placed, litter_bin

#: Different parked cars in one street.
PARKED = 14


@dataclass(frozen=True)
class Standing:
    """A solid that never moves."""

    solid: Placed
    x: float
    z: float


@dataclass
class Parts:
    """What stands in one chunk of the street, one by one."""

    backdrop: list[Plane] = field(default_factory=list)
    shadows: list[Plane] = field(default_factory=list)
    props: list[Plane] = field(default_factory=list)
    posts: list[tuple[float, ...]] = field(default_factory=list)
    post_colours: list[BGR] = field(default_factory=list)
    solids: list[Standing] = field(default_factory=list)


class Builder:
    """Fills one chunk of a street.

    Args:
        setting: The street's character.
        parked_car: (number, backwards) → one of the :data:`PARKED` cars that park in the street.
        rng: The chunk's own stream of random numbers.
        start: Where the chunk begins, Z in metres.
    """

    def __init__(self, setting: Setting, parked_car: Callable[[int, bool], Placed], rng: Rng, start: float) -> None:
        self._setting, self._parked_car, self._rng, self._start = setting, parked_car, rng, start
        self._light = setting.weather.light
        self._parts = Parts()

    def build(self) -> Parts:
        for side in (-1, 1):
            self._houses(side)
            self._furniture(side)
        return self._parts

    def _houses(self, side: int) -> None:
        setting, rng, z, end = self._setting, self._rng, self._start, self._start + PERIOD
        before = (math.inf, 0.0)  # front and height of the nearer neighbour; of a gap
        while z < end - 1:
            width = min(float(rng.uniform(7, 16)), end - z)
            if end - z - width < 5:
                width = end - z
            setback = setting.setback + (float(rng.uniform(0.2, 0.9)) if rng.random() < 0.25 else 0.0)
            if rng.random() < (0.14 if setting.urban else 0.24):
                self._garden(side, z, width)
                before = (math.inf, 0.0)
            else:
                before = self._house(side, z, width, setting.street.edge + setback, before)
                if setback > 2:
                    self._boundary(side, z, width)
                    if rng.random() < 0.5 * setting.green:
                        self._tree(
                            self._parts.props,
                            side * (setting.street.edge + rng.uniform(1.0, 2.0)),
                            z + rng.uniform(1, width - 1),
                            0.7,
                        )
            z += width

    def _house(self, side: int, z: float, width: float, front: float, before: tuple[float, float]) -> tuple[float, float]:
        setting, rng = self._setting, self._rng
        light = self._light
        style = setting.facades[int(rng.integers(len(setting.facades)))]
        height = float(math.floor(3.0 * rng.uniform(*setting.storeys))) + style.roof_height + 0.6
        texture = Texture(facade(rng, style, width, height, light, light.on(-side, 0, 0)), sprites.BUILDING)
        self._parts.backdrop += wall(texture, side * front, z, z + width, height, side > 0, split_m=4.5)
        # Its side wall shows where it stands out beside the nearer house, or above it.
        beside, above = before[0] - front, height - before[1]
        deep, tall = (min(7.0, beside + 0.1), height) if beside > 0.05 else (7.0, above + 0.3)
        if tall > 0.35:
            image = facade(rng, style, deep, height, light, light.on(0, 0, -1), blank=True)[
                : max(8, round(tall * FACADE_PX))
            ]
            left = front if side > 0 else -front - deep
            corner, along = (left, height, z), (deep, 0.0, 0.0)
            self._parts.backdrop.append(Plane(Texture(image, sprites.BUILDING), corner, along, (0.0, -tall, 0.0), near_z=z))
        return front, height

    def _garden(self, side: int, z: float, width: float) -> None:
        """A gap between houses: trees behind a fence or a hedge."""
        for _ in range(int(self._rng.integers(1, 4))):
            x = side * (self._setting.street.edge + self._rng.uniform(2.5, 6))
            self._tree(self._parts.backdrop, x, z + self._rng.uniform(0.2, 1.0) * width, 1.0, min_px=12.0)
        self._boundary(side, z, width)

    def _boundary(self, side: int, z: float, width: float) -> None:
        green = self._rng.random() < 0.3
        height = float(self._rng.uniform(0.9, 1.7))
        kind = self._setting.fences[int(self._rng.integers(2))]
        self._fence(side, side * (self._setting.street.edge + 0.08), z, width, height, "hedge" if green else kind)

    def _fence(self, side: int, x: float, z: float, length: float, height: float, kind: str) -> None:
        rng, light = self._rng, self._light
        bright = light.on(-side, 0, 0)
        hedge = kind == "hedge"
        texture = (
            sprites.hedge(rng, light, length, height, bright) if hedge else sprites.fence(rng, kind, length, height, bright)
        )
        self._parts.props += wall(texture, x, z, z + length, height, side > 0, split_m=4.0)

    def _tree(self, into: list[Plane], x: float, z: float, size: float, min_px: float = 9.0) -> None:
        texture, width, height = self._setting.trees[int(self._rng.integers(len(self._setting.trees)))]
        size *= float(self._rng.uniform(0.8, 1.15))
        into.append(upright(texture, float(x), float(z), width * size, height * size, min_px=min_px))

    def _furniture(self, side: int) -> None:
        setting, rng, start = self._setting, self._rng, self._start
        street, kerb = setting.street, setting.street.half_road
        for z in np.arange(start + rng.uniform(0, 6), start + PERIOD - 2, 16.0 if setting.urban else 24.0):
            self._lamp(side, side * (kerb + 0.55), float(z), bool(rng.random() < 2 * self._light.lit))
        for z in start + np.sort(rng.uniform(1, PERIOD - 1, int(rng.integers(3, 6)))):
            self._sign(side, float(z))
        if rng.random() < setting.green:
            for z in np.arange(start + rng.uniform(2, 8), start + PERIOD, rng.uniform(9, 18)):
                self._tree(self._parts.props, side * (kerb + 0.9), float(z), 0.75)
        if rng.random() < 0.35:  # guard rail along the kerb
            length = float(rng.uniform(8, 20))
            z = start + float(rng.uniform(0, PERIOD - length))
            kind = "railing" if rng.random() < 0.6 else "guard"
            self._fence(side, side * (kerb + 0.35), z, length, 1.0 if kind == "railing" else 0.75, kind)
        if rng.random() < 0.4:  # bollards
            first = start + rng.uniform(0, PERIOD - 10)
            for z in np.arange(first, first + rng.uniform(4, 10), 1.7):
                self._post(side * (kerb + 0.4), float(z), 1.0, 0.085)
        for _ in range(int(rng.integers(0, 3))):
            thing = litter_bin(rng).placed(0.0, self._light)
            self._parts.solids.append(Standing(thing, side * (street.edge - 0.5), float(start + rng.uniform(0, PERIOD))))
        if setting.parking:
            self._parked(side)

    def _post(self, x: float, z: float, height: float, radius: float) -> None:
        self._parts.posts.append((x, 0.0, z, x, height, z, 1.2 * radius, 0.85 * radius))
        self._parts.post_colours.append(self._setting.post_bgr)

    def _lamp(self, side: int, x: float, z: float, lit: bool) -> None:
        setting = self._setting
        top, r, tip = setting.post_height, setting.post_radius, x - 1.5 * side
        self._post(x, z, top, r)
        self._parts.posts.append((x, top, z, tip, top + 0.35, z, 0.75 * r, 0.6 * r))
        self._parts.post_colours.append(setting.post_bgr)
        self._parts.posts.append((tip - 0.3 * side, top + 0.36, z, tip + 0.25 * side, top + 0.30, z, 0.10, 0.12))
        self._parts.post_colours.append((200, 245, 255) if lit else setting.post_bgr)

    def _sign(self, side: int, z: float) -> None:
        setting, rng = self._setting, self._rng
        sign = setting.signs[int(rng.integers(len(setting.signs)))]
        board = sign.kind == "board"
        x = side * (setting.street.half_road + 0.5 + max(0.0, sign.width / 2 - 0.4))
        facing = side == setting.street.driving or rng.random() < 0.4
        base = float(rng.uniform(1.9, 2.4))
        for dx in (-0.35 * sign.width, 0.35 * sign.width) if board else (0.0,):
            self._post(x + dx, z + 0.05, base + 0.9 * sign.height, 0.06)
        self._parts.props.append(upright(sign.front if facing else sign.back, x, z, sign.width, sign.height, base))

    def _parked(self, side: int) -> None:
        setting, rng, start = self._setting, self._rng, self._start
        x = side * (setting.street.half_road - 1.05)
        for z in np.arange(start + 3.2, start + PERIOD - 3, 6.2):
            if rng.random() > setting.parking:
                continue
            backwards = (side == setting.street.driving) == (rng.random() < 0.15)
            car = self._parked_car(int(rng.integers(PARKED)), backwards)
            at = (x + float(rng.normal(0, 0.06)), float(z + rng.uniform(-0.4, 0.4)))
            self._parts.solids.append(Standing(car, *at))
            self._parts.shadows.append(setting.shadow(*at, car.size[0], car.size[2]))
