"""Camera and canvas: textured rectangles and flat polygons in perspective, colour and class written by the same call.

World axes: X right, Y up, Z along the street, metres. Camera axes: x right, y down, z forward. Pixel (0, 0) is the
centre of the top left pixel.

The canvas has four 8-bit channels, B, G, R and class. Whatever is drawn writes all four under one binary coverage mask, so
a label can't lie beside its pixels; nothing is antialiased here, the lens blur that follows softens the colours only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

#: Nothing nearer than this is drawn, metres.
NEAR = 0.35
#: Polygons go to OpenCV in fixed point with this many fractional bits.
SHIFT = 4
_FIXED = 1 << SHIFT
_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


class Camera:
    """A pinhole camera without roll (so the horizon is one image row).

    Args:
        size_hw: Image size, pixels.
        focal: Focal length, pixels.
        position: World position, metres, (3,).
        yaw: Positive turns right, radians.
        pitch: Positive looks up, radians.
    """

    def __init__(self, size_hw: tuple[int, int], focal: float, position: F64, yaw: float, pitch: float) -> None:
        self.size_hw, self.focal, self.position, self.yaw, self.pitch = size_hw, focal, position, yaw, pitch
        self.centre = ((size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2)
        sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        self.rotation = np.array([[cy, 0, -sy], [sy * sp, -cp, cy * sp], [sy * cp, sp, cy * cp]])
        intrinsics = np.array([[focal, 0, self.centre[0]], [0, focal, self.centre[1]], [0, 0, 1]])
        #: World directions (rows) times this give homogeneous image points.
        self.project = np.ascontiguousarray((intrinsics @ self.rotation).T)
        self._origin = position @ self.project

    @property
    def horizon(self) -> float:
        """Image row of the horizon."""
        return self.centre[1] + self.focal * math.tan(self.pitch)

    def homogeneous(self, points: F64) -> F64:
        """World points (..., 3) → (..., 3): image point times depth, and depth."""
        return np.asarray(points @ self.project - self._origin)

    def depth_of(self, x: float, z: float) -> float:
        """Depth of a ground point, for sorting and culling."""
        row, position = self.rotation[2], self.position
        return float((x - position[0]) * row[0] - position[1] * row[1] + (z - position[2]) * row[2])


def with_fourth(bgr: U8, fourth: U8) -> U8:
    """uint8 (h, w, 3) and (h, w) → (h, w, 4)."""
    return np.asarray(cv2.merge([*cv2.split(bgr), fourth]), np.uint8)


class Texture:
    """An image on a rectangle, with smaller versions made when first needed (each axis halved on its own, by area).

    Args:
        bgr: uint8 (h, w, 3).
        label: Class written by it.
        alpha: uint8 (h, w), 255 = solid; None for an image that covers its whole rectangle.
        mode: ``"cut"`` keeps texels whose alpha is at least half, ``"blend"`` mixes by alpha (the class is written for the
            whole rectangle), ``"shade"`` darkens by alpha and leaves classes as they are.
    """

    def __init__(self, bgr: U8, label: int, alpha: U8 | None = None, mode: str = "cut") -> None:
        self.label, self.mode, self.opaque = label, mode, alpha is None
        fourth = np.full(bgr.shape[:2], label, np.uint8) if alpha is None else alpha
        self._levels: dict[tuple[int, int], U8] = {(0, 0): with_fourth(bgr, fourth)}
        height, width = bgr.shape[:2]
        self.size_wh = (width, height)
        self.deepest = (max(0, int(math.log2(width / 4))), max(0, int(math.log2(height / 4))))

    def level(self, key: tuple[int, int]) -> U8:
        """uint8 (h, w, 4): B, G, R and either the class (opaque) or alpha, halved ``key`` times along (x, y)."""
        found = self._levels.get(key)
        if found is None:
            size = (max(1, self.size_wh[0] >> key[0]), max(1, self.size_wh[1] >> key[1]))
            found = np.asarray(cv2.resize(self._levels[(0, 0)], size, interpolation=cv2.INTER_AREA), np.uint8)
            if self.opaque:
                found[..., 3] = self.label
            self._levels[key] = found
        return found


class Quad(NamedTuple):
    """A textured rectangle as one camera sees it.

    Attributes:
        texture, level: What is drawn, at which resolution.
        depth: Depth of its middle, metres.
        box: x0, y0, x1, y1 of the pixels that it may touch.
        outline: int32 (N, 2), fixed point, relative to the box.
        from_image: (3, 3), pixels of the box → texel indices; its last row times (u, v, 1) is the inverse depth.
    """

    texture: Texture
    level: tuple[int, int]
    depth: float
    box: Box
    outline: I32
    from_image: F64


class Haze:
    """What the air does to colours: LUTs per class and distance.

    Args:
        per_m: Extinction coefficient, 1/m.
        bgr: Colour at infinity.
    """

    def __init__(self, per_m: float, bgr: Sequence[float]) -> None:
        self.per_m = per_m
        self.bgr = np.array(bgr, np.float64)
        self._tables: dict[tuple[int, int], U8] = {}
        share = (255 - np.arange(256.0))[:, None] / 255
        veil = np.zeros((256, 1, 4), np.uint8)
        veil[:, 0, :3] = np.round(share * self.bgr)
        #: What is added to a pixel whose share of own light is index / 255.
        self.veil = veil

    def clear(self, depth: float) -> float:
        """Share of an object's own light that arrives from a depth."""
        return math.exp(-self.per_m * max(depth, 0.0))

    def table(self, label: int, depth: float) -> U8:
        """uint8 (256, 1, 4): colours seen through the haze, and the class in channel 3 whatever was there."""
        step = round(63 * self.clear(depth))
        if (label, step) not in self._tables:
            table = np.empty((256, 1, 4), np.uint8)
            table[:, 0, :3] = np.round(np.arange(256.0)[:, None] * (step / 63) + self.bgr * (1 - step / 63))
            table[:, 0, 3] = label
            self._tables[label, step] = table
        return self._tables[label, step]


