"""Pedestrians and bicyclists: jointed figures of sticks, posed anew for every frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .draw.canvas import I32, Camera, Haze, to_fixed
from .draw.sticks import Point, Sticks
from .draw.textures import BGR, Light, Rng, jitter, paint, shade
from .vehicles import Shape

PEDESTRIAN, BICYCLIST = 9, 10
_SKIN: tuple[BGR, ...] = ((120, 150, 205), (95, 125, 180), (60, 85, 130), (45, 60, 90))
_HAIR: tuple[BGR, ...] = ((35, 38, 45), (50, 70, 95), (95, 140, 170), (150, 150, 150))
_CIRCLE = np.stack([np.cos(np.arange(14) * math.pi / 7), np.sin(np.arange(14) * math.pi / 7)], 1)
_TYRE: BGR = (36, 36, 36)


@dataclass(frozen=True)
class Person:
    """Looks of one person; lengths follow ``height`` (metres)."""

    height: float
    coat: BGR
    legs: BGR
    skin: BGR
    hair: BGR
    shoes: BGR
    bag: BGR | None
    long_coat: bool
    broad: float

    @classmethod
    def draw(cls, rng: Rng) -> Person:
        return cls(
            height=float(rng.uniform(1.55, 1.9)),
            coat=paint(rng),
            legs=paint(rng),
            skin=jitter(rng, _SKIN[int(rng.integers(len(_SKIN)))]),
            hair=jitter(rng, _HAIR[int(rng.integers(len(_HAIR)))]),
            shoes=jitter(rng, (40, 40, 42)) if rng.random() < 0.7 else paint(rng),
            bag=paint(rng) if rng.random() < 0.35 else None,
            long_coat=bool(rng.random() < 0.3),
            broad=float(rng.uniform(0.92, 1.2)),
        )


class Pose:
    """A figure in body axes: x to its right, y up, z forward, metres, the origin on the ground."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.colours: list[BGR] = []
        self.lift: list[float] = []
        self.wheels: list[tuple[Point, float]] = []

    def limb(self, a: Point, b: Point, ra: float, rb: float, bgr: BGR, lift: float = 0.0) -> None:
        """A limb from a to b with its radii; ``lift`` (metres) draws it as if it were that much nearer."""
        self.rows.append((*a, *b, ra, rb))
        self.colours.append(bgr)
        self.lift.append(lift)


class Figure(NamedTuple):
    """Somebody to draw: a pose, where (x, z, heading) and the class."""

    pose: Pose
    x: float
    z: float
    heading: float
    label: int


def project(camera: Camera, light: Light, haze: Haze, figures: Sequence[Figure]) -> list[Shape]:
    """Projects figures together; of each, wheels come first and then limbs, far to near."""
    if not figures:
        return []
    counts = [len(figure.pose.rows) for figure in figures]
    bundle = Sticks(
        [row for figure in figures for row in figure.pose.rows], [bgr for figure in figures for bgr in figure.pose.colours]
    )
    places = np.array([(figure.x, figure.z, figure.heading) for figure in figures])
    drawn = bundle.placed(*np.repeat(places, counts, axis=0).T).project(camera, light)
    dark, bright = drawn.paint(light, np.exp(-haze.per_m * drawn.depth)[:, None], haze.bgr)
    striped = (drawn.radius.max(1) > 1.6).tolist()
    order_key = drawn.depth - np.concatenate([figure.pose.lift for figure in figures])
    shapes, first = [], 0
    for figure in figures:
        end = first + len(figure.pose.lift)
        depth = float(drawn.depth[first:end].mean())
        polygons, colours = _wheels(camera, light, haze, figure, depth)
        for i in (np.argsort(-order_key[first:end], kind="stable") + first).tolist():
            polygons.append(drawn.outline[i])
            colours.append(dark[i])
            if striped[i]:
                polygons.append(drawn.stripe[i])
                colours.append(bright[i])
        shapes.append(Shape(polygons, colours, figure.label, depth))
        first = end
    return shapes


