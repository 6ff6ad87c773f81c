"""Pedestrians and bicyclists: jointed figures, posed anew for every frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .canvas import NEAR, Camera, Canvas, F64, Polygon
from .textures import BGR, Light, Rng, jitter, paint, shade

PEDESTRIAN, BICYCLIST = 9, 10
_SKIN: tuple[BGR, ...] = ((120, 150, 205), (95, 125, 180), (60, 85, 130), (45, 60, 90))
_CIRCLE = np.stack([np.cos(np.arange(14) * math.pi / 7), np.sin(np.arange(14) * math.pi / 7)], 1)


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
            hair=jitter(rng, ((35, 38, 45), (50, 70, 95), (95, 140, 170), (150, 150, 150))[int(rng.integers(4))]),
            shoes=jitter(rng, (40, 40, 42)) if rng.random() < 0.7 else paint(rng),
            bag=paint(rng) if rng.random() < 0.35 else None,
            long_coat=bool(rng.random() < 0.3),
            broad=float(rng.uniform(0.92, 1.2)),
        )


class _Figure:
    """Collects limbs in body axes (lateral, up, forward) and draws them far to near."""

    def __init__(self, camera: Camera, x: float, z: float, heading: float, light: Light) -> None:
        self._camera, self._light = camera, light
        sine, cosine = math.sin(heading), math.cos(heading)
        self._turn = np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])
        self._place = np.array([x, 0.0, z])
        self._parts: list[tuple[float, Polygon, Polygon]] = []
        # Which side of a limb the sun makes brighter, in the image.
        self._lit = 1.0 if math.sin(light.azimuth - camera.yaw) > 0 else -1.0

    def _project(self, points: list[tuple[float, float, float]]) -> tuple[F64, F64]:
        return self._camera.to_image(np.array(points) @ self._turn + self._place)

    def limb(
        self, a: tuple[float, float, float], b: tuple[float, float, float], ra: float, rb: float, bgr: BGR, near: float = 0.0
    ) -> None:
        """A tapered limb from a to b with radii in metres; ``near`` moves it forward in the drawing order."""
        (pa, pb), (da, db) = self._project([a, b])
        if min(da, db) < NEAR:
            return
        axis = pb - pa
        length = max(float(np.hypot(*axis)), 1e-6)
        axis = axis / length
        across = np.array([-axis[1], axis[0]])
        if across[0] < 0:
            across = -across
        wa, wb = max(ra * self._camera.focal / da, 0.55), max(rb * self._camera.focal / db, 0.55)
        along_a, along_b = axis * wa * 0.5, axis * wb * 0.5
        outline = np.array(
            [pa + across * wa - along_a * 0.3, pa + across * 0.6 * wa - along_a, pa - across * 0.6 * wa - along_a, pa - across * wa - along_a * 0.3,
             pb - across * wb + along_b * 0.3, pb - across * 0.6 * wb + along_b, pb + across * 0.6 * wb + along_b, pb + across * wb + along_b * 0.3]
        )  # fmt: skip
        bright = across * self._lit
        stripe = np.array([pa + bright * wa, pa + bright * 0.1 * wa, pb + bright * 0.1 * wb, pb + bright * wb])
        base, strength = self._light.on(0, 0.3, -0.6), 0.10 + 0.22 * self._light.sun
        depth = (da + db) / 2 - near
        self._parts.append(
            (
                float(depth),
                Polygon(outline, shade(bgr, base * (1 - strength))),
                Polygon(stripe, shade(bgr, base * (1 + strength))),
            )
        )

    def disc(self, at: tuple[float, float, float], radius: float, bgr: BGR, near: float = 0.0, squash: float = 1.0) -> None:
        (centre,), (depth,) = self._project([at])
        if depth < NEAR:
            return
        r = max(radius * self._camera.focal / depth, 0.6)
        base = self._light.on(0, 0.3, -0.6)
        ring = _CIRCLE * (r * squash, r)
        inner = ring * 0.6 + (0.35 * r * squash * self._lit, -0.2 * r)
        self._parts.append(
            (
                float(depth) - near,
                Polygon(centre + ring, shade(bgr, base * 0.88)),
                Polygon(centre + inner, shade(bgr, base * 1.08)),
            )
        )

    def wheel(self, at: tuple[float, float, float], radius: float, bgr: BGR) -> None:
        """A wheel in the plane of travel: tyre and a spoked disc. From behind it is a narrow upright ellipse."""
        ring = [(at[0], at[1] + radius * s, at[2] + radius * c) for c, s in _CIRCLE]
        points, depth = self._project(ring)
        if depth.min() < NEAR:
            return
        middle = points.mean(0)
        wide = max(0.022 * self._camera.focal / float(depth.mean()), 0.8)
        # Edge-on, the projected circle has no area: give it the tyre's width.
        offset = points - middle
        offset[:, 0] += np.where(offset[:, 0] >= 0, wide, -wide)
        inner = offset * 0.80
        spokes = shade(bgr, 2.6 * self._light.on(0, 0.3, -0.6))
        self._parts.append((float(depth.mean()), Polygon(middle + offset, bgr), Polygon(middle + inner, spokes)))

    def draw(self, canvas: Canvas, label: int) -> None:
        self._parts.sort(key=lambda part: -part[0])
        polygons = [polygon for _, back, front in self._parts for polygon in (back, front)]
        if polygons:
            canvas.polygons(polygons, label, self._parts[-1][0])


def pedestrian(
    canvas: Canvas, camera: Camera, light: Light, person: Person, x: float, z: float, heading: float, phase: float
) -> None:
    """Draws a walking person; ``phase`` is the gait's angle in radians (one full stride is 2 pi)."""
    figure, h = _Figure(camera, x, z, heading, light), person.height
    hip, shoulder, b = 0.50 * h, 0.81 * h, person.broad
    for side, swing in ((-1.0, phase), (1.0, phase + math.pi)):
        stride = 0.42 * math.sin(swing)
        bend = 0.5 * max(0.0, math.cos(swing)) + 0.06
        knee = (side * 0.055 * h, hip - 0.245 * h * math.cos(stride), 0.245 * h * math.sin(stride))
        lower = stride - bend
        foot = (side * 0.055 * h, max(0.03, knee[1] - 0.245 * h * math.cos(lower)), knee[2] + 0.245 * h * math.sin(lower))
        figure.limb((side * 0.05 * h, hip, 0.0), knee, 0.052 * h * b, 0.040 * h, person.legs)
        figure.limb(knee, foot, 0.040 * h, 0.028 * h, person.legs)
        figure.limb(
            (foot[0], 0.02 + foot[1] - 0.03, foot[2] - 0.02),
            (foot[0], foot[1] - 0.01, foot[2] + 0.10 * h),
            0.026 * h,
            0.022 * h,
            person.shoes,
        )
        arm = -0.75 * stride
        top = (side * 0.115 * h * b, shoulder - 0.01 * h, 0.0)
        elbow = (side * 0.135 * h * b, shoulder - 0.17 * h * math.cos(arm), 0.17 * h * math.sin(arm))
        hand = (side * 0.135 * h * b, elbow[1] - 0.14 * h * math.cos(arm + 0.35), elbow[2] + 0.14 * h * math.sin(arm + 0.35))
        figure.limb(top, elbow, 0.036 * h, 0.030 * h, person.coat, near=-0.02)
        figure.limb(elbow, hand, 0.030 * h, 0.024 * h, person.coat, near=-0.02)
        figure.disc(hand, 0.022 * h, person.skin)
    hem = 0.34 * h if person.long_coat else 0.47 * h
    figure.limb((0.0, shoulder, 0.0), (0.0, hem, 0.0), 0.105 * h * b, 0.085 * h * b, person.coat, near=0.05)
    figure.limb((0.0, shoulder + 0.01 * h, 0.01), (0.0, 0.86 * h, 0.01), 0.03 * h, 0.028 * h, person.skin, near=0.06)
    figure.disc((0.0, 0.93 * h, 0.02), 0.062 * h, person.skin, near=0.07, squash=0.82)
    figure.disc(
        (0.0, 0.955 * h, -0.015),
        0.060 * h,
        person.hair,
        near=0.06 if math.cos(heading - camera.yaw) < 0 else 0.12,
        squash=0.88,
    )
    if person.bag is not None:
        figure.limb((0.0, 0.77 * h, -0.12 * h), (0.0, 0.58 * h, -0.12 * h), 0.075 * h, 0.07 * h, person.bag)
    figure.draw(canvas, PEDESTRIAN)


