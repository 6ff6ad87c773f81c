"""The street of one scene: what stands where, and where everything that moves is at a time.

The street is endless. It is made in chunks of one ground period, each from its own random stream, so any moment can be
visited in any order. Moving things are closed functions of time; one that leaves the view is reborn at its other end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .chunk import Builder, Parts, Standing
from .domains import Domain
from .draw import sprites
from .draw.canvas import Camera
from .draw.ground import PERIOD, Street
from .draw.planes import Plane, PlaneSet
from .draw.sticks import Sticks
from .draw.textures import Light, Rng
from .people import Person
from .setting import Setting
from .vehicles import SHAPES, Placed, vehicle

#: Depth up to which things are drawn, metres.
REACH = 100.0
# Streams of random numbers; a new kind of thing takes a new number, so that old scenes stay as they are.
_SCENE, _CHUNK, _MOVER, _EGO, _CAR = range(5)


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
        self.setting = Setting.draw(rng, domain)
        self._lead = float(rng.random())
        layers = sprites.skyline(rng, self.light, (1400, 96))
        # The end of the street, roofs and then treetops in front of them.
        self._skyline = [
            Plane(layer, (-190.0, 14.0, far), (380.0, 0.0, 0.0), (0.0, -14.4, 0.0), follows=True)
            for layer, far in zip(layers, (185.0, 184.5), strict=True)
        ]
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

    @property
    def street(self) -> Street:
        """Widths of road, lanes and pavement."""
        return self.setting.street

    @property
    def light(self) -> Light:
        """The sun's direction and strength."""
        return self.setting.weather.light

    def _rng(self, *key: int) -> Rng:
        return np.random.default_rng([self._seed, *(value % 2**32 for value in key)])

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
            self._parts = {i: self._parts.get(i) or self._chunk(i) for i in range(span[0], span[1] + 1)}
            self._view = View.build([Parts(backdrop=self._skyline), *self._parts.values()])
        return self._view

    def _chunk(self, number: int) -> Parts:
        return Builder(self.setting, self.parked_car, self._rng(_CHUNK, number), number * PERIOD).build()

    def parked_car(self, number: int, backwards: bool) -> Placed:
        """One of the street's parked cars, headed along +Z or against it."""
        key = (number, backwards)
        if key not in self._cars:
            rng = self._rng(_CAR, number)
            self._cars[key] = vehicle(rng, shape(rng), lit=False).placed(math.pi if backwards else 0.0, self.light)
        return self._cars[key]

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


def shape(rng: Rng) -> str:
    """The kind of a vehicle."""
    return str(rng.choice(SHAPES, p=[0.28, 0.25, 0.13, 0.16, 0.14, 0.04]))
