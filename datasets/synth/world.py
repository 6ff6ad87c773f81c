"""The street of one scene: what stands where, and where everything that moves is at a time.

The street is endless. It is made in chunks of one ground period, each from its own random stream, so any moment can be
visited in any order. Moving things are closed functions of time; one that leaves the view is reborn at its other end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .domains import Domain
from .draw import sprites
from .draw.canvas import Camera, Texture
from .draw.ground import PERIOD, Street
from .draw.planes import Plane, PlaneSet, upright, wall
from .draw.sticks import Sticks
from .draw.textures import BGR, Light, Rng, jitter, paint
from .facades import FACADE_PX, FacadeStyle, facade
from .people import Person
from .vehicles import SHAPES, Placed, litter_bin, vehicle

#: Depth up to which things are drawn, metres.
REACH = 100.0
# Streams of random numbers; a new kind of thing takes a new number, so that old scenes stay as they are.
_SCENE, _CHUNK, _MOVER, _EGO, _CAR = range(5)
_PARKED = 14  # different parked cars in one street
_SHADOW_M = 0.02  # above the ground


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


@dataclass(frozen=True)
class View:
    """The part of the street that a camera can see.

    Attributes:
        backdrop: Houses and what stands between them; drawn first and veiled by haze pixel by pixel.
        shadows: Lie on the ground.
        props: Trees, fences, signs: drawn among the moving things, by depth.
        posts: Poles and lamp arms.
        solids: Parked vehicles, bins.
    """

    backdrop: PlaneSet
    shadows: PlaneSet
    props: PlaneSet
    posts: Sticks
    solids: tuple[Standing, ...]

    @classmethod
    def build(cls, parts: Sequence[Parts]) -> View:
        """Everything of several chunks in one, so that a frame projects it in one go."""
        return cls(
            PlaneSet([plane for part in parts for plane in part.backdrop]),
            PlaneSet([plane for part in parts for plane in part.shadows]),
            PlaneSet([plane for part in parts for plane in part.props]),
            Sticks([row for part in parts for row in part.posts], [bgr for part in parts for bgr in part.post_colours]),
            tuple(solid for part in parts for solid in part.solids),
        )


@dataclass(frozen=True)
class Driving:
    """A vehicle on the move."""

    solid: Placed
    x: float
    z: float


@dataclass(frozen=True)
class Walking:
    """A pedestrian or, with ``rides``, a bicyclist at one moment; ``phase`` is the gait's or the crank's angle."""

    person: Person
    x: float
    z: float
    heading: float
    phase: float
    rides: bool = False


class World:
    """Everything in one scene but the camera's optics.

    Args:
        seed: Scene seed, 0 or more.
        domain: Light, weather and camera.
    """

    def __init__(self, seed: int, domain: Domain) -> None:
        self._seed, self._domain = seed, domain
        rng = self._rng(_SCENE)
        lane, parking = float(rng.uniform(3.0, 3.5)), bool(rng.random() < 0.6)
        self.street = Street(
            half_road=lane + (2.2 if parking else 0.5),
            pavement=float(rng.uniform(2.2, 3.6)),
            lane=lane,
            driving=1 if rng.random() < 0.5 else -1,
        )
        share = float(rng.uniform(0.15, 0.6))
        self._parking = share if parking else 0.0
        self._urban = bool(rng.random() < 0.6)
        self._weather(rng)
        self._styles = [FacadeStyle.draw(rng, self._urban) for _ in range(6)]
        self._storeys = (3.0, 6.5) if self._urban else (1.6, 3.2)
        self._trees = [sprites.tree(rng, self.light) for _ in range(4)]
        self._signs = [_Sign.draw(rng, str(kind)) for kind in rng.permutation(sprites.SIGNS)[:6]]
        self._green = float(rng.uniform(0.2, 0.9))
        self._post_bgr = paint(rng) if rng.random() < 0.4 else jitter(rng, (120, 122, 122))
        self._post_radius = float(rng.uniform(0.09, 0.14))
        self._post_height = float(rng.uniform(5.0, 7.5))
        self._setback = float(rng.choice([0.0, 0.0, 2.5, 3.5])) if self._urban else float(rng.uniform(2.5, 4.5))
        self._fence_kinds = [str(kind) for kind in rng.permutation(sprites.FENCES)[:2]]
        self._lead = float(rng.random())
        layers = sprites.skyline(rng, self.light, (1400, 96))
        # The end of the street, roofs and then treetops in front of them.
        self._skyline = [
            Plane(layer, (-190.0, 14.0, far), (380.0, 0.0, 0.0), (0.0, -14.4, 0.0), follows=True)
            for layer, far in zip(layers, (185.0, 184.5), strict=True)
        ]
        self._shadow = sprites.soft_shadow()
        self._span: tuple[int, int] | None = None
        self._parts: dict[int, Parts] = {}
        self._view = View.build([])
        self._cars: dict[tuple[int, bool], Placed] = {}
        self._lives: dict[tuple[int, int, int], Life] = {}
        self._offsets = self._rng(_MOVER).random((5, 16))
        ego = self._rng(_EGO)
        self._speed = float(ego.uniform(6.0, 11.0))
        self._phase = ego.uniform(0, 2 * math.pi, 8)
        self._start = float(ego.uniform(0, 400))
        self._height = float(ego.normal(1.0, 0.04))

    def _rng(self, *key: int) -> Rng:
        return np.random.default_rng([self._seed, *(value % 2**32 for value in key)])

    def _weather(self, rng: Rng) -> None:
        domain = self._domain
        overcast = rng.random() < 0.4
        sun = float(rng.uniform(0.0, 0.25) if overcast else rng.uniform(0.5, 1.0))
        self.light = Light(azimuth=float(rng.uniform(-math.pi, math.pi)), sun=domain.sun * sun, lit=domain.lit)
        self.clouds = float(rng.uniform(0.7, 1.0) if overcast else rng.uniform(0.1, 0.6))
        blue = (float(rng.uniform(160, 215)), float(rng.uniform(110, 160)), float(rng.uniform(60, 115)))
        grey = float(rng.uniform(150, 215))
        self.zenith: BGR = domain.sky_bgr or ((grey, grey, grey) if overcast else blue)
        glow = rng.uniform(0.92, 1.08, 3) * (0.9 if overcast else 1.0)
        milky = np.clip(np.array(domain.haze_bgr or (222, 215, 205)) * glow, 0, 245)
        self.haze: BGR = (float(milky[0]), float(milky[1]), float(milky[2]))

    # --- the camera's way -----------------------------------------------------------------------------------------------

    def ego_z(self, t: float) -> float:
        """Way of the camera along the street at a time in seconds: never backwards."""
        return self._start + self._speed * (t + 0.8 * math.sin(0.45 * t + self._phase[0]))

    def camera(self, t: float, size_hw: tuple[int, int], focal_px: float) -> Camera:
        """The camera at a time in seconds: on its lane, swaying a little."""
        p = self._phase
        x = self.street.driving * self.street.lane * 0.5 + 0.22 * math.sin(0.37 * t + p[1]) + 0.05 * math.sin(1.7 * t + p[2])
        yaw = 0.016 * math.sin(0.37 * t + p[1] + 1.57) + 0.022 * math.sin(0.21 * t + p[3]) + 0.003 * math.sin(2.9 * t + p[4])
        pitch = self._domain.pitch + 0.006 * math.sin(1.9 * t + p[5]) + 0.004 * math.sin(5.3 * t + p[6])
        height = self._domain.height_m * self._height + 0.012 * math.sin(6.1 * t + p[7])
        return Camera(size_hw, focal_px, np.array([x, height, self.ego_z(t)]), yaw, pitch)

    # --- what stands still ----------------------------------------------------------------------------------------------

    def view(self, z: float) -> View:
        """What a camera at ``z`` can see."""
        span = math.floor((z - 4) / PERIOD), math.floor((z + REACH) / PERIOD)
        if self._span != span:
            self._span = span
            # Only what is seen is kept: an endless ride in bounded memory.
            self._parts = {i: self._parts.get(i) or _Builder(self, self._rng(_CHUNK, i), i * PERIOD).build() for i in
                           range(span[0], span[1] + 1)}  # fmt: skip
            self._view = View.build([Parts(backdrop=self._skyline), *self._parts.values()])
        return self._view

    def parked_car(self, number: int, backwards: bool) -> Placed:
        """One of the street's parked cars, headed along +Z or against it."""
        key = (number, backwards)
        if key not in self._cars:
            rng = self._rng(_CAR, number)
            self._cars[key] = vehicle(rng, shape(rng), lit=False).placed(math.pi if backwards else 0.0, self.light)
        return self._cars[key]

    def shadow(self, x: float, z: float, width: float, length: float) -> Plane:
        """The soft shadow below something that stands on a rectangle of the ground."""
        wide, long = 1.5 * width, 1.45 * length
        return Plane(self._shadow, (x - wide / 2, _SHADOW_M, z + long / 2), (wide, 0.0, 0.0), (0.0, 0.0, -long), near_z=z,
                     range_m=(1.0, 45.0))  # fmt: skip

    # --- what moves -----------------------------------------------------------------------------------------------------

    def movers(self, t: float) -> tuple[list[Driving], list[Walking]]:
        """Vehicles; and pedestrians and bicyclists, at a time in seconds."""
        street, ego = self.street, self.ego_z(t)
        drive, half_lane = street.driving, street.lane / 2
        cars: list[Driving] = []
        people: list[Walking] = []
        for slot in range(3):  # oncoming
            life = self._life(0, slot, ego, t, -9.5, 150.0, 6.0)
            if life.luck < 0.8:
                cars.append(Driving(life.solid, -drive * half_lane + 0.3 * (life.a - 0.5), life.z))
        if self._lead < 0.6:
            life = self._life(1, 0, ego, 0.0, 0.0, math.inf, 0.0)
            gap = 9 + 17 * life.a + 3.0 * math.sin(0.3 * t + 6 * life.b) + life.solid.size[2] / 2
            cars.append(Driving(life.solid, drive * half_lane + 0.15 * math.sin(0.5 * t), ego + gap))
        for slot in range(3):  # bicyclists, two of them in the camera's direction
            way = 1 if slot < 2 else -1
            life = self._life(2, slot, ego, t, 5.0 * way, 64.0, 3.0)
            if life.luck < 0.8:
                x = drive * way * (street.lane - 0.25 - 0.25 * life.a)
                people.append(Walking(life.person, x, life.z, 0.0 if way > 0 else math.pi, 5.2 * t + slot, rides=True))
        for slot in range(12):
            way = 1 if slot % 2 else -1
            speed = 1.1 + 0.06 * slot
            life = self._life(3, slot, ego, t, way * speed, 56.0, 2.0)
            if life.luck < 0.75:
                x = (1 if life.b < 0.5 else -1) * (street.half_road + 0.7 + life.a * (street.pavement - 1.1))
                gait = 2 * math.pi * speed / (0.82 * life.person.height)
                people.append(Walking(life.person, x, life.z, 0.0 if way > 0 else math.pi, gait * t + slot))
        life = self._life(4, 0, ego, t, 0.0, 90.0, 0.0)
        share = (48.0 - (life.z - ego)) / 34.0
        if life.luck < 0.6 and 0 <= share <= 1:  # crosses in front, and has reached the kerb when the camera comes
            way = 1 if life.a < 0.5 else -1
            along = (2 * share - 1) * (street.half_road + 0.6)
            gait = 2 * math.pi / (0.82 * life.person.height)
            people.append(Walking(life.person, way * along, life.z, way * math.pi / 2, along * gait))
        return cars, people

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
            solid, person = None, None
            if kind < 2:
                solid = vehicle(rng, shape(rng), self._domain.lit > 0.1).placed(math.pi if kind == 0 else 0.0, self.light)
            else:
                person = Person.draw(rng)
            self._lives[key] = Life(luck, a, b, solid, person)
        return replace(self._lives[key], z=z)


