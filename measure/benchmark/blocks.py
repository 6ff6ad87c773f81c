"""Timing of a block of runs, the unit of every measurement of an engine or a segmenter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from .turns import Share


@dataclass(frozen=True)
class Block:
    """Consecutive runs without a pause.

    Attributes:
        times_ms: Milliseconds of each run.
        elapsed_s: Seconds from before the first run until after the last one.
    """

    times_ms: list[float]
    elapsed_s: float

    @property
    def median_ms(self) -> float:
        return median(self.times_ms)

    @property
    def rate(self) -> float:
        """Runs per second."""
        return len(self.times_ms) / self.elapsed_s


def run_block(run: Callable[[], object], share: Share) -> Block:
    """Repeats a run for the length of ``share``, and times each run.

    Args:
        run: One run; the return value is ignored.
        share: A number of runs, or seconds (then at least one run).
    """
    times_ms: list[float] = []
    began = perf_counter()
    while not share.over(len(times_ms), began):
        started = perf_counter()
        run()
        times_ms.append(1e3 * (perf_counter() - started))
    return Block(times_ms, perf_counter() - began)
