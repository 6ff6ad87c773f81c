"""Many textured rectangles, projected together: what a frame draws most of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .canvas import F64, I64, NEAR, Camera, Quad, Texture, clip_near, to_fixed


@dataclass(frozen=True)
class Plane:
    """A world rectangle with a texture.

    Attributes:
        texture: Its image.
        corner: World position of the texture's top left corner.
        along, down: World vectors of the texture's whole width and height.
        crop: The part of the width that is drawn, as fractions.
        min_px: It is left out where its shorter side is smaller than this.
        near_z: Z of the nearest point of the thing that it is a piece of.
        range_m: Distances of ``near_z`` (from, to) at which it is drawn: pieces near by, the whole far away.
        follows: Its Z counts from the camera, and no reach hides it.
    """

    texture: Texture
    corner: tuple[float, float, float]
    along: tuple[float, float, float]
    down: tuple[float, float, float]
    crop: tuple[float, float] = (0.0, 1.0)
    min_px: float = 0.0
    near_z: float = 0.0
    range_m: tuple[float, float] = (-math.inf, math.inf)
    follows: bool = False


def upright(
    texture: Texture, x: float, z: float, width: float, height: float, base: float = 0.0, min_px: float = 6.0
) -> Plane:
    """An image across the street (a tree, a sign) that stands at (x, z)."""
    return Plane(texture, (x - width / 2, base + height, z), (width, 0.0, 0.0), (0.0, -height, 0.0), min_px=min_px)


def wall(texture: Texture, x: float, z0: float, z1: float, height: float, right: bool, split_m: float = 0.0) -> list[Plane]:
    """An image along the street from z0 to z1; on the right side its left edge is the far one.

    With ``split_m``, near by it is drawn in pieces of about that length, because one resolution can't serve 2 m and 15 m.
    """
    start, step = (z1, z0 - z1) if right else (z0, z1 - z0)
    corner, along, down = (x, height, start), (0.0, 0.0, step), (0.0, -height, 0.0)
    if not split_m or z1 - z0 < 1.5 * split_m:
        return [Plane(texture, corner, along, down, near_z=z0)]
    count = round((z1 - z0) / split_m)
    near = 18.0
    pieces = [
        Plane(texture, corner, along, down, (i / count, (i + 1) / count), near_z=z0, range_m=(-math.inf, near))
        for i in range(count)
    ]
    return [*pieces, Plane(texture, corner, along, down, near_z=z0, range_m=(near, math.inf))]


class PlaneSet:
    """Rectangles that never move."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self._textures = [plane.texture for plane in planes]
        count = len(planes)
        self._frames = np.array([[plane.along, plane.down, plane.corner] for plane in planes], np.float64).reshape(
            count, 3, 3
        )
        start, end = np.array([plane.crop for plane in planes], np.float64).reshape(count, 2).T
        zero, one = np.zeros(count), np.ones(count)
        corners = ((start, zero, one), (end, zero, one), (end, one, one), (start, one, one))
        # Texture coordinates (s, t, 1) of the corners, clockwise: (count, 4, 3).
        self._corners = np.stack([np.stack(corner, 1) for corner in corners], 1)
        self._share = end - start
        self._min_px = np.array([plane.min_px for plane in planes])
        self._follows = np.array([plane.follows for plane in planes], bool)
        self._near_z = np.array([plane.near_z for plane in planes])
        reach_z = (self._corners @ self._frames)[..., 2]
        self._span_z = np.stack([reach_z.min(1), reach_z.max(1)], 1) if count else np.zeros((0, 2))
        self._range = np.array([plane.range_m for plane in planes]).reshape(count, 2)
        self._size = np.array([texture.size_wh for texture in self._textures]).reshape(count, 2)
        self._deepest = np.array([texture.deepest for texture in self._textures]).reshape(count, 2)

    def project(self, camera: Camera, reach: float) -> list[Quad]:
        """What the camera sees of them within ``reach`` metres, in the order in which they were given."""
        if not self._textures:
            return []
        height, width = camera.size_hw
        ahead = camera.position[2]
        distance = self._near_z - ahead
        inside = (self._span_z[:, 1] > ahead - 1.0) & (self._span_z[:, 0] < ahead + 1.1 * reach)
        inside &= (distance >= self._range[:, 0]) & (distance < self._range[:, 1])
        near = np.flatnonzero(inside | self._follows)
        to_image = self._frames[near] @ camera.project  # rows: along, down, corner
        to_image[:, 2] -= (camera.position - self._follows[near, None] * (0.0, 0.0, ahead)) @ camera.project
        corners = self._corners[near] @ to_image
        depth = corners[..., 2]
        low = depth.min(1)
        whole = low >= NEAR
        keep = (depth.max(1) > NEAR) & ((low < reach) | self._follows[near]) & (whole | (self._min_px[near] == 0))
        index, corners, to_image, whole = near[keep], corners[keep], to_image[keep], whole[keep]
        points = corners[..., :2] / np.maximum(corners[..., 2:], 1e-3)
        left, right = points.min(1), points.max(1)
        sides = np.abs(points - points[:, [1, 2, 3, 0]]).max(2)
        across, tall = (np.maximum(np.maximum(sides[:, i], sides[:, i + 2]), 1e-3) for i in (0, 1))
        seen = (left[:, 0] < width) & (left[:, 1] < height) & (right[:, 0] > -1) & (right[:, 1] > -1) & (across > 1.2)
        seen &= np.minimum(across, tall) >= self._min_px[index]
        # Not seen exactly edge-on, where the inverse does not exist.
        frames = to_image.transpose(0, 2, 1)
        seen = (seen | ~whole) & (np.abs(np.linalg.det(frames)) > 1e-6)
        index, corners, points, frames, whole = index[seen], corners[seen], points[seen], frames[seen], whole[seen]
        # About one texel per pixel; what reaches behind the camera is near enough for the full resolution.
        texels = np.stack([self._size[index, 0] * self._share[index] / across[seen], self._size[index, 1] / tall[seen]], 1)
        level = np.clip(np.floor(np.log2(np.maximum(1.2 * texels, 1.0))), 0, self._deepest[index]).astype(np.int64)
        level[~whole] = 0
        box = np.concatenate([np.floor(points.min(1)), np.ceil(points.max(1)) + 1], 1).astype(np.int64)
        outlines: dict[int, F64] = {}
        for row in np.flatnonzero(~whole).tolist():
            clipped = clip_near(corners[row])
            outlines[row] = polygon = clipped[:, :2] / clipped[:, 2:]
            box[row] = [*np.floor(polygon.min(0)), *(np.ceil(polygon.max(0)) + 1)] if len(polygon) > 2 else 0
        box[:, :2] = np.maximum(box[:, :2], 0)
        box[:, 2:] = np.minimum(box[:, 2:], (width, height))
        from_image = _texel_maps(np.linalg.inv(frames), box, np.maximum(1, self._size[index] >> level))
        fixed = to_fixed(points - box[:, None, :2])
        quads = []
        rows = zip(index.tolist(), level.tolist(), corners[..., 2].mean(1).tolist(), box.tolist(), strict=True)
        for row, (i, (level_x, level_y), middle, (x0, y0, x1, y1)) in enumerate(rows):
            if x1 > x0 and y1 > y0:
                outline = fixed[row] if row not in outlines else to_fixed(outlines[row] - (x0, y0))
                quads.append(Quad(self._textures[i], (level_x, level_y), middle, (x0, y0, x1, y1), outline, from_image[row]))
        return quads


def _texel_maps(from_image: F64, box: I64, size: I64) -> F64:
    """(N, 3, 3) image → fractions of the texture, into pixels of the box → texel indices.

    The last row stays the inverse depth: the homography maps (s, t, 1) to depth times (u, v, 1).
    """
    maps: F64 = from_image.copy()
    maps[:, :, 2] += from_image[:, :, 0] * box[:, None, 0] + from_image[:, :, 1] * box[:, None, 1]
    maps[:, :2] *= size[:, :, None]
    maps[:, :2] -= 0.5 * maps[:, 2:]
    return np.asarray(maps)
