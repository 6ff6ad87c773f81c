"""The outline of a connected part as one polygon along the borders of its pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..encodings.polygons import polygons

Point = tuple[int, int]


def outline(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """One polygon whose inside is exactly these pixels, by the even-odd rule and by pycocotools'.

    Holes are joined to the outline by a horizontal cut, which the polygon walks there and back.

    Args:
        pixels: bool (H, W), one 4-connected part.

    Returns:
        int64 (N, 2): x, y of corners; (0, 0) is the upper left corner of the first pixel.
    """
    ((outer, *holes),) = polygons(pixels.astype(np.uint8))[1]
    ring = _points(outer)
    # From left to right: what a hole's cut meets on its left is part of the ring by then.
    for hole in sorted(map(_points, holes), key=min):
        start = hole.index(min(hole))
        x, y = hole[start]
        end = x
        while end > 0 and pixels[y, end - 1]:
            end -= 1
        at = _after(ring, (end, y))
        ring = [*ring[:at], (end, y), *hole[start:], *hole[:start], hole[start], (end, y), *ring[at:]]
    return np.array(_corners(ring), np.int64)


def _points(closed: list[list[int]]) -> list[Point]:
    """A ring without its last point, which is its first one."""
    return [(x, y) for x, y in closed[:-1]]


def _after(ring: list[Point], point: Point) -> int:
    """The place in a ring where a point on one of its vertical edges comes."""
    x, y = point
    for at, ((x0, y0), (x1, y1)) in enumerate(zip(ring, [*ring[1:], ring[0]], strict=True), 1):
        if x0 == x1 == x and min(y0, y1) <= y <= max(y0, y1):
            return at
    raise AssertionError(f"{point} is on no vertical edge")


def _corners(ring: list[Point]) -> list[Point]:
    """The points at which a closed walk turns or turns back; one of those that repeat."""
    walk = [point for point, after in zip(ring, [*ring[1:], ring[0]], strict=True) if point != after]
    around = zip([walk[-1], *walk[:-1]], walk, [*walk[1:], walk[0]], strict=True)
    return [b for a, b, c in around if _direction(a, b) != _direction(b, c)]


def _direction(start: Point, end: Point) -> Point:
    return (end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1])
