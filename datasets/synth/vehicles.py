"""Vehicles as low-poly solids: bodies, glass, wheels and lamps, flat shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .draw.canvas import F64, I32, I64, NEAR, Camera, Haze, to_fixed
from .draw.sticks import Point
from .draw.textures import BGR, Light, Rng, jitter, paint, shade

CAR, VOID = 8, 11
#: Length, width, height, bonnet (share of the length), boot (share), wheel radius; metres where not a share.
_SHAPES: dict[str, tuple[float, float, float, float, float, float]] = {
    "hatchback": (3.9, 1.70, 1.48, 0.27, 0.03, 0.30),
    "saloon": (4.6, 1.80, 1.44, 0.28, 0.17, 0.31),
    "estate": (4.7, 1.82, 1.50, 0.27, 0.02, 0.32),
    "suv": (4.5, 1.92, 1.75, 0.25, 0.02, 0.36),
    "van": (5.0, 1.98, 2.10, 0.14, 0.0, 0.34),
    "truck": (6.6, 2.30, 2.90, 0.05, 0.0, 0.44),
}
SHAPES = tuple(_SHAPES)
_GLASS: BGR = (72, 64, 56)
_TYRE: BGR = (34, 33, 33)


class Solid:
    """A rigid body of flat faces. Local axes: x right, y up, z forward, origin on the ground below its middle.

    Faces are drawn in the order in which they were added, without sorting: bodies are a lower convex part and, added
    later, an upper one, and the camera looks from above the line between them.
    """

    def __init__(self, label: int, size: tuple[float, float, float]) -> None:
        self.label, self.size = label, size  # width, height, length
        self._faces: list[tuple[F64, F64, BGR, bool, bool, int]] = []

    def face(
        self, points: Sequence[Point], outward: Point, bgr: BGR, *, shine: bool = False, glow: bool = False, detail: int = 0
    ) -> None:  # fmt: skip
        """Adds a convex face.

        Args:
            outward: Settles which of its two sides is seen.
            shine: Mirrors the sky where it looks up.
            glow: Gives its own light.
            detail: 0 always drawn, 1 left out far away, 2 drawn near by only.
        """
        corners = np.array(points, np.float64)
        # The first three corners settle the face's direction, here and in the image: they must not lie on one line.
        normals = _cross(_turned(corners, 1) - corners, _turned(corners, 2) - corners)
        areas = np.sqrt((normals**2).sum(1))
        widest = int(areas.argmax())
        corners, normal = _turned(corners, widest), normals[widest] / max(float(areas[widest]), 1e-9)
        if normal @ np.array(outward) < 0:
            corners, normal = _turned(corners[::-1], len(corners) - 3), -normal
        self._faces.append((corners, normal, bgr, shine, glow, detail))

    def placed(self, heading: float, light: Light) -> Placed:
        """Turned to a heading (of its front, from +Z towards +X, radians) and lit."""
        sine, cosine = math.sin(heading), math.cos(heading)
        turn = np.array([[cosine, 0.0, -sine], [0.0, 1.0, 0.0], [sine, 0.0, cosine]])
        colours = []
        for _, normal, bgr, shine, glow, _ in self._faces:
            nx, ny, nz = (float(value) for value in normal @ turn)
            factor = 1.0 if glow else light.on(nx, ny, nz) * (1.12 if shine and ny > 0.4 else 1.0)
            colours.append(shade(bgr, factor))
        levels = []
        for finest in range(3):
            chosen = [i for i, face in enumerate(self._faces) if face[5] <= finest]
            vertices = np.concatenate([self._faces[i][0] for i in chosen]) @ turn
            starts = np.cumsum([0, *(len(self._faces[i][0]) for i in chosen)])
            levels.append(Mesh(vertices, starts, np.array([colours[i] for i in chosen])))
        return Placed(self.label, self.size, tuple(levels))


def _turned(rows: F64, by: int) -> F64:
    """``np.roll(rows, -by, 0)``, which takes longer than the rest of a face does."""
    by %= len(rows)
    return np.concatenate([rows[by:], rows[:by]])


def _cross(a: F64, b: F64) -> F64:
    """``np.cross`` of rows, (n, 3)."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], 1)


