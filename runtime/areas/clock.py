"""The time of a result: its presentation time, or since its source's first frame arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..frame.result import Result


class Clock:
    """Gives every result of a run its time in seconds from the start of its source, which never falls."""

    def __init__(self) -> None:
        self._first: dict[int, float] = {}
        self._last: dict[int, float] = {}

    def time_s(self, result: Result) -> float:
        """``result.time_s``; if the source states none, the time since its first frame was in memory."""
        first = self._first.setdefault(result.origin, result.captured_s)
        now = result.time_s if result.time_s is not None else result.captured_s - first
        now = max(now, self._last.get(result.origin, now))
        self._last[result.origin] = now
        return now