def _wheels(camera: Camera, light: Light, haze: Haze, figure: Figure, depth: float) -> tuple[list[I32], list[list[float]]]:
    polygons: list[I32] = []
    colours: list[list[float]] = []
    clear, lit = haze.clear(depth), light.on(0, 0.3, -0.6)
    for (wx, wy, wz), radius in figure.pose.wheels:
        sine, cosine = math.sin(figure.heading), math.cos(figure.heading)
        up, forward = wy + radius * _CIRCLE[:, 1], wz + radius * _CIRCLE[:, 0]
        ring = np.stack([figure.x + wx * cosine + forward * sine, up, figure.z - wx * sine + forward * cosine], 1)
        seen = camera.homogeneous(ring)
        if seen[:, 2].min() < 0.5:
            continue
        points = seen[:, :2] / seen[:, 2:]
        middle = points.mean(0)
        offset = points - middle
        # Edge-on, the projected circle has no area: it gets the tyre's width.
        offset[:, 0] += np.where(offset[:, 0] >= 0, 1.0, -1.0) * max(0.022 * camera.focal / depth, 0.8)
        polygons += [to_fixed(middle + offset), to_fixed(middle + 0.8 * offset)]
        for colour in (shade(_TYRE, lit), shade(_TYRE, 2.6 * lit)):
            colours.append((np.array(colour) * clear + haze.bgr * (1 - clear)).tolist())
    return polygons, colours


def walking(person: Person, phase: float, fine: bool = True) -> Pose:
    """A walking person; ``phase`` is the gait's angle (one full stride is 2 pi radians), ``fine`` adds hands and shoes."""
    pose, h, b = Pose(), person.height, person.broad
    hip, shoulder = 0.50 * h, 0.81 * h
    for side, swing in ((-1.0, phase), (1.0, phase + math.pi)):
        stride = 0.42 * math.sin(swing)
        bend = 0.5 * max(0.0, math.cos(swing)) + 0.06
        knee = (side * 0.055 * h, hip - 0.245 * h * math.cos(stride), 0.245 * h * math.sin(stride))
        lower = stride - bend
        foot_y = max(0.03, knee[1] - 0.245 * h * math.cos(lower))
        foot = (side * 0.055 * h, foot_y, knee[2] + 0.245 * h * math.sin(lower))
        pose.limb((side * 0.05 * h, hip, 0.0), knee, 0.052 * h * b, 0.040 * h, person.legs)
        pose.limb(knee, foot, 0.040 * h, 0.028 * h, person.legs)
        heel, toe = (foot[0], foot_y - 0.01, foot[2] - 0.02), (foot[0], foot_y - 0.01, foot[2] + 0.10 * h)
        if fine:
            pose.limb(heel, toe, 0.026 * h, 0.022 * h, person.shoes)
        arm = -0.75 * stride
        top = (side * 0.115 * h * b, shoulder - 0.01 * h, 0.0)
        elbow = (side * 0.135 * h * b, shoulder - 0.17 * h * math.cos(arm), 0.17 * h * math.sin(arm))
        reach = arm + 0.35
        hand = (elbow[0], elbow[1] - 0.14 * h * math.cos(reach), elbow[2] + 0.14 * h * math.sin(reach))
        pose.limb(top, elbow, 0.036 * h, 0.030 * h, person.coat, lift=-0.02)
        pose.limb(elbow, hand, 0.030 * h, 0.024 * h, person.coat, lift=-0.02)
        if fine:
            pose.limb(hand, (hand[0], hand[1] - 0.03 * h, hand[2]), 0.022 * h, 0.018 * h, person.skin)
    hem = (0.34 if person.long_coat else 0.47) * h
    pose.limb((0.0, shoulder, 0.0), (0.0, hem, 0.0), 0.105 * h * b, 0.085 * h * b, person.coat, lift=0.05)
    pose.limb((0.0, shoulder + 0.01 * h, 0.01), (0.0, 0.86 * h, 0.01), 0.030 * h, 0.028 * h, person.skin, lift=0.06)
    pose.limb((0.0, 0.895 * h, 0.03), (0.0, 0.95 * h, 0.03), 0.048 * h, 0.050 * h, person.skin, lift=0.07)
    pose.limb((0.0, 0.93 * h, -0.02), (0.0, 0.972 * h, -0.02), 0.050 * h, 0.046 * h, person.hair, lift=0.08)
    if person.bag is not None:
        pose.limb((0.0, 0.77 * h, -0.12 * h), (0.0, 0.58 * h, -0.12 * h), 0.075 * h, 0.07 * h, person.bag)
    return pose


