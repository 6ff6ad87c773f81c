"""Vehicles as low-poly solids: bodies, glass, wheels and lamps, flat shaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .canvas import NEAR, Camera, Canvas, F64, Polygon
from .textures import BGR, Light, Rng, jitter, paint, shade

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


@dataclass(frozen=True)
class Face:
    """A flat face: indices into the vertices, outward normal, colour, and the order in which decals follow their face."""

    index: tuple[int, ...]
    normal: tuple[float, float, float]
    bgr: BGR
    parent: int
    shine: bool
    glow: bool = False


class Solid:
    """A rigid body of flat faces. Local axes: x right, y up, z forward, origin on the ground below its middle."""

    def __init__(self, label: int, size: tuple[float, float, float]) -> None:
        self.label, self.size = label, size  # width, height, length
        self._vertices: list[tuple[float, float, float]] = []
        self.faces: list[Face] = []
        self._built: F64 | None = None

    @property
    def vertices(self) -> F64:
        if self._built is None:
            self._built = np.array(self._vertices, np.float64)
            self._normals = np.array([face.normal for face in self.faces])
            self._middles = np.array([self._built[list(face.index)].mean(0) for face in self.faces])
        return self._built

    def face(self, points: list[tuple[float, float, float]], outward: tuple[float, float, float], bgr: BGR,
             parent: int | None = None, shine: bool = False, glow: bool = False) -> int:  # fmt: skip
        """Adds a face; ``outward`` only settles the normal's sign. Returns its number."""
        corners = np.array(points, np.float64)
        normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
        normal *= math.copysign(1.0, float(normal @ np.array(outward))) / max(float(np.linalg.norm(normal)), 1e-9)
        start = len(self._vertices)
        self._vertices += points
        number = len(self.faces)
        n = (float(normal[0]), float(normal[1]), float(normal[2]))
        index = tuple(range(start, start + len(points)))
        self.faces.append(Face(index, n, bgr, number if parent is None else parent, shine, glow))
        return number

    def draw(self, canvas: Canvas, camera: Camera, x: float, z: float, heading: float, light: Light) -> None:
        """Draws it at a place on the ground; ``heading`` is the angle of its front from +Z towards +X, radians."""
        sine, cosine = math.sin(heading), math.cos(heading)
        turn = np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])
        place = np.array([x, 0.0, z])
        points, depth = camera.to_image(self.vertices @ turn.T + place)
        if depth.min() < NEAR:
            return
        normals = self._normals @ turn.T
        middles = self._middles @ turn.T + place
        facing = ((middles - camera.position) * normals).sum(1) < 0
        distance = ((middles - camera.position) ** 2).sum(1)
        order = sorted((i for i in range(len(self.faces)) if facing[i]), key=lambda i: (-distance[self.faces[i].parent], i))
        polygons = []
        for i in order:
            face = self.faces[i]
            nx, ny, nz = normals[i]
            factor = 1.0 if face.glow else light.on(nx, ny, nz) * (1.12 if face.shine and ny > 0.4 else 1.0)
            polygons.append(Polygon(points[list(face.index)], shade(face.bgr, factor)))
        canvas.polygons(polygons, self.label, float(depth.mean()))