@dataclass(frozen=True)
class GroundBand:
    """The ground at one resolution.

    Attributes:
        bgrl: uint8 (rows along Z, columns along X, 4): B, G, R, class.
        left_m: X of its first column.
        size_m: Extent along X and Z; one period of the street plus the band's reach.
        until_m: Depth up to which it is used.
    """

    bgrl: U8
    left_m: float
    size_m: tuple[float, float]
    until_m: float


class Canvas:
    """Frame buffer: uint8 (H, W, 4) B, G, R, class; and float32 (H, W) inverse depth in 1/m of what :meth:`quad` was told to
    record."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.size_hw = size_hw
        self.bgrl = np.zeros((height, width, 4), np.uint8)
        self.inverse_depth = np.zeros((height, width), np.float32)
        self._warped = np.zeros(height * width * 4, np.uint8)
        self._cover = np.zeros(height * width, np.uint8)
        self._depth = np.zeros(height * width, np.float32)
        self._columns = np.arange(width, dtype=np.float32)
        self._rows = np.arange(height, dtype=np.float32)

    def quad(self, quad: Quad, haze: Haze | None = None) -> None:
        """Draws a textured rectangle: seen through ``haze``, or without it and with its inverse depth recorded."""
        x0, y0, x1, y1 = quad.box
        width, height = x1 - x0, y1 - y0
        roi = self.bgrl[y0:y1, x0:x1]
        texture = quad.texture
        warped = self._warped[: width * height * 4].reshape(height, width, 4)
        cover = self._cover[: width * height].reshape(height, width)
        border = cv2.BORDER_REPLICATE if texture.opaque else cv2.BORDER_CONSTANT
        cv2.warpPerspective(texture.level(quad.level), quad.from_image, (width, height), warped, _LINEAR, border)
        if texture.opaque:
            cover.fill(0)
            cv2.fillConvexPoly(cover, quad.outline, 255, shift=SHIFT)
        else:
            cv2.extractChannel(warped, 3, cover)
            if texture.mode != "cut":
                self._mix(quad, roi, warped, cover, haze)
                return
            cv2.threshold(cover, 127, 255, cv2.THRESH_BINARY, cover)
        if haze is not None:
            cv2.LUT(warped, haze.table(texture.label, quad.depth), warped)
        elif not texture.opaque:
            warped[..., 3] = texture.label
        cv2.copyTo(warped, cover, roi)
        if haze is None:
            inverse = self._depth[: width * height].reshape(height, width)
            a, b, c = (np.float32(value) for value in quad.from_image[2])
            np.add((b * self._rows[:height] + c)[:, None], a * self._columns[:width], out=inverse)
            cv2.copyTo(inverse, cover, self.inverse_depth[y0:y1, x0:x1])

    @staticmethod
    def _mix(quad: Quad, roi: U8, warped: U8, alpha: U8, haze: Haze | None) -> None:
        through = cv2.bitwise_not(alpha)
        full = np.full_like(alpha, 255)
        cv2.multiply(roi, cv2.merge([through, through, through, full]), roi, 1 / 255)
        if quad.texture.mode == "shade":
            return
        if haze is not None:
            cv2.LUT(warped, haze.table(0, quad.depth), warped)
        added = cv2.multiply(warped, cv2.merge([alpha, alpha, alpha, alpha]), scale=1 / 255)
        cv2.add(roi, added, roi)
        cover = np.zeros_like(alpha)
        cv2.fillConvexPoly(cover, quad.outline, 255, shift=SHIFT)
        roi[..., 3][cover > 0] = quad.texture.label

    def polygons(self, polygons: Sequence[I32], colours: Sequence[Sequence[float]], label: int) -> None:
        """Fills convex polygons, int32 (N, 2) in fixed point, in the given order; ``colours`` are B, G, R."""
        target = self.bgrl
        for points, (b, g, r) in zip(polygons, colours, strict=True):
            cv2.fillConvexPoly(target, points, (b, g, r, label), shift=SHIFT)

    def ground(self, camera: Camera, bands: Sequence[GroundBand], period: float) -> None:
        """Draws the ground plane, nearest rows from the finest band. Rows at and above the horizon stay untouched."""
        height, width = self.size_hw
        first = max(0, math.floor(camera.horizon) + 1)
        rows = self._rows[first:]
        if not rows.size:
            return
        down = (rows - camera.centre[1]) / camera.focal
        # A ray (0, y, 1) meets the ground at depth h / (y cos p + sin p): without roll the depth depends on the row alone.
        inverse = (down * math.cos(camera.pitch) - math.sin(camera.pitch)) / camera.position[1]
        inverse = np.maximum(inverse, 1e-4)
        self.inverse_depth[first:] = inverse[:, None]
        top = height
        base = math.floor(camera.position[2] / period) * period
        for band in bands:
            upper = first if band is bands[-1] else first + int(np.searchsorted(inverse, 1 / band.until_m))
            upper = max(first, min(upper, top))
            if upper >= top:
                continue
            # The texture's columns run along +X, its rows along +Z from the start of this period.
            size = np.array([band.bgrl.shape[1], band.bgrl.shape[0]])
            frame = np.array(
                [[band.size_m[0] / size[0], 0.0, 0.0], [0.0, 0.0, band.size_m[1] / size[1]], [band.left_m, 0.0, base]]
            )
            to_image = frame @ camera.project
            to_image[2] -= camera.position @ camera.project
            from_image = np.linalg.inv(to_image.T) @ np.array([[1.0, 0.0, 0.0], [0.0, 1.0, upper], [0.0, 0.0, 1.0]])
            from_image[:2] -= 0.5 * from_image[2]
            out = self.bgrl[upper:top]
            cv2.warpPerspective(band.bgrl, from_image, (width, top - upper), out, _LINEAR, cv2.BORDER_REPLICATE)
            top = upper

    def apply_haze(self, haze: Haze) -> None:
        """Veils everything drawn so far by its recorded inverse depth."""
        clear = cv2.divide(-haze.per_m, self.inverse_depth)
        cv2.exp(clear, clear)
        weight = cv2.convertScaleAbs(clear, alpha=255.0)
        weights = cv2.merge([weight, weight, weight, np.full_like(weight, 255)])
        cv2.multiply(self.bgrl, weights, self.bgrl, 1 / 255)
        cv2.add(self.bgrl, cv2.LUT(weights, haze.veil), self.bgrl)


def to_fixed(points: F64) -> I32:
    """Pixels to OpenCV's fixed point; far outside values are pulled in, so that they can't overflow."""
    return np.asarray(np.rint(np.clip(points, -30_000, 30_000) * _FIXED), np.int32)


def clip_near(corners: F64) -> F64:
    """Clips a homogeneous image polygon (N, 3) at depth NEAR (Sutherland and Hodgman, 1974)."""
    out = []
    for i in range(len(corners)):
        a, b = corners[i], corners[(i + 1) % len(corners)]
        if a[2] >= NEAR:
            out.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            out.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
    return np.array(out).reshape(-1, 3)