class Mesh(NamedTuple):
    """Faces of a solid in its final heading.

    Attributes:
        vertices: (V, 3), faces one after the other, each seen clockwise from its outside.
        starts: (F + 1,) first vertex of each face.
        colours: (F, 3) B, G, R in the scene's light.
    """

    vertices: F64
    starts: I64
    colours: F64


class Placed(NamedTuple):
    """A solid in its final heading; only its place is still open. ``levels`` go from coarse to fine."""

    label: int
    size: tuple[float, float, float]
    levels: tuple[Mesh, ...]

    def mesh(self, tall_px: float) -> Mesh:
        """What can be seen of it at a height in the image."""
        return self.levels[2 if tall_px > 62 else (1 if tall_px > 26 else 0)]


class Shape(NamedTuple):
    """A solid as the camera sees it: what :meth:`Canvas.polygons` takes."""

    polygons: list[I32]
    colours: list[list[float]]
    label: int
    depth: float


def project(camera: Camera, haze: Haze, items: Sequence[tuple[Placed, float, float, float]]) -> list[Shape]:
    """Projects solids together. Each item is the solid, its x and z, and the depth of its middle."""
    if not items:
        return []
    meshes = [solid.mesh(solid.size[1] * camera.focal / depth) for solid, _, _, depth in items]
    counts = [len(mesh.vertices) for mesh in meshes]
    places = np.repeat(np.array([(x, 0.0, z) for _, x, z, _ in items]), counts, axis=0)
    seen = camera.homogeneous(np.concatenate([mesh.vertices for mesh in meshes]) + places)
    offsets = np.cumsum([0, *counts])
    nearest = np.minimum.reduceat(seen[:, 2], offsets[:-1])
    points = seen[:, :2] / np.maximum(seen[:, 2:], NEAR)
    low, high = np.minimum.reduceat(points, offsets[:-1]), np.maximum.reduceat(points, offsets[:-1])
    height, width = camera.size_hw
    visible = (nearest > NEAR) & (high > 0).all(1) & (low < (width, height)).all(1)
    fixed = to_fixed(points)
    begin = np.concatenate([mesh.starts[:-1] + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)])
    end = np.concatenate([mesh.starts[1:] + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)])
    a, b = points[begin + 1] - points[begin], points[begin + 2] - points[begin]
    facing = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] > 0
    shapes, first = [], 0
    for i, (mesh, (solid, _, _, depth)) in enumerate(zip(meshes, items, strict=True)):
        faces = len(mesh.colours)
        if visible[i]:
            drawn = np.flatnonzero(facing[first : first + faces])
            clear = haze.clear(depth)
            colours = (mesh.colours[drawn] * clear + haze.bgr * (1 - clear)).tolist()
            spans = zip(begin[drawn + first].tolist(), end[drawn + first].tolist(), strict=True)
            shapes.append(Shape([fixed[m:n] for m, n in spans], colours, solid.label, depth))
        first += faces
    return shapes


