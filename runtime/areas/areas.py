"""Counts of pixels per class, in the frame and in its zones."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.options import check_name
from .zones import FRAME as FRAME
from .zones import Division, Zones

Counts = npt.NDArray[np.uint64]

#: Sizes of frames whose division is kept: sources of several sizes may share a segmenter.
_KEPT = 8


@dataclass(frozen=True)
class Areas:
    """How many pixels each class has in a frame, and in each zone.

    Attributes:
        classes: Names of the classes.
        zones: ``"frame"``, then the names of the zones.
        pixels: int64 (zones, classes).
        sizes: int64 (zones,): pixels of each zone, those without a class (void) included.
    """

    classes: tuple[str, ...]
    zones: tuple[str, ...]
    pixels: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Fractions of each zone, 0 to 1: float64 (zones, classes)."""
        return self.pixels / self.sizes[:, None]

    def share(self, name: str, zone: str = FRAME) -> float:
        """The fraction of a zone, 0 to 1, that a class covers.

        >>> areas = Areas(("road", "car"), ("frame",), np.array([[3, 1]]), np.array([4]))
        >>> areas.share("car")
        0.25

        Raises:
            UnknownNameError: no such class or zone.
        """
        check_name("class", name, self.classes)
        check_name("zone", zone, self.zones)
        row = self.zones.index(zone)
        return float(self.pixels[row, self.classes.index(name)] / self.sizes[row])

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Zone → class → fraction, 0 to 1."""
        return {
            zone: dict(zip(self.classes, map(float, row), strict=True))
            for zone, row in zip(self.zones, self.shares, strict=True)
        }


class AreaCounter:
    """Makes the arrays that the kernels count into, and reads them. Any number of threads may use it.

    Args:
        classes: Names of the classes.
        zones: The zones; None counts the whole frame only.
    """

    def __init__(self, classes: tuple[str, ...], zones: Zones | None = None) -> None:
        self.classes = classes
        self.zones = (FRAME, *(zones.names if zones else ()))
        self._zones = zones
        self._divisions: OrderedDict[tuple[int, int], Division] = OrderedDict()

    def arguments(self, size_hw: tuple[int, int]) -> dict[str, Any]:
        """``counts`` and ``regions`` for a call of a kernel for a frame of this size.

        Raises:
            InputError: a zone covers no pixel of such a frame.
        """
        division = self._division(size_hw)
        count = 1 if division is None else division.summing.shape[1]
        regions = None if division is None else division.regions
        return {"counts": np.zeros((count, 256), np.uint64), "regions": regions}

    def areas(self, counts: Counts, size_hw: tuple[int, int]) -> Areas:
        """What was counted."""
        division, known = self._division(size_hw), counts[:, : len(self.classes)]
        if division is None:
            return Areas(self.classes, self.zones, known.astype(np.int64), np.array([size_hw[0] * size_hw[1]]))
        pixels = (division.summing @ known.astype(np.float64)).astype(np.int64)
        return Areas(self.classes, self.zones, pixels, division.sizes)

    def _division(self, size_hw: tuple[int, int]) -> Division | None:
        if self._zones is None:
            return None
        size_hw = size_hw[0], size_hw[1]
        division = self._divisions.get(size_hw)
        if division is None:
            division = Division(self._zones, size_hw)
            self._divisions[size_hw] = division
            while len(self._divisions) > _KEPT:
                self._divisions.popitem(last=False)
        return division
