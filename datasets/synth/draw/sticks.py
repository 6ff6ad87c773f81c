"""Sticks: tapered round bars between two points. Limbs, poles and lamp arms are made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .canvas import F64, I32, NEAR, Camera, to_fixed
from .textures import BGR, Light

Point = tuple[float, float, float]


class Sticks:
    """A bundle of sticks, in drawing order.

    Args:
        rows: One row per stick: both ends (x, y, z, x, y, z) and both radii, metres.
        colours: B, G, R per stick.
    """

    def __init__(self, rows: Sequence[Sequence[float]] | F64, colours: Sequence[BGR] | F64) -> None:
        self.rows = np.asarray(rows, np.float64).reshape(-1, 8)
        self.colours = np.asarray(colours, np.float64).reshape(-1, 3)

    def placed(self, x: F64, z: F64, heading: F64) -> Sticks:
        """Each stick turned by its heading (from +Z towards +X, radians) and moved to its ground point; all (N,)."""
        sine, cosine = np.sin(heading)[:, None], np.cos(heading)[:, None]
        ends = self.rows[:, :6].reshape(-1, 2, 3)
        across, up, forward = ends[..., 0], ends[..., 1], ends[..., 2]
        rows = np.empty_like(self.rows)
        rows[:, [0, 3]] = x[:, None] + across * cosine + forward * sine
        rows[:, [1, 4]] = up
        rows[:, [2, 5]] = z[:, None] - across * sine + forward * cosine
        rows[:, 6:] = self.rows[:, 6:]
        return Sticks(rows, self.colours)

    def project(self, camera: Camera, light: Light) -> Drawn:
        """Outlines and lit stripes as the camera sees them."""
        ends = camera.homogeneous(self.rows[:, :6].reshape(-1, 2, 3))
        depth = np.maximum(ends[..., 2], NEAR)
        points = ends[..., :2] / depth[..., None]
        axis = points[:, 1] - points[:, 0]
        axis /= np.maximum(np.hypot(axis[:, 0], axis[:, 1]), 1e-6)[:, None]
        across = np.stack([-axis[:, 1], axis[:, 0]], 1)
        across *= np.where(across[:, :1] < 0, -1.0, 1.0)
        # Nothing is thinner than a pixel, or it would come and go between rows.
        radius = np.maximum(self.rows[:, 6:] * camera.focal / depth, 0.55)
        a, b = points[:, 0], points[:, 1]
        wa, wb = across * radius[:, :1], across * radius[:, 1:]
        la, lb = axis * radius[:, :1], axis * radius[:, 1:]
        outline = np.stack(
            [
                a + wa - 0.15 * la, a + 0.6 * wa - 0.5 * la, a - 0.6 * wa - 0.5 * la, a - wa - 0.15 * la,
                b - wb + 0.15 * lb, b - 0.6 * wb + 0.5 * lb, b + 0.6 * wb + 0.5 * lb, b + wb + 0.15 * lb,
            ],
            1,
        )  # fmt: skip
        side = 1.0 if math.sin(light.azimuth - camera.yaw) > 0 else -1.0
        stripe = np.stack([a + side * wa, a + 0.1 * side * wa, b + 0.1 * side * wb, b + side * wb], 1)
        return Drawn(to_fixed(outline), to_fixed(stripe), depth.mean(1), radius, self.colours)


class Drawn:
    """Projected sticks: fixed-point polygons (N, 8, 2) and (N, 4, 2), depths (N,), radii in pixels (N, 2), colours."""

    def __init__(self, outline: I32, stripe: I32, depth: F64, radius: F64, colours: F64) -> None:
        self.outline, self.stripe, self.depth, self.radius, self.colours = outline, stripe, depth, radius, colours

    def paint(self, light: Light, clear: float | F64, haze: F64) -> tuple[list[list[float]], list[list[float]]]:
        """Colours of outlines and of lit stripes, seen through haze; ``clear`` is one share for all, or (N, 1)."""
        base, strength = light.on(0, 0.3, -0.6), 0.10 + 0.22 * light.sun
        veil = haze * (1 - clear)
        dark = np.minimum(self.colours * (base * (1 - strength) * clear), 255) + veil
        bright = np.minimum(self.colours * (base * (1 + strength)), 255) * clear + veil
        return dark.tolist(), bright.tolist()