def vehicle(rng: Rng, shape: str, lit: bool) -> Solid:
    """A car, van or truck of a shape, in a colour of the shared palette."""
    length, width, height, bonnet, boot, wheel = _SHAPES[shape]
    length, width = length * rng.uniform(0.95, 1.05), width * rng.uniform(0.97, 1.03)
    height *= rng.uniform(0.96, 1.05)
    body, ink, rim = paint(rng), paint(rng), jitter(rng, (140, 140, 140))
    tall = shape in ("van", "truck")
    w, front, back, sill = width / 2, length / 2, -length / 2, 0.22
    belt = height * (0.55 if tall else 0.62)
    nose, tail = belt * (0.92 if tall else 0.82), belt * 0.95
    cowl, deck = front - bonnet * length, back + boot * length
    roof_w = w * (0.94 if tall else 0.80)
    rise = height - belt
    roof_front = cowl - (0.36 if tall else 0.84) * rise
    roof_back = deck + (0.04 if tall else 0.35) * rise
    solid = Solid(CAR, (width, height, length))

    for side in (-1.0, 1.0):
        s, out = side * w, (side, 0.0, 0.0)

        def strip(y0: float, y1: float, z0: float, z1: float, bgr: BGR, detail: int, s: float = s, out: Point = out) -> None:
            solid.face([(s, y0, z0), (s, y1, z0), (s, y1, z1), (s, y0, z1)], out, bgr, detail=detail)

        outline = [(sill, back), (tail, back), (belt, deck), (belt, cowl), (nose, front), (sill, front)]
        solid.face([(s, y, z) for y, z in outline], out, body)
        strip(sill, sill + 0.14, back, front, shade(body, 0.6), 1)
        line = sill + 0.62 * (belt - sill)
        strip(line, line + 0.05, back, front, shade(body, 1.25), 2)
        door = (cowl + deck) / 2 - 0.1
        strip(sill + 0.16, belt, door, door + 0.03, shade(body, 0.5), 2)
        if tall:
            strip(belt * 0.72, belt * 0.90, back + 0.5, cowl - 1.3, ink, 1)
        for at in (front - 0.19 * length, back + 0.19 * length):
            _wheel(solid, s, side, at, wheel, rim)
    solid.face([(-w, belt, cowl), (w, belt, cowl), (w, nose, front), (-w, nose, front)], (0, 1, 0.2), body, shine=True)
    solid.face([(-w, tail, back), (w, tail, back), (w, belt, deck), (-w, belt, deck)], (0, 1, -0.1), body, shine=True)
    _end(rng, solid, 1.0, front, w, sill, nose, body, lit)
    _end(rng, solid, -1.0, back, w, sill, tail, body, lit)

    for side in (-1.0, 1.0):
        s, r = side * w, side * roof_w
        out = (side, 0.2, 0.0)
        solid.face([(s, belt, deck), (r, height, roof_back), (r, height, roof_front), (s, belt, cowl)], out, body)
        corners = np.array([(s, belt, deck), (r, height, roof_back), (r, height, roof_front), (s, belt, cowl)])
        spans = {"truck": (), "van": ((0.72, 0.95),)}.get(shape, ((0.07, 0.47), (0.52, 0.94)))
        for a, b in spans:
            glass = [_between(corners, *at) for at in ((a, 0.08), (a, 0.86), (b, 0.86), (b, 0.08))]
            solid.face(glass, out, _GLASS)
            glint = [_between(corners, *at) for at in ((a, 0.55), (a, 0.86), (b, 0.86), (b, 0.75))]
            solid.face(glint, out, shade(_GLASS, 1.5), detail=2)
        if shape == "truck":
            sheet = [_between(corners, *at) for at in ((0.1, 0.1), (0.1, 0.8), (0.75, 0.8), (0.75, 0.1))]
            solid.face(sheet, out, ink, detail=1)
    for end, low_z, high_z in ((1.0, cowl, roof_front), (-1.0, deck, roof_back)):
        out = (0.0, 0.3, end)
        corners = np.array([(-w, belt, low_z), (-roof_w, height, high_z), (roof_w, height, high_z), (w, belt, low_z)])
        solid.face([_between(corners, *at) for at in ((0, 0), (0, 1), (1, 1), (1, 0))], out, body)
        if end > 0 or not tall or rng.random() < 0.5:
            glass = [_between(corners, *at) for at in ((0.06, 0.1), (0.06, 0.9), (0.94, 0.9), (0.94, 0.1))]
            solid.face(glass, out, shade(_GLASS, rng.uniform(0.7, 1.5)), shine=True)
            glint = [_between(corners, *at) for at in ((0.55, 0.1), (0.62, 0.9), (0.8, 0.9), (0.73, 0.1))]
            solid.face(glint, out, shade(_GLASS, 1.9), detail=2)
    roof = [
        (-roof_w, height, roof_back),
        (roof_w, height, roof_back),
        (roof_w, height, roof_front),
        (-roof_w, height, roof_front),
    ]
    solid.face(roof, (0, 1, 0), body, shine=True)
    return solid


