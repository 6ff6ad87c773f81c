"""Zones: named parts of a frame, as polygons; and a frame's division by them, as the kernels count it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from .. import _kernels

Points = npt.NDArray[np.float64]

#: Name of the whole frame, beside the zones.
FRAME = "frame"
#: Zones are the bits of a number.
MOST_ZONES = 64
_MOST_REGIONS = 4096  # SE_MAX_REGIONS
_MOST_CORNERS = 10_000


@dataclass(frozen=True)
class Zone:
    """A named part of the frame.

    Attributes:
        name: Unique among the zones.
        polygons: Each polygon is a list of rings, float (N, 2) of x and y: its outline, then its holes. The zone is their
            union.
        size_hw: Height and width of the image that the coordinates are pixels of, (1, 1) if they are fractions of the
            frame; None: they are pixels of whatever frame comes.
    """

    name: str
    polygons: tuple[tuple[Points, ...], ...]
    size_hw: tuple[float, float] | None = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not self.name or self.name == FRAME:
            raise InputError(f"zone {self.name!r}: expected a name other than {FRAME!r}, which is the whole frame")
        for ring in (ring for polygon in self.polygons for ring in polygon):
            if (
                ring.ndim != 2
                or ring.shape[1:] != (2,)
                or not 3 <= len(ring) <= _MOST_CORNERS
                or not np.isfinite(ring).all()
            ):
                raise InputError(
                    f"zone {self.name}: expected polygons of 3 to {_MOST_CORNERS} corners (x, y) with finite coordinates, "
                    f"got {np.array2string(ring.ravel()[:8], threshold=8)}"
                )

    def inside(self, size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
        """The zone's pixels in a frame of that size, bool (H, W): those whose centre lies inside a polygon (even-odd rule).

        >>> square = np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 1]])
        >>> Zone("left", ((square,),)).inside((2, 4)).astype(int)
        array([[1, 1, 0, 0],
               [1, 1, 0, 0]])
        """
        height, width = size_hw
        of_h, of_w = self.size_hw or size_hw
        found = np.zeros(size_hw, bool)
        for polygon in self.polygons:
            rings = [ring * (width / of_w, height / of_h) for ring in polygon]
            found |= _filled(rings, size_hw)
        return found


def _filled(rings: Sequence[Points], size_hw: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Pixel centres inside rings: each edge toggles what lies to its right."""
    height, width = size_hw
    toggles = np.zeros((height, width + 1), np.uint8)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            if y0 > y1:
                (x0, y0), (x1, y1) = (x1, y1), (x0, y0)
            # Rows whose centre lies in [y0, y1): a corner belongs to one of its two edges.
            rows = np.arange(max(int(np.ceil(y0 - 0.5)), 0), min(int(np.ceil(y1 - 0.5)), height))
            if not rows.size:
                continue
            x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
            columns = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
            toggles[rows, columns] ^= 1
    return np.bitwise_xor.accumulate(toggles[:, :width], axis=1).astype(bool)


class Zones:
    """The zones of a file or program, in order.

    Args:
        zones: At most 64 of different names.

    Raises:
        InputError: none, too many, or two of one name.
    """

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.zones = tuple(zones)
        names = self.names
        twice = {name for name in names if names.count(name) > 1}
        if not 1 <= len(names) <= MOST_ZONES or twice:
            got = f"two of the name {sorted(twice)[0]!r}" if twice else str(len(names))
            raise InputError(f"`zones`: expected 1 to {MOST_ZONES} zones of different names, got {got}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(zone.name for zone in self.zones)


class Division:
    """A frame's regions: for each set of zones that share pixels, those pixels.

    Attributes:
        regions: For the kernels.
        summing: float64 (1 + zones, regions), 0 and 1: the regions of the frame, which are all, and of each zone. Float,
            because NumPy multiplies integers slowly; counts below 2**53 are exact.
        sizes: int64 (1 + zones,): pixels of the frame and of each zone.

    Raises:
        InputError: a zone covers no pixel, or the zones overlap in more than 4096 ways.
    """

    def __init__(self, zones: Zones, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        bits = np.zeros(size_hw, np.uint64)
        for number, zone in enumerate(zones.zones):
            inside = zone.inside(size_hw)
            if not inside.any():
                raise InputError(f"zone {zone.name}: covers no pixel of a frame of {width}x{height}; correct its corners")
            bits |= inside.astype(np.uint64) << np.uint64(number)
        # The last pixel of every run.
        last = np.ones(size_hw, bool)
        np.not_equal(bits[:, 1:], bits[:, :-1], out=last[:, :-1])
        rows = np.concatenate(([0], np.cumsum(last.sum(axis=1)))).astype(np.uint32)
        at = np.nonzero(last)
        sets, ids = np.unique(bits[at], return_inverse=True)
        if len(sets) > _MOST_REGIONS:
            raise InputError(f"`zones`: they overlap in {len(sets)} ways, expected at most {_MOST_REGIONS}; pass fewer")
        ends = (at[1] + 1).astype(np.uint32)
        self.regions = _kernels.regions(rows, ends, ids.astype(np.uint16), len(sets), width)
        numbers = np.arange(len(zones.zones), dtype=np.uint64)
        members = sets >> numbers[:, None] & np.uint64(1)
        self.summing = np.concatenate((np.ones((1, len(sets))), members)).astype(np.float64)
        lengths = np.diff(np.flatnonzero(last), prepend=-1)
        self.sizes = (self.summing @ np.bincount(ids.ravel(), lengths, len(sets))).astype(np.int64)
