"""The outline of a connected part as one polygon along the borders of its pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Point = tuple[int, int]

# Directions in the order of right turns on the screen: east, south, west, north.
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outline(pixels: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """One polygon whose inside is exactly these pixels, by the even-odd rule and by pycocotools'.

    Holes are joined to the outline by a horizontal cut, which the polygon walks there and back.

    Args:
        pixels: bool (H, W), one 4-connected part.

    Returns:
        int64 (N, 2): x, y of corners; (0, 0) is the upper left corner of the first pixel.
    """
    loops = _loops(pixels)
    outer = max(range(len(loops)), key=lambda number: abs(_double_area(loops[number])))
    ring = loops.pop(outer)
    # From left to right: what a hole's cut meets on its left is part of the ring by then.
    for hole in sorted(loops, key=min):
        start = hole.index(min(hole))
        x, y = hole[start]
        end = x
        while end > 0 and pixels[y, end - 1]:
            end -= 1
        at = ring.index((end, y))
        ring = [*ring[: at + 1], *hole[start:], *hole[:start], hole[start], *ring[at:]]
    return np.array(_corners(ring), np.int64)


def _loops(pixels: npt.NDArray[np.bool_]) -> list[list[Point]]:
    """The closed walks along the borders between inside and outside, the inside on the right."""
    padded = np.pad(pixels, 1)
    core = padded[1:-1, 1:-1]
    ways: dict[Point, list[int]] = {}
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])  # above, right, below, left
    starts = ((0, 0), (1, 0), (1, 1), (0, 1))  # corners of a pixel where its upper, right, lower, left border begins
    for way, (neighbour, (dx, dy)) in enumerate(zip(neighbours, starts, strict=True)):
        rows, columns = np.nonzero(core & ~neighbour)
        for x, y in zip((columns + dx).tolist(), (rows + dy).tolist(), strict=True):
            ways.setdefault((x, y), []).append(way)
    unused = {(point, way) for point, several in ways.items() for way in several}
    loops = []
    while unused:
        start = edge = min(unused)
        loop = []
        while True:
            unused.remove(edge)
            point, way = edge
            loop.append(point)
            point = point[0] + _STEPS[way][0], point[1] + _STEPS[way][1]
            # Where two pixels touch at a corner, the right turn stays with the same pixel.
            edge = point, next(turn % 4 for turn in (way + 1, way, way + 3) if turn % 4 in ways[point])
            if edge == start:
                break
        loops.append(loop)
    return loops


def _double_area(loop: list[Point]) -> int:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(loop, [*loop[1:], loop[0]], strict=True))


def _corners(ring: list[Point]) -> list[Point]:
    """The points at which a closed walk turns or turns back."""
    around = zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
    return [b for a, b, c in around if (b[0] - a[0], b[1] - a[1]) != (c[0] - b[0], c[1] - b[1])]
