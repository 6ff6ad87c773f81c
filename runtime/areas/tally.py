"""Areas of a whole run: means and extremes for its statistics, and curves of bounded size for a plot."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from .areas import Areas

F64 = npt.NDArray[np.float64]


class AreaTally:
    """Sums up the areas of a run's frames. :meth:`report` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Number of the source → its last areas, and sum, minimum and maximum of the shares.
        self._rows: dict[int, tuple[Areas, int, F64, F64, F64]] = {}

    def add(self, areas: Areas, origin: int = 0) -> None:
        """Adds a frame of a source."""
        shares = areas.shares
        with self._lock:
            before = self._rows.get(origin)
            if before is None:
                self._rows[origin] = (areas, 1, shares.copy(), shares.copy(), shares.copy())
            else:
                _, count, total, low, high = before
                np.add(total, shares, out=total)
                np.minimum(low, shares, out=low)
                np.maximum(high, shares, out=high)
                self._rows[origin] = (areas, count + 1, total, low, high)

    def report(self) -> list[dict[str, Any]]:
        """For each source and zone: its pixels, and for each class the share in the last frame, mean, least and most."""
        with self._lock:
            rows = [
                (origin, areas, areas.shares, total / count, low.copy(), high.copy())
                for origin, (areas, count, total, low, high) in sorted(self._rows.items())
            ]
        return [
            {
                "source": origin,
                "zone": zone,
                "pixels": int(areas.sizes[z]),
                "classes": [
                    {"name": name, **{key: float(table[z, c]) for key, table in zip(_KEYS, tables, strict=True)}}
                    for c, name in enumerate(areas.classes)
                ],
            }
            for origin, areas, *tables in rows
            for z, zone in enumerate(areas.zones)
        ]


_KEYS = ("last", "mean", "min", "max")


class AreaCurves:
    """Shares over time with bounded memory: when it is full, neighbouring points are merged two by two.

    Args:
        most: Maximum number of points; even.
    """

    def __init__(self, most: int = 2048) -> None:
        self._most, self._each = most, 1
        self._times: list[float] = []
        self._shares: list[F64] = []
        self._open: list[tuple[float, F64]] = []
        self.classes: tuple[str, ...] = ()
        self.zones: tuple[str, ...] = ()

    def add(self, time_s: float, areas: Areas) -> None:
        """Adds a frame."""
        self.classes, self.zones = areas.classes, areas.zones
        self._open.append((time_s, areas.shares))
        if len(self._open) == self._each:
            self._close()
        if len(self._times) == self._most:
            self._each *= 2
            self._times = [(a + b) / 2 for a, b in zip(self._times[::2], self._times[1::2], strict=True)]
            self._shares = [(a + b) / 2 for a, b in zip(self._shares[::2], self._shares[1::2], strict=True)]

    def _close(self) -> None:
        if self._open:
            self._times.append(float(np.mean([time_s for time_s, _ in self._open])))
            self._shares.append(np.mean([shares for _, shares in self._open], axis=0))
            self._open = []

    def points(self) -> tuple[F64, F64]:
        """Times in seconds, float64 (N,), and shares, float64 (N, zones, classes)."""
        self._close()
        return np.array(self._times), np.array(self._shares).reshape(len(self._times), len(self.zones), len(self.classes))
