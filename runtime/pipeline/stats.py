"""Percentiles and frame rates of a run, in bounded memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

PERCENTILES = (50, 95, 99)
#: Samples that are kept for percentiles: half an hour at 30 frames per second. A run that lasts days must not grow.
WINDOW = 1 << 16


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """``{"p50": …, "p95": …, "p99": …}`` with linear interpolation; None where there are no values."""
    data = np.fromiter(values, np.float64)
    if not data.size:
        return {f"p{p}": None for p in PERCENTILES}
    return {f"p{p}": float(value) for p, value in zip(PERCENTILES, np.percentile(data, PERCENTILES), strict=True)}


def median_interval(values: Sequence[float], confidence: float = 0.95) -> list[float] | None:
    """Interval of the median by order statistics: the k-th smallest and k-th largest value, k as large as possible.

    It holds the true median with at least ``confidence``, whatever the distribution, as long as the values are independent:
    the number of values below the median is binomial (David and Nagaraja, Order Statistics, 2003, section 7.1). For 0.95 it
    takes six values.

    Returns:
        [low, high]; None where there are too few values.
    """
    count = len(values)
    tail, k = 0.0, 0
    while k < count / 2:
        tail += math.comb(count, k) / 2**count
        if 1 - 2 * tail < confidence:
            break
        k += 1
    if not k:
        return None
    ordered = sorted(values)
    return [ordered[k - 1], ordered[count - k]]


def half_width(interval: Sequence[float] | None) -> float | None:
    """Half the width of an interval by its middle: 0.02 is plus or minus two per cent. None for none."""
    return None if interval is None else (interval[1] - interval[0]) / (interval[0] + interval[1])


class Samples:
    """Measured values; percentiles are of the latest :data:`WINDOW`, ``count`` is of all.

    Args:
        window: How many values are kept.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.count = 0
        self._window = window
        # Eight bytes each; a list of floats takes four times that, which shows in a run of days.
        self._values = array("d")

    def add(self, value: float) -> None:
        if len(self._values) < self._window:
            self._values.append(value)
        else:
            self._values[self.count % self._window] = value
        self.count += 1

    def percentiles(self) -> dict[str, float | None]:
        """See :func:`percentiles`."""
        return percentiles(self._values)


class Rate:
    """Frames per second as intervals ÷ elapsed time: n frames are n - 1 intervals; what came before the first counts not.

    Args:
        together: Frames that are computed side by side come out side by side: counting begins with the last of the first
            so many.
    """

    def __init__(self, together: int = 1) -> None:
        self.count, self.together = 0, together
        self._first = self._last = 0.0

    def tick(self, now_s: float) -> None:
        """One frame at ``now_s`` (``time.perf_counter``)."""
        self.count += 1
        if self.count == self.together:
            self._first = now_s
        self._last = now_s

    @property
    def fps(self) -> float | None:
        """None before the second frame; side by side, before the first that is not among the first ones."""
        elapsed = self._last - self._first
        return (self.count - self.together) / elapsed if self.count > self.together and elapsed > 0 else None