def vehicle(rng: Rng, shape: str, lit: bool) -> Solid:
    """A car, van or truck of a shape, in a colour of the shared palette."""
    length, width, height, bonnet, boot, wheel = _SHAPES[shape]
    length, width, height = (
        length * rng.uniform(0.95, 1.05),
        width * rng.uniform(0.97, 1.03),
        height * rng.uniform(0.96, 1.05),
    )
    body = paint(rng)
    solid = Solid(CAR, (width, height, length))
    w, front, back = width / 2, length / 2, -length / 2
    sill, tall = 0.22, shape in ("van", "truck")
    belt = height * (0.62 if not tall else 0.55)
    nose = belt * (0.82 if not tall else 0.92)
    cowl, deck = front - bonnet * length, back + boot * length
    roof_w = w * (0.80 if not tall else 0.94)
    slope = 0.42 if not tall else 0.18
    roof_front, roof_back = cowl - slope * (height - belt) * 2.0, deck + (0.25 if not tall else 0.03) * (height - belt) * 1.4
    dark = shade(body, 0.6)
    for side in (-1.0, 1.0):
        s = side * w
        lower = solid.face(
            [(s, sill, back), (s, belt * 0.95, back), (s, belt, deck), (s, belt, cowl), (s, nose, front), (s, sill, front)],
            (side, 0, 0), body,
        )  # fmt: skip
        solid.face(
            [(s, sill, back), (s, sill + 0.14, back), (s, sill + 0.14, front), (s, sill, front)], (side, 0, 0), dark, lower
        )
        line = sill + 0.62 * (belt - sill)
        solid.face([(s, line, back), (s, line + 0.05, back), (s, line + 0.05, front), (s, line, front)], (side, 0, 0), shade(body, 1.25),
                   lower)  # fmt: skip
        middle = (cowl + deck) / 2 - 0.1
        solid.face([(s, sill + 0.16, middle), (s, belt, middle), (s, belt, middle + 0.03), (s, sill + 0.16, middle + 0.03)],
                   (side, 0, 0), shade(body, 0.5), lower)  # fmt: skip
        r = side * roof_w
        cabin = solid.face(
            [(s, belt, deck), (r, height, roof_back), (r, height, roof_front), (s, belt, cowl)], (side, 0.2, 0), body
        )
        if shape != "truck":
            _side_glass(solid, side, w, roof_w, belt, height, deck, cowl, roof_back, roof_front, cabin, shape == "van")
        for at in (front - 0.19 * length, back + 0.19 * length):
            _wheel(rng, solid, s + side * 0.01, side, at, wheel, lower)
    if tall:
        _box_panels(rng, solid, w, belt, height, body, back, cowl)
    solid.face([(-w, belt, cowl), (w, belt, cowl), (w, nose, front), (-w, nose, front)], (0, 1, 0.2), body, shine=True)
    solid.face([(-roof_w, height, roof_back), (roof_w, height, roof_back), (roof_w, height, roof_front), (-roof_w, height, roof_front)],
               (0, 1, 0), body, shine=True)  # fmt: skip
    if boot > 0.05:
        solid.face(
            [(-w, belt * 0.95, back), (w, belt * 0.95, back), (w, belt, deck), (-w, belt, deck)],
            (0, 1, -0.1),
            body,
            shine=True,
        )
    for end, cabin_z, roof_z, top in ((1.0, cowl, roof_front, nose), (-1.0, deck, roof_back, belt * 0.95)):
        at = front if end > 0 else back
        screen = solid.face([(-w, belt, cabin_z), (w, belt, cabin_z), (roof_w, height, roof_z), (-roof_w, height, roof_z)],
                            (0, 0.3, end), body)  # fmt: skip
        if end > 0 or shape not in ("truck", "van") or rng.random() < 0.5:
            pane = np.array([(-w, belt, cabin_z), (w, belt, cabin_z), (roof_w, height, roof_z), (-roof_w, height, roof_z)])
            inset = pane.mean(0) + (pane - pane.mean(0)) * np.array([0.88, 0.78, 0.78])
            glass = shade(_GLASS, rng.uniform(0.7, 1.5))
            solid.face([(float(p[0]), float(p[1]), float(p[2])) for p in inset], (0, 0.3, end), glass, screen, shine=True)
        _end(rng, solid, end, at, w, sill, top, body, lit)
    return solid


def _side_glass(solid: Solid, side: float, w: float, roof_w: float, belt: float, height: float, deck: float, cowl: float,
                roof_back: float, roof_front: float, parent: int, cab_only: bool) -> None:  # fmt: skip
    def at(share: float, up: float) -> tuple[float, float, float]:
        low, high = deck + share * (cowl - deck), roof_back + share * (roof_front - roof_back)
        return side * (w + up * (roof_w - w)), belt + up * (height - belt), low + up * (high - low)

    spans = [(0.72, 0.95)] if cab_only else [(0.07, 0.47), (0.52, 0.94)]
    for a, b in spans:
        solid.face([at(a, 0.08), at(a, 0.86), at(b, 0.86), at(b, 0.08)], (side, 0.2, 0), _GLASS, parent)
        solid.face([at(a, 0.55), at(a, 0.86), at(b, 0.86), at(b, 0.75)], (side, 0.2, 0), shade(_GLASS, 1.5), parent)


