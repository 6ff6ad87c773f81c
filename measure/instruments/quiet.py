"""Waits until other processes are idle."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, sleep

from .sensors import QUIET_CORES, OtherLoad


def wait_for_quiet(limit_s: float, tell: Callable[[int, int, str], None]) -> float:
    """Waits until other processes have used almost no CPU time for a second, or the time is up.

    Args:
        limit_s: Longest wait, seconds; 0 returns at once.
        tell: Called with (seconds waited, longest wait, reason).

    Returns:
        The seconds waited.
    """
    began = perf_counter()
    while (waited := perf_counter() - began) < limit_s:
        load = OtherLoad()
        load.start()
        sleep(min(1.0, limit_s))
        load.stop()
        cores = load.cores
        if cores is None or cores <= QUIET_CORES:
            break
        tell(int(waited), max(int(limit_s), 1), f"waiting: other processes use {cores:.1f} cores")
    return perf_counter() - began