def bicyclist(
    canvas: Canvas, camera: Camera, light: Light, person: Person, x: float, z: float, heading: float, phase: float
) -> None:
    """Draws a rider on a bicycle; ``phase`` is the crank's angle in radians. Bicycle and rider are one class, as in CamVid."""
    figure, h = _Figure(camera, x, z, heading, light), person.height
    tyre, frame, b = (36, 36, 36), person.shoes, person.broad
    wheel_r = 0.35
    rear, front, crank = (0.0, wheel_r, -0.52), (0.0, wheel_r, 0.55), (0.0, 0.30, -0.08)
    saddle, head = (0.0, 0.95, -0.24), (0.0, 0.90, 0.42)
    figure.wheel(rear, wheel_r, tyre)
    figure.wheel(front, wheel_r, tyre)
    for a, c in ((rear, crank), (crank, saddle), (saddle, head), (crank, head), (head, front), (rear, saddle)):
        figure.limb(a, c, 0.026, 0.026, frame)
    figure.limb((-0.26, 1.03, 0.40), (0.26, 1.03, 0.40), 0.026, 0.026, tyre)
    hip, shoulder = (0.0, 1.02, -0.22), (0.0, 1.02 + 0.27 * h, 0.06)
    thigh = shin = 0.255 * h
    for side, turn in ((-1.0, phase), (1.0, phase + math.pi)):
        foot = (side * 0.10, crank[1] + 0.17 * math.sin(turn), crank[2] + 0.17 * math.cos(turn))
        dy, dz = foot[1] - hip[1], foot[2] - hip[2]
        reach = min(math.hypot(dy, dz), thigh + shin - 1e-3)
        lift = math.acos(reach / (2 * thigh))  # both bones are equally long
        angle = math.atan2(dz, -dy) + lift
        knee = (side * 0.11, hip[1] - thigh * math.cos(angle), hip[2] + thigh * math.sin(angle))
        figure.limb((side * 0.09, hip[1], hip[2]), knee, 0.058 * h * b, 0.044 * h, person.legs)
        figure.limb(knee, foot, 0.042 * h, 0.03 * h, person.legs)
        figure.limb((foot[0], foot[1], foot[2] - 0.05), (foot[0], foot[1], foot[2] + 0.14), 0.035, 0.03, person.shoes)
        elbow = (side * 0.24, shoulder[1] - 0.20, 0.22)
        figure.limb((side * 0.17 * b, shoulder[1] - 0.03, shoulder[2]), elbow, 0.040 * h, 0.032 * h, person.coat)
        figure.limb(elbow, (side * 0.24, 1.05, 0.40), 0.032 * h, 0.024 * h, person.coat)
    figure.limb(shoulder, hip, 0.115 * h * b, 0.10 * h * b, person.coat, near=0.04)
    figure.disc((0.0, shoulder[1] + 0.13 * h, 0.14), 0.064 * h, person.skin, near=0.02, squash=0.85)
    helmet = person.hair if person.bag is None else person.bag
    figure.disc((0.0, shoulder[1] + 0.16 * h, 0.12), 0.066 * h, helmet, near=0.05)
    figure.draw(canvas, BICYCLIST)
