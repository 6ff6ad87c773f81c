"""Warming a model up until its latency is steady; what it gives meanwhile is its cold rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import NamedTuple

# Warm-up: windows of this many runs, until one's median is this close to the one's before, or the time is up.
_WINDOW, _STABLE, _LIMIT_S = 5, 0.05, 3.0
#: "Cold" is what the first frames after opening give, for at most this long; it ends where the latency is steady.
COLD_S = 5.0


class WarmUp(NamedTuple):
    """What a warm-up gave.

    Attributes:
        cold: ``fps``, ``seconds`` and ``frames`` from the very first frame on.
        note: A remark where the latency did not become steady in time.
    """

    cold: dict[str, float | int]
    note: str | None


def warm_up(process: Callable[[], Mapping[str, float]], batch: int, first_s: float) -> WarmUp:
    """Runs until the latency is steady.

    Args:
        process: One run; returns the milliseconds of its stages.
        batch: Frames of a run.
        first_s: When the very first run began, ``time.perf_counter``; it has ended already.
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