def _wheel(rng: Rng, solid: Solid, x: float, side: float, z: float, radius: float, parent: int) -> None:
    angles = np.arange(12) * (math.pi / 6)
    rim = jitter(rng, (140, 140, 140))
    for scale, colour in ((1.22, (24, 24, 24)), (1.0, _TYRE), (0.62, rim), (0.2, (60, 60, 60))):
        ring = [(x, radius + scale * radius * math.sin(a), z + scale * radius * math.cos(a)) for a in angles]
        ring = [(px, max(py, 0.0), pz) for px, py, pz in ring]
        solid.face(ring, (side, 0, 0), colour, parent)


def _box_panels(rng: Rng, solid: Solid, w: float, belt: float, height: float, body: BGR, back: float, cowl: float) -> None:
    ink = paint(rng)
    for side in (-1.0, 1.0):
        s = side * (w * 1.0 + 0.005)
        y = belt * 0.75
        solid.face([(s, y, back + 0.5), (s, y + 0.3, back + 0.5), (s, y + 0.3, cowl - 1.4), (s, y, cowl - 1.4)], (side, 0, 0), ink,
                   0 if side < 0 else None)  # fmt: skip


def _end(rng: Rng, solid: Solid, end: float, at: float, w: float, sill: float, top: float, body: BGR, lit: bool) -> None:
    face = solid.face([(-w, sill, at), (w, sill, at), (w, top, at), (-w, top, at)], (0, 0, end), shade(body, 0.93))

    def patch(x0: float, x1: float, y0: float, y1: float, colour: BGR, glow: bool = False) -> None:
        ys = [sill + y * (top - sill) for y in (y0, y1)]
        solid.face([(x0 * w, ys[0], at), (x1 * w, ys[0], at), (x1 * w, ys[1], at), (x0 * w, ys[1], at)], (0, 0, end), colour, face,
                   glow=glow)  # fmt: skip

    patch(-1, 1, 0.0, 0.26, shade(body, 0.5))
    patch(-0.96, -0.90, -0.6, 0.0, _TYRE)
    for x0, x1 in ((-0.96, -0.66), (0.66, 0.96)):
        patch(x0, x1, -0.30, 0.02, _TYRE)  # tyres below the bumper
    if end > 0:
        patch(-0.55, 0.55, 0.52, 0.78, shade(body, 0.28))
        lamp: BGR = (225, 240, 250) if lit else (190, 195, 195)
        for x0, x1 in ((-0.93, -0.60), (0.60, 0.93)):
            patch(x0, x1, 0.55, 0.82, lamp, glow=lit)
        patch(-0.26, 0.26, 0.26, 0.42, (215, 218, 218))
    else:
        red: BGR = (70, 60, 235) if lit else (42, 36, 150)
        for x0, x1 in ((-0.97, -0.70), (0.70, 0.97)):
            patch(x0, x1, 0.52, 0.90, red, glow=lit)
        patch(-0.28, 0.28, 0.45, 0.62, (70, 190, 215) if rng.random() < 0.5 else (215, 218, 218))


def bin_(rng: Rng) -> Solid:
    """Something that belongs to no class: a litter bin, a box, a container (void)."""
    w, h, length = rng.uniform(0.25, 0.5), rng.uniform(0.7, 1.3), rng.uniform(0.25, 0.6)
    colour = paint(rng)
    solid = Solid(VOID, (2 * w, h, 2 * length))
    for side in (-1.0, 1.0):
        solid.face(
            [(side * w, 0, -length), (side * w, h, -length), (side * w, h, length), (side * w, 0, length)],
            (side, 0, 0),
            colour,
        )
        front = solid.face([(-w, 0, side * length), (w, 0, side * length), (w, h, side * length), (-w, h, side * length)],
                           (0, 0, side), colour)  # fmt: skip
        solid.face([(-0.7 * w, 0.6 * h, side * length), (0.7 * w, 0.6 * h, side * length), (0.7 * w, 0.75 * h, side * length),
                    (-0.7 * w, 0.75 * h, side * length)], (0, 0, side), shade(colour, 0.4), front)  # fmt: skip
    solid.face([(-w, h, -length), (w, h, -length), (w, h, length), (-w, h, length)], (0, 1, 0), shade(colour, 1.1))
    return solid
