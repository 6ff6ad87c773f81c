"""Things that stand in the street: each knows where it is and how to draw itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .canvas import Camera, Canvas, F64, Polygon, Texture
from .people import Person, bicyclist, pedestrian
from .textures import BGR, Light, shade
from .vehicles import Solid

POLE = 2


class Prop(Protocol):
    """Anything placed at a ground point."""

    @property
    def x(self) -> float: ...

    @property
    def z(self) -> float: ...

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        """Draws it, unless it is too small to be recognised."""


@dataclass(frozen=True)
class Panel:
    """A flat thing that stays where it is: a facade, a fence, a hedge. ``corner`` is its top left, seen from the road."""

    texture: Texture
    corner: F64
    along: F64
    down: F64

    @property
    def x(self) -> float:
        return float(self.corner[0] + self.along[0] / 2)

    @property
    def z(self) -> float:
        return float(self.corner[2] + self.along[2] / 2)

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        for crop in self._pieces(camera):
            canvas.plane(camera, self.texture, self.corner, self.along, self.down, crop)

    def _pieces(self, camera: Camera) -> list[tuple[float, float]]:
        # One resolution serves one piece, so a long facade is cut where its distance doubles.
        if abs(self.along[2]) < 1.0:
            return [(0.0, 1.0)]
        cuts = []
        for distance in (3.0, 7.0, 16.0, 36.0):
            share = (camera.position[2] + distance - self.corner[2]) / self.along[2]
            if 0.06 < share < 0.94:
                cuts.append(float(share))
        edges = [0.0, *sorted(cuts), 1.0]
        return list(zip(edges[:-1], edges[1:]))


@dataclass(frozen=True)
class Billboard:
    """An upright picture that turns to the camera: a tree, a sign, a shadow's opposite."""

    texture: Texture
    x: float
    z: float
    width: float
    height: float
    base: float = 0.0
    min_px: float = 6.0
    turns: bool = True

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        if min(self.width, self.height) * camera.focal < self.min_px * depth or depth < 0.8:
            return
        right = np.array([math.cos(camera.yaw), 0.0, -math.sin(camera.yaw)]) if self.turns else np.array([1.0, 0.0, 0.0])
        along = right * self.width
        corner = np.array([self.x, self.base + self.height, self.z]) - along / 2
        canvas.plane(camera, self.texture, corner, along, np.array([0.0, -self.height, 0.0]))


@dataclass(frozen=True)
class Post:
    """A pole with an optional lamp arm over the road (``arm`` metres along X)."""

    x: float
    z: float
    height: float
    radius: float
    bgr: BGR
    light: Light
    arm: float = 0.0
    lit: bool = False
    min_px: float = 1.8

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        if 2 * self.radius * camera.focal < self.min_px * depth or depth < 0.8:
            return
        top = self.height
        line = [(self.x, 0.0, self.z), (self.x, top, self.z)]
        if self.arm:
            line += [(self.x + 0.6 * self.arm, top + 0.35, self.z), (self.x + self.arm, top + 0.3, self.z)]
        points, depths = camera.to_image(np.array(line))
        if depths.min() < 0.5:
            return
        half = self.radius * camera.focal / depth
        side = 1.0 if math.sin(self.light.azimuth) > 0 else -1.0
        base = self.light.on(0, 0.2, -0.6)
        (x0, y0), (x1, y1) = points[:2]
        wide = half * 1.25
        body = np.array([[x0 - wide, y0], [x0 + wide, y0], [x1 + half * 0.8, y1], [x1 - half * 0.8, y1]])
        lit = body.copy()
        lit[[0, 3] if side > 0 else [1, 2], 0] += side * half * 1.2
        polygons = [Polygon(body, shade(self.bgr, 0.72 * base)), Polygon(lit, shade(self.bgr, 1.25 * base))]
        if self.arm:
            thick = max(half * 0.7, 0.7)
            for (xa, ya), (xb, yb) in zip(points[1:3], points[2:]):
                polygons.append(
                    Polygon(
                        np.array([[xa, ya - thick], [xb, yb - thick], [xb, yb + thick], [xa, ya + thick]]),
                        shade(self.bgr, base),
                    )
                )
            xl, yl = points[3]
            r = 0.32 * camera.focal / depth
            head: BGR = (190, 235, 255) if self.lit else shade(self.bgr, 0.9 * base)
            polygons.append(Polygon(np.array([[xl - r, yl - r * 0.3], [xl + r, yl - r * 0.3], [xl + r * 0.8, yl + r * 0.35],
                                              [xl - r * 0.8, yl + r * 0.35]]), head))  # fmt: skip
        canvas.polygons(polygons, POLE, depth)


@dataclass(frozen=True)
class Body:
    """A vehicle or a box on the ground."""

    solid: Solid
    x: float
    z: float
    heading: float
    light: Light
    min_px: float = 7.0

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        if self.solid.size[1] * camera.focal >= self.min_px * depth:
            self.solid.draw(canvas, camera, self.x, self.z, self.heading, self.light)


@dataclass(frozen=True)
class Walker:
    """A pedestrian, or with ``rides`` a bicyclist, at one moment."""

    person: Person
    x: float
    z: float
    heading: float
    phase: float
    light: Light
    rides: bool = False
    min_px: float = 13.0

    def draw(self, canvas: Canvas, camera: Camera, depth: float) -> None:
        if self.person.height * camera.focal < self.min_px * depth or depth < 1.2:
            return
        pose = bicyclist if self.rides else pedestrian
        pose(canvas, camera, self.light, self.person, self.x, self.z, self.heading, self.phase)
