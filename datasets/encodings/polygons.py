"""Regions of a mask as polygons along the edges of pixels: exact, with holes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Ring = list[list[int]]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


def polygons(mask: Mask) -> dict[int, list[list[Ring]]]:
    """The regions of each value that occurs: for each its outer ring, then those of its holes.

    Pixels that touch at a corner only belong to different regions. Points are (x, y), corners of pixels: the pixel at
    the top left reaches from (0, 0) to (1, 1). Outer rings run clockwise as the image is seen (y grows downwards), holes the
    other way; the first point is repeated at the end.

    >>> polygons(np.array([[0, 1, 1]], np.uint8))[1]
    [[[[1, 0], [3, 0], [3, 1], [1, 1], [1, 0]]]]

    Args:
        mask: uint8 (H, W).

    Returns:
        Value → the coordinates of a GeoJSON MultiPolygon.
    """
    # A margin of a value that no mask has; and the points where a border of some value turns.
    labels = np.pad(mask.astype(np.int16), 1, constant_values=-1)
    nw, ne, sw, se = labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]
    turns = np.flatnonzero(((nw != sw) | (ne != se)) & ((nw != ne) | (sw != se)))
    corners = [quarter.ravel()[turns] for quarter in (nw, ne, sw, se)]
    points = np.stack(np.divmod(turns, nw.shape[1]), axis=1)
    values = np.flatnonzero(np.bincount(np.concatenate(corners) + 1)[1:])
    return {int(value): _regions(mask, int(value), points, [corner == value for corner in corners]) for value in values}


def feature_collection(mask: Mask, names: tuple[str, ...], values: list[int]) -> dict[str, Any]:
    """GeoJSON: one feature with a MultiPolygon for each of some classes that occurs.

    >>> feature_collection(np.zeros((1, 1), np.uint8), ("sky",), [0])["features"][0]["properties"]
    {'id': 0, 'name': 'sky'}
    """
    found = polygons(mask)
    features = [
        {
            "type": "Feature",
            "properties": {"id": value, "name": names[value]},
            "geometry": {"type": "MultiPolygon", "coordinates": found[value]},
        }
        for value in values
        if value in found
    ]
    return {"type": "FeatureCollection", "features": features}


def _regions(mask: Mask, value: int, points: _Ints, quarters: list[_Bools]) -> list[list[Ring]]:
    """The regions of one value. ``quarters`` says which of the pixels around each point have it: nw, ne, sw, se."""
    rings, outer = _rings(points, quarters)
    if all(outer):
        return [[_closed(ring)] for ring in rings]
    regions: dict[int, list[Ring]] = {}
    holes: list[tuple[int, Ring]] = []
    inside = (mask == value).astype(np.uint8)
    labelled = cv2.connectedComponents(inside, connectivity=4)[1]
    for ring, is_outer in zip(rings, outer, strict=True):
        y, x = ring[0]
        if is_outer:
            regions[int(labelled[y, x])] = [_closed(ring)]
        else:  # the pixel above the first corner surrounds the hole
            holes.append((int(labelled[y - 1, x]), _closed(ring[::-1])))
    for owner, hole in holes:
        regions[owner].append(hole)
    return list(regions.values())


def _closed(ring: _Ints) -> Ring:
    points: Ring = ring[:, ::-1].tolist()
    points.append(points[0])
    return points


def _rings(points: _Ints, quarters: list[_Bools]) -> tuple[list[_Ints], list[bool]]:
    """The closed borders of a value: points (y, x), clockwise; and whether each is an outer one.

    Every corner of a border is the end of one horizontal and of one vertical edge. Corners of a row, sorted, are the ends of
    its horizontal edges, two by two, and those of a column of its vertical ones. Where two pixels touch at a corner, it
    counts twice, once for each of them.
    """
    nw, ne, sw, se = quarters
    odd = nw ^ ne ^ sw ^ se
    crossing = (nw == se) & (ne == sw) & (nw != ne)
    once, twice = points[odd], points[crossing]
    falling = nw[crossing]  # the pixels lie at the top left and bottom right
    starts_ring = np.concatenate((se[odd], se[crossing], se[crossing]))
    points = np.concatenate((once, twice, twice))  # of the doubled ones first the left copies, then the right ones
    # A doubled corner's left copy ends the edge to its left. That meets the edge above where the pixels fall, else the one
    # below.
    zeros, ones = np.zeros(len(once), np.int64), np.ones(len(twice), np.int64)
    across = np.concatenate((zeros, 0 * ones, ones))
    down = np.concatenate((zeros, np.where(falling, 0, 1), np.where(falling, 1, 0)))
    by_row = np.lexsort((across, points[:, 1], points[:, 0]))
    by_column = np.lexsort((down, points[:, 0], points[:, 1]))
    beside = np.empty(len(points), np.int64)
    beside[by_row[0::2]], beside[by_row[1::2]] = by_row[1::2], by_row[0::2]
    below = np.empty(len(points), np.int64)
    below[by_column[0::2]], below[by_column[1::2]] = by_column[1::2], by_column[0::2]
    rings, outer = [], []
    horizontal, vertical = beside.tolist(), below.tolist()
    seen = bytearray(len(points))
    for start in by_row.tolist():
        if seen[start]:
            continue
        ring: list[int] = []
        at = start
        while not seen[at]:
            other = horizontal[at]
            seen[at] = seen[other] = 1
            ring += (at, other)
            at = vertical[other]
        # The first corner of a ring in reading order: the top left one of a region, or of a hole.
        rings.append(points[ring])
        outer.append(bool(starts_ring[start]))
    return rings, outer
