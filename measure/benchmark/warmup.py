"""Warm-up of a model until its latency is steady, and its cold rate during the warm-up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import NamedTuple

# Warm-up: windows of this many runs, until two consecutive medians differ by at most this share, or the time is up.
_WINDOW, _STABLE, _LIMIT_S = 5, 0.05, 3.0
#: The cold rate covers the first frames after opening: until the latency is steady, at most this many seconds.
COLD_S = 5.0


class WarmUp(NamedTuple):
    """The result of a warm-up.

    Attributes:
        cold: ``fps``, ``seconds`` and ``frames``, from the very first frame on.
        note: A remark if the latency did not become steady in time.
    """

    cold: dict[str, float | int]
    note: str | None


def warm_up(process: Callable[[], Mapping[str, float]], batch: int, first_s: float) -> WarmUp:
    """Repeats a run until the latency is steady.

    Args:
        process: One run; returns the milliseconds of its stages.
        batch: Frames of a run.
        first_s: Start of the very first run, which has ended already, by ``time.perf_counter``.
    """
    began, previous, frames, change = perf_counter(), None, batch, 1.0
    cold: dict[str, float | int] = {}
    while change > _STABLE:
        times: list[float] = []
        while len(times) < _WINDOW and not (len(times) > 1 and perf_counter() - began > _LIMIT_S):
            times.append(sum(process().values()))
            frames += batch
            if not cold or perf_counter() - first_s <= COLD_S:
                seconds = perf_counter() - first_s
                cold = {"fps": frames / seconds, "seconds": seconds, "frames": frames}
        now = median(times)
        change = abs(now - previous) / previous if previous else 1.0
        if previous and change > _STABLE and perf_counter() - began > _LIMIT_S:
            return WarmUp(cold, f"latency still changed by {100 * change:.0f} % after {_LIMIT_S:g} s of warm-up")
        previous = now
    return WarmUp(cold, None)
