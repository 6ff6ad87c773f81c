"""Camera and canvas: textured planes and flat polygons in perspective, colour and class written by the same call.

World axes: X right, Y up, Z along the street, metres. Camera axes: x right, y down, z forward. Pixel (0, 0) is the
centre of the top left pixel.

The canvas has four 8-bit channels, B, G, R and class. Whatever is drawn writes all four under one binary coverage mask, so
a label can't lie beside its pixels; nothing is antialiased here, the lens blur that follows softens the colours only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]

#: Nothing nearer than this is drawn, metres.
NEAR = 0.35
# fillConvexPoly takes fixed-point coordinates with this many fractional bits.
_SHIFT = 4


class Camera:
    """A pinhole camera without roll (so the horizon is one image row).

    Args:
        size_hw: Image size, pixels.
        focal: Focal length, pixels.
        position: World position, metres.
        yaw: Positive turns right, radians.
        pitch: Positive looks up, radians.
    """

    def __init__(self, size_hw: tuple[int, int], focal: float, position: F64, yaw: float, pitch: float) -> None:
        self.size_hw, self.focal, self.position, self.yaw, self.pitch = size_hw, focal, position, yaw, pitch
        self.centre = ((size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2)
        sy, cy, sp, cp = math.sin(yaw), math.cos(yaw), math.sin(pitch), math.cos(pitch)
        self.rotation = np.array([[cy, 0, -sy], [sy * sp, -cp, cy * sp], [sy * cp, sp, cy * cp]])
        intrinsics = np.array([[focal, 0, self.centre[0]], [0, focal, self.centre[1]], [0, 0, 1]])
        self.matrix = intrinsics @ self.rotation

    @property
    def horizon(self) -> float:
        """Image row of the horizon."""
        return self.centre[1] + self.focal * math.tan(self.pitch)

    def to_image(self, points: F64) -> tuple[F64, F64]:
        """World points (N, 3) → image points (N, 2) and depths (N,). Points behind the camera give meaningless image points."""
        homogeneous = (points - self.position) @ self.matrix.T
        depth = homogeneous[:, 2]
        return homogeneous[:, :2] / np.where(np.abs(depth) < 1e-6, 1e-6, depth)[:, None], depth

    def depth_of(self, x: float, z: float) -> float:
        """Depth of a ground point, for sorting and culling."""
        row = self.rotation[2]
        return float((x - self.position[0]) * row[0] - self.position[1] * row[1] + (z - self.position[2]) * row[2])


class Texture:
    """A picture on a plane, with smaller versions made when first needed (each axis halved on its own, by area).

    Args:
        bgr: uint8 (h, w, 3).
        alpha: uint8 (h, w), 255 = solid; None for a picture that covers its whole rectangle.
        mode: ``"cut"`` keeps texels whose alpha is at least half, ``"blend"`` mixes by alpha (the class is written for the
            whole rectangle), ``"shade"`` darkens by alpha and leaves colours and classes as they are.
        label: Class written by it.
    """

    def __init__(self, bgr: U8, label: int, alpha: U8 | None = None, mode: str = "cut") -> None:
        self.label, self.mode, self.opaque = label, mode, alpha is None
        fourth = np.full(bgr.shape[:2], label, np.uint8) if alpha is None else alpha
        self._levels: dict[tuple[int, int], U8] = {(0, 0): np.dstack([bgr, fourth])}
        self._keep: dict[tuple[int, int], tuple[U8, U8]] = {}
        height, width = bgr.shape[:2]
        self.size_wh = (width, height)
        self._deepest = (max(0, int(math.log2(width / 4))), max(0, int(math.log2(height / 4))))

    def level_for(self, width_px: float, height_px: float) -> tuple[int, int]:
        """Smallest version that still has about one texel per pixel."""
        level_x = int(math.log2(max(1.0, 1.2 * self.size_wh[0] / max(width_px, 1.0))))
        level_y = int(math.log2(max(1.0, 1.2 * self.size_wh[1] / max(height_px, 1.0))))
        return min(level_x, self._deepest[0]), min(level_y, self._deepest[1])

    def level(self, key: tuple[int, int]) -> U8:
        """uint8 (h, w, 4): B, G, R and either the class (opaque) or alpha."""
        if key not in self._levels:
            size = (max(1, self.size_wh[0] >> key[0]), max(1, self.size_wh[1] >> key[1]))
            small = np.asarray(cv2.resize(self._levels[(0, 0)], size, interpolation=cv2.INTER_AREA), np.uint8)
            if self.opaque:
                small[..., 3] = self.label
            self._levels[key] = small
        return self._levels[key]

    def layers(self, key: tuple[int, int]) -> tuple[U8, U8]:
        """For blending: what is kept of the canvas (channel 3: all), and what is added to it (channel 3: nothing)."""
        if key not in self._keep:
            level = self.level(key)
            alpha = level[..., 3:].astype(np.float32) / 255
            keep = np.full(level.shape, 255, np.uint8)
            keep[..., :3] = np.round(255 * (1 - alpha))
            add = np.zeros(level.shape, np.uint8)
            if self.mode == "blend":
                add[..., :3] = np.round(level[..., :3] * alpha)
            self._keep[key] = keep, add
        return self._keep[key]


@dataclass
class Polygon:
    """A flat polygon in the image: float (N, 2) pixels, its colour and its class."""

    points: F64
    bgr: tuple[float, float, float]


class Canvas:
    """Frame buffer: uint8 (H, W, 4) B, G, R, class, and float32 (H, W) inverse depth, 1/m."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.size_hw = size_hw
        self.bgrl = np.zeros((height, width, 4), np.uint8)
        self.inverse_depth = np.zeros((height, width), np.float32)
        self._warped = np.zeros(height * width * 4, np.uint8)
        self._second = np.zeros(height * width * 4, np.uint8)
        self._cover = np.zeros(height * width, np.uint8)
        self._depth = np.zeros(height * width, np.float32)
        self._columns = np.arange(width, dtype=np.float32)
        self._rows = np.arange(height, dtype=np.float32)

    def plane(
        self, camera: Camera, texture: Texture, corner: F64, along: F64, down: F64, crop: tuple[float, float] = (0.0, 1.0)
    ) -> None:
        """Draws a texture on a world rectangle.

        Args:
            corner: World position of the texture's top left corner.
            along, down: World vectors of its whole width and height.
            crop: Part of the width to draw, as fractions.
        """
        to_image = np.empty((3, 3))
        to_image[:, 0] = camera.matrix @ along
        to_image[:, 1] = camera.matrix @ down
        to_image[:, 2] = camera.matrix @ (corner - camera.position)
        a, b = crop
        corners = to_image @ np.array([[a, b, b, a], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]])
        depth = corners[2]
        clipped = bool(depth.min() < NEAR)
        if clipped:
            if depth.max() < NEAR:
                return
            corners = _clip_near(corners.T).T
        points = (corners[:2] / corners[2]).T
        box = self._box(points)
        if box is None:
            return
        x0, y0, x1, y1 = box
        if clipped:
            key = (0, 0)
        else:
            sides = np.abs(points - np.roll(points, -1, 0)).max(1)
            key = texture.level_for(max(sides[0], sides[2]) / (b - a), max(sides[1], sides[3]))
        try:
            from_image = np.linalg.inv(to_image)
        except np.linalg.LinAlgError:  # seen exactly edge-on
            return
        width, height = x1 - x0, y1 - y0
        cover = self._cover[: width * height].reshape(height, width)
        cover.fill(0)
        fixed = np.round((points - (x0, y0)) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillConvexPoly(cover, fixed, 255, shift=_SHIFT)
        self._fill(texture, key, from_image, box, cover)

    def _fill(
        self, texture: Texture, key: tuple[int, int], from_image: F64, box: tuple[int, int, int, int], cover: U8
    ) -> None:
        x0, y0, x1, y1 = box
        width, height = x1 - x0, y1 - y0
        roi = self.bgrl[y0:y1, x0:x1]
        shift = from_image @ np.array([[1.0, 0.0, x0], [0.0, 1.0, y0], [0.0, 0.0, 1.0]])
        if texture.mode == "cut":
            source = texture.level(key)
            warped = self._warp(source, shift, width, height, self._warped)
            if not texture.opaque:
                alpha = np.ascontiguousarray(warped[..., 3])
                cv2.threshold(alpha, 127, 255, cv2.THRESH_BINARY, dst=alpha)
                cv2.bitwise_and(cover, alpha, dst=cover)
                warped[..., 3] = texture.label
            cv2.copyTo(warped, cover, roi)
        else:
            keep, add = texture.layers(key)
            kept = self._warp(keep, shift, width, height, self._warped)
            kept[cover == 0] = 255
            cv2.multiply(roi, kept, dst=roi, scale=1 / 255)
            if texture.mode == "shade":
                return
            added = self._warp(add, shift, width, height, self._second)
            added[cover == 0] = 0
            cv2.add(roi, added, dst=roi)
            roi[..., 3][cover > 0] = texture.label
        # The homography's inverse maps (u, v, 1) to (s, t, 1) / depth, so its last row is the inverse depth, affine in u, v.
        row = shift[2]
        inverse = self._depth[: width * height].reshape(height, width)
        np.add(
            (np.float32(row[1]) * self._rows[:height] + np.float32(row[2]))[:, None],
            np.float32(row[0]) * self._columns[:width],
            out=inverse,
        )
        cv2.copyTo(inverse, cover, self.inverse_depth[y0:y1, x0:x1])

    @staticmethod
    def _warp(source: U8, from_image: F64, width: int, height: int, buffer: U8) -> U8:
        texels = np.array([[source.shape[1], 0.0, -0.5], [0.0, source.shape[0], -0.5], [0.0, 0.0, 1.0]])
        out = buffer[: width * height * 4].reshape(height, width, 4)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpPerspective(
            source, texels @ from_image, (width, height), dst=out, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return out

    def polygons(self, polygons: Sequence[Polygon], label: int, depth: float) -> None:
        """Draws flat polygons of one object in the given order."""
        height, width = self.size_hw
        inverse = 1 / max(depth, NEAR)
        for polygon in polygons:
            low, high = polygon.points.min(0), polygon.points.max(0)
            if high[0] < 0 or high[1] < 0 or low[0] > width - 1 or low[1] > height - 1:
                continue
            fixed = np.round(polygon.points * (1 << _SHIFT)).astype(np.int32)
            b, g, r = polygon.bgr
            cv2.fillConvexPoly(self.bgrl, fixed, (b, g, r, label), shift=_SHIFT)
            cv2.fillConvexPoly(self.inverse_depth, fixed, inverse, shift=_SHIFT)

    def ground(self, camera: Camera, bands: Sequence[GroundBand], period: float) -> None:
        """Draws the ground plane, nearest rows from the finest band. Rows at and above the horizon stay untouched."""
        height, width = self.size_hw
        first = max(0, math.floor(camera.horizon) + 1)
        rows = self._rows[first:]
        if not rows.size:
            return
        down = (rows - camera.centre[1]) / camera.focal
        # A ray (0, y, 1) meets the ground at depth h / (y cos p - sin p): without roll the depth depends on the row alone.
        inverse = (down * math.cos(camera.pitch) - math.sin(camera.pitch)) / camera.position[1]
        self.inverse_depth[first:] = np.maximum(inverse, 1e-4)[:, None]
        distance = 1 / np.maximum(inverse, 1e-4)
        top = height
        base = math.floor(camera.position[2] / period) * period
        for band in bands:
            upper = first if band is bands[-1] else first + int(np.searchsorted(-distance, -band.until_m))
            upper = max(first, min(upper, top))
            if upper >= top:
                continue
            # Texture axes: along = +X, down = +Z (the texture's first row is the street's origin of this period).
            to_image = np.empty((3, 3))
            to_image[:, 0] = camera.matrix @ np.array([band.size_m[0], 0.0, 0.0])
            to_image[:, 1] = camera.matrix @ np.array([0.0, 0.0, band.size_m[1]])
            to_image[:, 2] = camera.matrix @ (np.array([band.left_m, 0.0, base]) - camera.position)
            shift = np.linalg.inv(to_image) @ np.array([[1.0, 0.0, 0.0], [0.0, 1.0, upper], [0.0, 0.0, 1.0]])
            self.bgrl[upper:top] = self._warp(band.bgrl, shift, width, top - upper, self._warped)
            top = upper

    def _box(self, points: F64) -> tuple[int, int, int, int] | None:
        height, width = self.size_hw
        x0, y0 = max(0, math.floor(points[:, 0].min())), max(0, math.floor(points[:, 1].min()))
        x1, y1 = min(width, math.ceil(points[:, 0].max()) + 1), min(height, math.ceil(points[:, 1].max()) + 1)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


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


def _clip_near(corners: F64) -> F64:
    """Clips a homogeneous image polygon (N, 3) at depth NEAR (Sutherland and Hodgman, 1974)."""
    out = []
    for i in range(len(corners)):
        a, b = corners[i], corners[(i + 1) % len(corners)]
        if a[2] >= NEAR:
            out.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            out.append(a + (b - a) * ((NEAR - a[2]) / (b[2] - a[2])))
    return np.array(out)