@dataclass(frozen=True)
class Life:
    """One stay of somebody in the view: looks, three random numbers, and the place now."""

    luck: float
    a: float
    b: float
    _solid: Placed | None
    _person: Person | None
    z: float = 0.0

    @property
    def solid(self) -> Placed:
        assert self._solid is not None
        return self._solid

    @property
    def person(self) -> Person:
        assert self._person is not None
        return self._person


@dataclass(frozen=True)
class _Sign:
    """Front and back of one kind of sign, width and height in metres."""

    kind: str
    front: Texture
    back: Texture
    width: float
    height: float

    @classmethod
    def draw(cls, rng: Rng, kind: str) -> _Sign:
        front, width, height = sprites.sign(rng, kind)
        return cls(kind, front, sprites.sign_back(rng, front), width, height)


def shape(rng: Rng) -> str:
    """The kind of a vehicle."""
    return str(rng.choice(SHAPES, p=[0.28, 0.25, 0.13, 0.16, 0.14, 0.04]))


class _Builder:
    """Fills one chunk of a world's street from ``start`` (Z, metres) on."""

    def __init__(self, world: World, rng: Rng, start: float) -> None:
        self._world, self._rng, self._start = world, rng, start
        self._parts = Parts()

    def build(self) -> Parts:
        for side in (-1, 1):
            self._houses(side)
            self._furniture(side)
        return self._parts

    def _houses(self, side: int) -> None:
        world, rng, z, end = self._world, self._rng, self._start, self._start + PERIOD
        before = (math.inf, 0.0)  # front and height of the nearer neighbour; of a gap
        while z < end - 1:
            width = min(float(rng.uniform(7, 16)), end - z)
            if end - z - width < 5:
                width = end - z
            setback = world._setback + (float(rng.uniform(0.2, 0.9)) if rng.random() < 0.25 else 0.0)
            if rng.random() < (0.14 if world._urban else 0.24):
                self._garden(side, z, width)
                before = (math.inf, 0.0)
            else:
                before = self._house(side, z, width, world.street.edge + setback, before)
                if setback > 2:
                    self._boundary(side, z, width)
                    if rng.random() < 0.5 * world._green:
                        self._tree(
                            self._parts.props,
                            side * (world.street.edge + rng.uniform(1.0, 2.0)),
                            z + rng.uniform(1, width - 1),
                            0.7,
                        )
            z += width

    def _house(self, side: int, z: float, width: float, front: float, before: tuple[float, float]) -> tuple[float, float]:
        world, rng = self._world, self._rng
        light = world.light
        style = world._styles[int(rng.integers(len(world._styles)))]
        height = float(math.floor(3.0 * rng.uniform(*world._storeys))) + style.roof_height + 0.6
        texture = Texture(facade(rng, style, width, height, light, light.on(-side, 0, 0)), sprites.BUILDING)
        self._parts.backdrop += wall(texture, side * front, z, z + width, height, side > 0, split_m=4.5)
        # Its side wall shows where it stands out beside the nearer house, or above it.
        beside, above = before[0] - front, height - before[1]
        deep, tall = (min(7.0, beside + 0.1), height) if beside > 0.05 else (7.0, above + 0.3)
        if tall > 0.35:
            picture = facade(rng, style, deep, height, light, light.on(0, 0, -1), blank=True)[
                : max(8, round(tall * FACADE_PX))
            ]
            left = front if side > 0 else -front - deep
            corner, along = (left, height, z), (deep, 0.0, 0.0)
            self._parts.backdrop.append(
                Plane(Texture(picture, sprites.BUILDING), corner, along, (0.0, -tall, 0.0), near_z=z)
            )
        return front, height

    def _garden(self, side: int, z: float, width: float) -> None:
        """A gap between houses: trees behind a fence or a hedge."""
        for _ in range(int(self._rng.integers(1, 4))):
            x = side * (self._world.street.edge + self._rng.uniform(2.5, 6))
            self._tree(self._parts.backdrop, x, z + self._rng.uniform(0.2, 1.0) * width, 1.0, min_px=12.0)
        self._boundary(side, z, width)

    def _boundary(self, side: int, z: float, width: float) -> None:
        green = self._rng.random() < 0.3
        height = float(self._rng.uniform(0.9, 1.7))
        kind = self._world._fence_kinds[int(self._rng.integers(2))]
        self._fence(side, side * (self._world.street.edge + 0.08), z, width, height, "hedge" if green else kind)

    def _fence(self, side: int, x: float, z: float, length: float, height: float, kind: str) -> None:
        rng, light = self._rng, self._world.light
        bright = light.on(-side, 0, 0)
        hedge = kind == "hedge"
        texture = (
            sprites.hedge(rng, light, length, height, bright) if hedge else sprites.fence(rng, kind, length, height, bright)
        )
        self._parts.props += wall(texture, x, z, z + length, height, side > 0, split_m=4.0)

    def _tree(self, into: list[Plane], x: float, z: float, size: float, min_px: float = 9.0) -> None:
        texture, width, height = self._world._trees[int(self._rng.integers(len(self._world._trees)))]
        size *= float(self._rng.uniform(0.8, 1.15))
        into.append(upright(texture, float(x), float(z), width * size, height * size, min_px=min_px))

    def _furniture(self, side: int) -> None:
        world, rng, start = self._world, self._rng, self._start
        street, kerb = world.street, world.street.half_road
        for z in np.arange(start + rng.uniform(0, 6), start + PERIOD - 2, 16.0 if world._urban else 24.0):
            self._lamp(side, side * (kerb + 0.55), float(z), bool(rng.random() < 2 * world.light.lit))
        for z in start + np.sort(rng.uniform(1, PERIOD - 1, int(rng.integers(3, 6)))):
            self._sign(side, float(z))
        if rng.random() < world._green:
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
            thing = litter_bin(rng).placed(0.0, world.light)
            self._parts.solids.append(Standing(thing, side * (street.edge - 0.5), float(start + rng.uniform(0, PERIOD))))
        if world._parking:
            self._parked(side)

    def _post(self, x: float, z: float, height: float, radius: float) -> None:
        self._parts.posts.append((x, 0.0, z, x, height, z, 1.2 * radius, 0.85 * radius))
        self._parts.post_colours.append(self._world._post_bgr)

    def _lamp(self, side: int, x: float, z: float, lit: bool) -> None:
        world = self._world
        top, r, tip = world._post_height, world._post_radius, x - 1.5 * side
        self._post(x, z, top, r)
        self._parts.posts.append((x, top, z, tip, top + 0.35, z, 0.75 * r, 0.6 * r))
        self._parts.post_colours.append(world._post_bgr)
        self._parts.posts.append((tip - 0.3 * side, top + 0.36, z, tip + 0.25 * side, top + 0.30, z, 0.10, 0.12))
        self._parts.post_colours.append((200, 245, 255) if lit else world._post_bgr)

    def _sign(self, side: int, z: float) -> None:
        world, rng = self._world, self._rng
        sign = world._signs[int(rng.integers(len(world._signs)))]
        board = sign.kind == "board"
        x = side * (world.street.half_road + 0.5 + max(0.0, sign.width / 2 - 0.4))
        facing = side == world.street.driving or rng.random() < 0.4
        base = float(rng.uniform(1.9, 2.4))
        for dx in (-0.35 * sign.width, 0.35 * sign.width) if board else (0.0,):
            self._post(x + dx, z + 0.05, base + 0.9 * sign.height, 0.06)
        self._parts.props.append(upright(sign.front if facing else sign.back, x, z, sign.width, sign.height, base))

    def _parked(self, side: int) -> None:
        world, rng, start = self._world, self._rng, self._start
        x = side * (world.street.half_road - 1.05)
        for z in np.arange(start + 3.2, start + PERIOD - 3, 6.2):
            if rng.random() > world._parking:
                continue
            backwards = (side == world.street.driving) == (rng.random() < 0.15)
            car = world.parked_car(int(rng.integers(_PARKED)), backwards)
            at = (x + float(rng.normal(0, 0.06)), float(z + rng.uniform(-0.4, 0.4)))
            self._parts.solids.append(Standing(car, *at))
            self._parts.shadows.append(world.shadow(*at, car.size[0], car.size[2]))
