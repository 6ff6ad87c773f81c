"""Timings of a run: duration of the stages, latency, frame age, frames per second."""

from __future__ import annotations

from typing import Any

from ..frame.result import Result
from .stats import Rate, Samples

STAGES = ("capture", "pre", "engine", "post", "sink")


class Timings:
    """Timings of a run, with bounded memory. Each stage is recorded by a single thread.

    Args:
        in_flight: Number of frames in flight; above 1 there is a stage ``wait``.
        together: Number of frames that finish together, see :class:`Rate`.
    """

    def __init__(self, in_flight: int, together: int) -> None:
        names = STAGES if in_flight == 1 else (*STAGES[:2], "wait", *STAGES[2:])
        self._stages = {name: Samples() for name in names}
        self._latency, self._age = Samples(), Samples()
        self._rate = Rate(together)

    @property
    def fps(self) -> float | None:
        """Frames per second at the sinks so far; None before the second frame."""
        return self._rate.fps

    def captured(self, spent_ms: float) -> None:
        """Records that a source delivered a frame."""
        self._stages["capture"].add(spent_ms)

    def computed(self, result: Result) -> None:
        """Records that mask and overlay of a frame are done."""
        self._latency.add(result.latency_ms)
        for stage, spent_ms in result.stages_ms.items():
            if stage in self._stages:
                self._stages[stage].add(spent_ms)

    def delivered(self, result: Result, started_s: float, now_s: float) -> None:
        """Records that the last sink took a result at ``now_s``; the first sink got it at ``started_s``."""
        self._stages["sink"].add(1e3 * (now_s - started_s))
        self._age.add(1e3 * (now_s - result.captured_s))
        self._rate.tick(now_s)

    def report(self) -> dict[str, Any]:
        """``fps``, ``latency_ms``, ``frame_age_ms``, ``stages_ms``; a ``note`` if the rate can't be measured."""
        report: dict[str, Any] = {
            "fps": self._rate.fps,
            "latency_ms": self._latency.percentiles(),
            "frame_age_ms": self._age.percentiles(),
            "stages_ms": {stage: samples.percentiles() for stage, samples in self._stages.items()},
        }
        if report["fps"] is None:
            report["note"] = f"fps can't be measured: it takes {self._rate.least} frames, and {self._rate.count} came out"
        return report