def _between(corners: F64, along: float, up: float) -> Point:
    """A point of a four-sided face: corners low left, high left, high right, low right."""
    low, high = corners[0] + along * (corners[3] - corners[0]), corners[1] + along * (corners[2] - corners[1])
    x, y, z = low + up * (high - low)
    return float(x), float(y), float(z)


def _wheel(solid: Solid, x: float, side: float, z: float, radius: float, rim: BGR) -> None:
    angles = np.arange(10) * (math.pi / 5)
    for scale, colour, detail in ((1.22, (24, 24, 24), 2), (1.0, _TYRE, 0), (0.62, rim, 1), (0.2, (60, 60, 60), 2)):
        ring = [(x, max(radius + scale * radius * math.sin(a), 0.0), z + scale * radius * math.cos(a)) for a in angles]
        solid.face(ring, (side, 0, 0), colour, detail=detail)


def _end(rng: Rng, solid: Solid, end: float, at: float, w: float, sill: float, top: float, body: BGR, lit: bool) -> None:
    """The front (end = 1) or the rear (-1): bumper, tyres, lamps, grille, number plate."""

    def patch(x0: float, x1: float, y0: float, y1: float, colour: BGR, detail: int, glow: bool = False) -> None:
        low, high = sill + y0 * (top - sill), sill + y1 * (top - sill)
        corners = [(x0 * w, low, at), (x1 * w, low, at), (x1 * w, high, at), (x0 * w, high, at)]
        solid.face(corners, (0, 0, end), colour, glow=glow, detail=detail)

    for x0, x1 in ((-0.96, -0.66), (0.66, 0.96)):
        patch(x0, x1, -0.32, 0.02, _TYRE, 0)
    patch(-1, 1, 0, 1, shade(body, 0.93), 0)
    patch(-1, 1, 0.0, 0.26, shade(body, 0.5), 1)
    yellow = rng.random() < 0.5
    if end > 0:
        patch(-0.55, 0.55, 0.52, 0.78, shade(body, 0.28), 1)
        lamp: BGR = (225, 240, 250) if lit else (190, 195, 195)
        for x0, x1 in ((-0.93, -0.60), (0.60, 0.93)):
            patch(x0, x1, 0.55, 0.82, lamp, 1, glow=lit)
        patch(-0.26, 0.26, 0.26, 0.42, (215, 218, 218), 2)
    else:
        red: BGR = (70, 60, 235) if lit else (42, 36, 150)
        for x0, x1 in ((-0.97, -0.70), (0.70, 0.97)):
            patch(x0, x1, 0.52, 0.90, red, 1, glow=lit)
        patch(-0.28, 0.28, 0.45, 0.62, (70, 190, 215) if yellow else (215, 218, 218), 1)


def litter_bin(rng: Rng) -> Solid:
    """Something that belongs to no class: a litter bin, a box, a container (void)."""
    w, h, length = rng.uniform(0.25, 0.5), rng.uniform(0.7, 1.3), rng.uniform(0.25, 0.6)
    colour = paint(rng)
    solid = Solid(VOID, (2 * w, h, 2 * length))
    for side in (-1.0, 1.0):
        s, e = side * w, side * length
        solid.face([(s, 0, -length), (s, h, -length), (s, h, length), (s, 0, length)], (side, 0, 0), colour)
        solid.face([(-w, 0, e), (w, 0, e), (w, h, e), (-w, h, e)], (0, 0, side), colour)
        slot = [(-0.7 * w, 0.6 * h, e), (0.7 * w, 0.6 * h, e), (0.7 * w, 0.75 * h, e), (-0.7 * w, 0.75 * h, e)]
        solid.face(slot, (0, 0, side), shade(colour, 0.4), detail=1)
    solid.face([(-w, h, -length), (w, h, -length), (w, h, length), (-w, h, length)], (0, 1, 0), shade(colour, 1.1))
    return solid
