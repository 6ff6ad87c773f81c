"""Percentiles and frame rates of a run, with bounded memory."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence

import numpy as np

PERCENTILES = (50, 95, 99)
#: Samples for percentiles: half an hour at 30 frames per second. The limit keeps the memory of long runs constant.
WINDOW = 1 << 16


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """``{"p50": …, "p95": …, "p99": …}`` with linear interpolation; each None if there are no values."""
    data = np.fromiter(values, np.float64)
    if not data.size:
        return {f"p{p}": None for p in PERCENTILES}
    return {f"p{p}": float(value) for p, value in zip(PERCENTILES, np.percentile(data, PERCENTILES), strict=True)}


def median_interval(values: Sequence[float], confidence: float = 0.95) -> list[float] | None:
    """Confidence interval of the median from order statistics: the k-th smallest and k-th largest value, k maximal.

    The interval contains the true median with a probability of at least ``confidence``, for any distribution of
    independent values, because the number of values below the median is binomial (David and Nagaraja, Order Statistics,
    2003, section 7.1). A confidence of 0.95 needs at least six values.

    Returns:
        [low, high]; None if there are too few values.
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
    """Half the width of an interval relative to its middle: 0.02 is ± 2 %. None for None."""
    return None if interval is None else (interval[1] - interval[0]) / (interval[0] + interval[1])


class Samples:
    """Measured values. ``count`` includes all values, percentiles only the latest.

    Args:
        window: Number of values for the percentiles.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.count = 0
        self._window = window
        # Eight bytes per value; a list of floats needs four times as much.
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
    """Frames per second as intervals ÷ elapsed time. n frames have n - 1 intervals; earlier time is excluded.

    Args:
        together: Number of frames that are computed in parallel and thus finish together. Counting begins with the last
            frame of the first such group.
    """

    def __init__(self, together: int = 1) -> None:
        self.count, self.together = 0, together
        #: Frames that a rate takes. Of frames in parallel, which leave in order, a slow one lets the next ones follow at
        #: once: less than two further groups would be counted as thousands of frames per second.
        self.least = 2 if together == 1 else 3 * together
        self._first = self._last = 0.0

    def tick(self, now_s: float) -> None:
        """Counts a frame at ``now_s`` (``time.perf_counter``)."""
        self.count += 1
        if self.count == self.together:
            self._first = now_s
        self._last = now_s

    @property
    def fps(self) -> float | None:
        """Frames per second; None until ``least`` frames were counted."""
        elapsed = self._last - self._first
        return (self.count - self.together) / elapsed if self.count >= self.least and elapsed > 0 else None
