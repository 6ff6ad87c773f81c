"""The street of one scene: what stands where, and where everything that moves is at a time.

The street is endless. It is made in chunks of one ground period, each from its own random stream, so any moment can be
visited in any order. Moving things are closed functions of time; one that leaves the view is reborn at its other end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from . import sprites
from .canvas import Camera, Texture
from .domains import Domain
from .people import Person
from .props import Billboard, Body, Panel, Post, Prop, Walker
from .textures import PERIOD, FacadeStyle, Light, Rng, Street, facade, jitter, paint
from .vehicles import SHAPES, Solid, bin_, vehicle

#: Depth up to which things are drawn, metres.
REACH = 135.0
# Streams of random numbers; a new kind of thing takes a new number, so that old scenes stay as they are.
_SCENE, _CHUNK, _MOVER, _EGO = range(4)


@dataclass
class Chunk:
    """One period of the street."""

    backdrop: list[Panel | Billboard] = field(default_factory=list)
    props: list[Prop] = field(default_factory=list)
    shadows: list[tuple[float, float, float, float]] = field(default_factory=list)  # x, z, width, length


class World:
    """Everything in one scene but the camera's optics.

    Args:
        seed: Scene seed, 0 or more.
        domain: Light, weather and camera.
    """

    def __init__(self, seed: int, domain: Domain) -> None:
        self.seed, self.domain = seed, domain
        rng = self._rng(_SCENE)
        lane, parking = float(rng.uniform(3.0, 3.5)), bool(rng.random() < 0.65)
        self.street = Street(
            half_road=lane + (2.2 if parking else 0.5),
            pavement=float(rng.uniform(2.2, 3.6)),
            lane=lane,
            driving=1 if rng.random() < 0.5 else -1,
        )
        self.parking = float(rng.uniform(0.35, 0.75)) if parking else 0.0
        self.urban = bool(rng.random() < 0.6)
        overcast = rng.random() < 0.4
        self.light = Light(
            azimuth=float(rng.uniform(-math.pi, math.pi)),
            sun=domain.sun * float(rng.uniform(0.0, 0.25) if overcast else rng.uniform(0.5, 1.0)),
            lit=domain.lit,
        )
        self.clouds = float(rng.uniform(0.7, 1.0) if overcast else rng.uniform(0.1, 0.6))
        blue = (float(rng.uniform(160, 215)), float(rng.uniform(110, 160)), float(rng.uniform(60, 115)))
        grey = (float(rng.uniform(150, 215)),) * 3
        self.zenith = domain.sky_bgr or (grey if overcast else blue)
        glow = rng.uniform(0.92, 1.08, 3)
        milky = np.clip(np.array((222, 215, 205)) * glow * (0.9 if overcast else 1.0), 0, 245)
        self.haze = domain.haze_bgr or (float(milky[0]), float(milky[1]), float(milky[2]))
        if domain.name == "dusk":
            self.haze = (float(rng.uniform(120, 160)), float(rng.uniform(130, 170)), float(rng.uniform(170, 225)))
        self._styles = [FacadeStyle.draw(rng, self.urban) for _ in range(6)]
        self._storeys = (3.0, 6.5) if self.urban else (1.6, 3.2)
        self._trees = [sprites.tree(rng, self.light) for _ in range(5)]
        self._signs = [(self._sign(rng, kind)) for kind in rng.permutation(sprites.SIGNS)[:6]]
        self._green = float(rng.uniform(0.2, 0.9))
        self._post_bgr = paint(rng) if rng.random() < 0.4 else jitter(rng, (120, 122, 122))
        self._post_radius = float(rng.uniform(0.09, 0.14))
        self._post_height = float(rng.uniform(5.0, 7.5))
        self._setback = float(rng.choice([0.0, 0.0, 2.5, 3.5])) if self.urban else float(rng.uniform(2.5, 4.5))
        self._fence_kinds = list(rng.permutation(sprites.FENCES)[:2])
        self.shadow = sprites.soft_shadow()
        self.skyline = sprites.skyline(rng, self.light, (1400, 96))
        self._chunks: dict[int, Chunk] = {}
        self._lives: dict[tuple[int, int, int], Life] = {}
        self._offsets = self._rng(_MOVER).random((5, 16))
        self._lead = float(rng.random())
        self._ego(self._rng(_EGO))

    def _rng(self, *key: int) -> Rng:
        return np.random.default_rng([self.seed, *(value % 2**32 for value in key)])

    @staticmethod
    def _sign(rng: Rng, kind: str) -> tuple[Texture, Texture, float, float, str]:
        front, width, height = sprites.sign(rng, kind)
        return front, sprites.sign_back(rng, front), width, height, kind

    # --- the camera's way -------------------------------------------------------------------------------------------

    def _ego(self, rng: Rng) -> None:
        self._speed = float(rng.uniform(6.0, 11.0))
        self._phase = rng.uniform(0, 2 * math.pi, 8)
        self._start = float(rng.uniform(0, 400))
        self._height = float(rng.normal(1.0, 0.04))

    def ego_z(self, t: float) -> float:
        """Way of the camera along the street at a time in seconds: never backwards."""
        return self._start + self._speed * (t + 0.8 * math.sin(0.45 * t + self._phase[0]))

    def camera(self, t: float, size_hw: tuple[int, int], focal_px: float) -> Camera:
        """The camera at a time in seconds."""
        p = self._phase
        x = self.street.driving * self.street.lane * 0.5 + 0.22 * math.sin(0.37 * t + p[1]) + 0.05 * math.sin(1.7 * t + p[2])
        yaw = 0.016 * math.sin(0.37 * t + p[1] + 1.57) + 0.022 * math.sin(0.21 * t + p[3]) + 0.003 * math.sin(2.9 * t + p[4])
        pitch = self.domain.pitch + 0.006 * math.sin(1.9 * t + p[5]) + 0.004 * math.sin(5.3 * t + p[6])
        height = self.domain.height_m * self._height + 0.012 * math.sin(6.1 * t + p[7])
        return Camera(size_hw, focal_px, np.array([x, height, self.ego_z(t)]), yaw, pitch)

    # --- what stands still --------------------------------------------------------------------------------------------

    def chunks(self, z: float) -> list[Chunk]:
        """The chunks that a camera at ``z`` can see."""
        first, last = math.floor((z - 4) / PERIOD), math.floor((z + REACH) / PERIOD)
        for index in list(self._chunks):
            if not first - 2 <= index <= last + 2:  # an endless ride in bounded memory
                del self._chunks[index]
        for index in range(first, last + 1):
            if index not in self._chunks:
                self._chunks[index] = self._build(index)
        return [self._chunks[index] for index in range(first, last + 1)]

    def _build(self, index: int) -> Chunk:
        rng, chunk, start = self._rng(_CHUNK, index), Chunk(), index * PERIOD
        for side in (-1, 1):
            self._buildings(rng, chunk, side, start)
            self._furniture(rng, chunk, side, start)
        return chunk

    def _buildings(self, rng: Rng, chunk: Chunk, side: int, start: float) -> None:
        z, end = start, start + PERIOD
        while z < end - 1:
            width = min(float(rng.uniform(7, 16)), end - z)
            if end - z - width < 5:
                width = end - z
            setback = self._setback + (float(rng.uniform(0, 0.8)) if rng.random() < 0.3 else 0.0)
            if rng.random() < (0.14 if self.urban else 0.24):
                self._garden(rng, chunk, side, z, width)
            else:
                self._house(rng, chunk, side, z, width, self.street.edge + setback)
                if setback > 2:
                    self._boundary(rng, chunk, side, z, width)
                    if rng.random() < 0.6 * self._green:
                        self._tree(
                            rng,
                            chunk.props,
                            side * (self.street.edge + rng.uniform(1.0, 2.0)),
                            z + rng.uniform(1, width - 1),
                            0.7,
                        )
            z += width

    def _house(self, rng: Rng, chunk: Chunk, side: int, z: float, width: float, front: float) -> None:
        style = self._styles[int(rng.integers(len(self._styles)))]
        height = 3.0 * float(rng.uniform(*self._storeys)) // 1.0 + style.roof_m + 0.6
        picture = facade(rng, style, width, height, self.light, self.light.on(-side, 0, 0))
        texture = Texture(picture, sprites.BUILDING)
        x = side * front
        # Seen from the road, a house on the right runs from its far end (left) to its near end.
        z_left, step = (z + width, -width) if side > 0 else (z, width)
        chunk.backdrop.append(
            Panel(texture, np.array([x, height, z_left]), np.array([0.0, 0.0, step]), np.array([0.0, -height, 0.0]))
        )
        wall = Texture(facade(rng, style, 9.0, height, self.light, self.light.on(0, 0, -1), blank=True), sprites.BUILDING)
        x_left = x if side > 0 else x - 9.0
        chunk.backdrop.append(
            Panel(wall, np.array([x_left, height, z]), np.array([9.0, 0.0, 0.0]), np.array([0.0, -height, 0.0]))
        )

    def _garden(self, rng: Rng, chunk: Chunk, side: int, z: float, width: float) -> None:
        """A gap between houses: trees behind a fence or a hedge."""
        for _ in range(int(rng.integers(2, 5))):
            self._tree(rng, chunk.backdrop, side * (self.street.edge + rng.uniform(2.5, 9)), z + rng.uniform(0, width), 1.0)
        self._boundary(rng, chunk, side, z, width)

    def _boundary(self, rng: Rng, chunk: Chunk, side: int, z: float, width: float) -> None:
        green = rng.random() < 0.3
        height = float(rng.uniform(0.9, 1.7))
        kind = str(self._fence_kinds[int(rng.integers(2))])
        self._fence(rng, chunk, side, side * (self.street.edge + 0.08), z, width, height, "hedge" if green else kind)

    def _fence(self, rng: Rng, chunk: Chunk, side: int, x: float, z: float, length: float, height: float, kind: str) -> None:
        count = max(1, round(length / 3.5))
        step = length / count
        bright = self.light.on(-side, 0, 0)
        texture = (
            sprites.hedge(rng, self.light, step, height, bright)
            if kind == "hedge"
            else sprites.fence(rng, kind, step, height, bright)
        )
        for i in range(count):
            near = z + i * step
            z_left, along = (near + step, -step) if side > 0 else (near, step)
            chunk.props.append(
                Panel(texture, np.array([x, height, z_left]), np.array([0.0, 0.0, along]), np.array([0.0, -height, 0.0]))
            )

    def _tree(self, rng: Rng, into: list[Prop] | list[Panel | Billboard], x: float, z: float, size: float) -> None:
        texture, width, height = self._trees[int(rng.integers(len(self._trees)))]
        size *= float(rng.uniform(0.8, 1.15))
        into.append(Billboard(texture, float(x), float(z), width * size, height * size))  # type: ignore[arg-type]

    def _furniture(self, rng: Rng, chunk: Chunk, side: int, start: float) -> None:
        street, kerb = self.street, self.street.kerb
        for z in np.arange(start + rng.uniform(0, 6), start + PERIOD - 2, 16.0 if self.urban else 24.0):
            lit = bool(rng.random() < 2 * self.domain.lit)
            chunk.props.append(Post(side * (kerb + 0.55), float(z), self._post_height, self._post_radius, self._post_bgr, self.light,
                                    arm=-side * 1.5, lit=lit))  # fmt: skip
        for z in start + np.sort(rng.uniform(1, PERIOD - 1, int(rng.integers(3, 6)))):
            self._sign_post(rng, chunk, side, float(z))
        if rng.random() < self._green:
            for z in np.arange(start + rng.uniform(2, 8), start + PERIOD, rng.uniform(8, 16)):
                self._tree(rng, chunk.props, side * (kerb + 0.9), float(z), 0.8)
        if rng.random() < 0.35:  # guard rail along the kerb
            length = float(rng.uniform(8, 20))
            z = start + float(rng.uniform(0, PERIOD - length))
            kind = "railing" if rng.random() < 0.6 else "guard"
            self._fence(rng, chunk, side, side * (kerb + 0.35), z, length, 1.0 if kind == "railing" else 0.75, kind)
        if rng.random() < 0.4:
            z0 = start + rng.uniform(0, PERIOD - 10)
            for z in np.arange(z0, z0 + rng.uniform(4, 10), 1.7):
                chunk.props.append(Post(side * (kerb + 0.4), float(z), 1.0, 0.08, self._post_bgr, self.light))
        for _ in range(int(rng.integers(0, 3))):
            x, z = side * (street.edge - 0.5), float(start + rng.uniform(0, PERIOD))
            chunk.props.append(Body(bin_(rng), x, z, 0.0, self.light))
        if self.parking:
            self._parked(rng, chunk, side, start)

    def _sign_post(self, rng: Rng, chunk: Chunk, side: int, z: float) -> None:
        front, back, width, height, kind = self._signs[int(rng.integers(len(self._signs)))]
        x = side * (self.street.kerb + 0.5)
        facing = side == self.street.driving or rng.random() < 0.4
        base = float(rng.uniform(2.1, 2.5)) if kind != "board" else 1.9
        top = base + height
        posts = (-0.35 * width, 0.35 * width) if kind == "board" else (0.0,)
        x += side * max(0.0, width / 2 - 0.4)
        for dx in posts:
            chunk.props.append(Post(x + dx, z + 0.04, top, 0.055, self._post_bgr, self.light, min_px=1.6))
        chunk.props.append(Billboard(front if facing else back, x, z, width, height, base, turns=False))

    def _parked(self, rng: Rng, chunk: Chunk, side: int, start: float) -> None:
        x = side * (self.street.kerb - 1.05)
        for z in np.arange(start + 3.2, start + PERIOD - 3, 6.2):
            if rng.random() > self.parking:
                continue
            solid = vehicle(rng, self._shape(rng), lit=False)
            heading = 0.0 if (side == self.street.driving) != (rng.random() < 0.15) else math.pi
            at = (x + float(rng.normal(0, 0.06)), float(z + rng.uniform(-0.4, 0.4)))
            chunk.props.append(Body(solid, at[0], at[1], heading + float(rng.normal(0, 0.02)), self.light))
            chunk.shadows.append((*at, solid.size[0], solid.size[2]))

    @staticmethod
    def _shape(rng: Rng) -> str:
        return str(rng.choice(SHAPES, p=[0.28, 0.25, 0.13, 0.16, 0.14, 0.04]))

    # --- what moves -----------------------------------------------------------------------------------------------------

    def movers(self, t: float) -> list[Prop]:
        """Vehicles, pedestrians and bicyclists at a time in seconds."""
        street, ego = self.street, self.ego_z(t)
        drive, half_lane = street.driving, street.lane / 2
        out: list[Prop] = []
        for slot in range(3):  # oncoming
            life = self._life(0, slot, ego, t, -9.5, 150.0, 6.0)
            if life.luck < 0.85:
                out.append(Body(life.solid, -drive * half_lane + 0.3 * (life.a - 0.5), life.z, math.pi, self.light))
        if self._lead < 0.6:
            life = self._life(1, 0, ego, 0.0, 0.0, math.inf, 0.0)
            gap = 9 + 17 * life.a + 3.0 * math.sin(0.3 * t + 6 * life.b) + life.solid.size[2] / 2
            out.append(Body(life.solid, drive * half_lane + 0.15 * math.sin(0.5 * t), ego + gap, 0.0, self.light))
        for slot in range(3):  # bicyclists, two of them in the camera's direction
            way = 1 if slot < 2 else -1
            life = self._life(2, slot, ego, t, 5.0 * way, 64.0, 3.0)
            if life.luck < 0.8:
                x = drive * way * (street.lane - 0.25 - 0.25 * life.a)
                out.append(
                    Walker(life.person, x, life.z, 0.0 if way > 0 else math.pi, 5.2 * t + slot, self.light, rides=True)
                )
        for slot in range(9):
            way = 1 if slot % 2 else -1
            speed = 1.1 + 0.06 * slot
            life = self._life(3, slot, ego, t, way * speed, 66.0, 2.0)
            if life.luck < 0.75:
                x = (1 if life.b < 0.5 else -1) * (street.kerb + 0.7 + life.a * (street.pavement - 1.1))
                gait = 2 * math.pi * speed / (0.82 * life.person.height)
                out.append(Walker(life.person, x, life.z, 0.0 if way > 0 else math.pi, gait * t + slot, self.light))
        life = self._life(4, 0, ego, t, 0.0, 90.0, 0.0)
        share = (48.0 - (life.z - ego)) / 34.0
        if life.luck < 0.6 and 0 <= share <= 1:  # crosses in front, and has reached the kerb when the camera comes
            way = 1 if life.a < 0.5 else -1
            along = (2 * share - 1) * (street.kerb + 0.6)
            gait = 2 * math.pi / (0.82 * life.person.height)
            out.append(Walker(life.person, way * along, life.z, way * math.pi / 2, along * gait, self.light))
        return out

    def _life(self, kind: int, slot: int, ego: float, t: float, speed: float, length: float, behind: float) -> Life:
        """Who is in a slot now, and where: a stretch of ``length`` metres from ``behind`` the camera on."""
        if math.isinf(length):
            number, z = 0, ego
        else:
            run = self._offsets[kind, slot] * length + speed * t - (ego - self._start)
            number = math.floor(run / length)
            z = ego - behind + (run - number * length)
        key = (kind, slot, number)
        if key not in self._lives:
            if len(self._lives) > 400:
                self._lives.clear()
            rng = self._rng(_MOVER, kind, slot, number)
            luck, a, b = (float(value) for value in rng.random(3))
            wheels = kind < 2
            self._lives[key] = Life(
                luck,
                a,
                b,
                vehicle(rng, self._shape(rng), self.domain.lit > 0.1) if wheels else None,
                None if wheels else Person.draw(rng),
            )
        return replace(self._lives[key], z=z)


@dataclass(frozen=True)
class Life:
    """One stay of somebody in the view: looks, three random numbers, and the place now."""

    luck: float
    a: float
    b: float
    _solid: Solid | None
    _person: Person | None
    z: float = 0.0

    @property
    def solid(self) -> Solid:
        assert self._solid is not None
        return self._solid

    @property
    def person(self) -> Person:
        assert self._person is not None
        return self._person