def riding(person: Person, phase: float, fine: bool = True) -> Pose:
    """A rider on a bicycle; ``phase`` is the crank's angle in radians, ``fine`` adds shoes.

    Bicycle and rider are one class, as in CamVid.
    """
    pose, h, b = Pose(), person.height, person.broad
    wheel_r = 0.35
    rear, front, crank = (0.0, wheel_r, -0.52), (0.0, wheel_r, 0.55), (0.0, 0.30, -0.08)
    saddle, head = (0.0, 0.95, -0.24), (0.0, 0.90, 0.42)
    pose.wheels = [(front, wheel_r), (rear, wheel_r)]
    for a, c in ((rear, crank), (crank, saddle), (saddle, head), (crank, head), (head, front), (rear, saddle)):
        pose.limb(a, c, 0.026, 0.026, person.shoes)
    pose.limb((-0.26, 1.03, 0.40), (0.26, 1.03, 0.40), 0.026, 0.026, _TYRE)
    hip, shoulder = (0.0, 1.02, -0.22), (0.0, 1.02 + 0.27 * h, 0.06)
    bone = 0.255 * h  # thigh and shin
    for side, turn in ((-1.0, phase), (1.0, phase + math.pi)):
        foot = (side * 0.10, crank[1] + 0.17 * math.sin(turn), crank[2] + 0.17 * math.cos(turn))
        dy, dz = foot[1] - hip[1], foot[2] - hip[2]
        angle = math.atan2(dz, -dy) + math.acos(min(math.hypot(dy, dz), 2 * bone - 1e-3) / (2 * bone))
        knee = (side * 0.11, hip[1] - bone * math.cos(angle), hip[2] + bone * math.sin(angle))
        pose.limb((side * 0.09, hip[1], hip[2]), knee, 0.058 * h * b, 0.044 * h, person.legs)
        pose.limb(knee, foot, 0.042 * h, 0.03 * h, person.legs)
        if fine:
            pose.limb((foot[0], foot[1], foot[2] - 0.05), (foot[0], foot[1], foot[2] + 0.14), 0.035, 0.03, person.shoes)
        elbow = (side * 0.24, shoulder[1] - 0.20, 0.22)
        pose.limb((side * 0.17 * b, shoulder[1] - 0.03, shoulder[2]), elbow, 0.040 * h, 0.032 * h, person.coat)
        pose.limb(elbow, (side * 0.24, 1.05, 0.40), 0.032 * h, 0.024 * h, person.coat)
    pose.limb(shoulder, hip, 0.115 * h * b, 0.10 * h * b, person.coat, lift=0.04)
    chin, crown = shoulder[1] + 0.10 * h, shoulder[1] + 0.155 * h
    pose.limb((0.0, chin, 0.13), (0.0, crown, 0.13), 0.048 * h, 0.052 * h, person.skin, lift=0.05)
    helmet = person.hair if person.bag is None else person.bag
    pose.limb((0.0, crown, 0.10), (0.0, crown + 0.03 * h, 0.10), 0.056 * h, 0.050 * h, helmet, lift=0.07)
    return pose
