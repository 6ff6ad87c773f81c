"""Files that are played at a rate, or again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

from ....core.errors import SourceError
from ..base import Source, SourceFrame
from ..options import NATIVE, PlaybackOptions


class PlayedSource(Source):
    """Plays a source that is read from files.

    Frames are numbered on, and named on (``street_000001``, then ``street_000001_2`` in the second round), so that no file
    of a sink is written twice. No frame is left out: where a rate can't be kept up, all frames are late.

    Args:
        opener: Opens the source; called again for each round.
        options: Rate and repetition.

    Raises:
        SourceError: the source can't be opened; or its own rate is wanted, and it has none.
    """

    def __init__(self, opener: Callable[[], Source], options: PlaybackOptions) -> None:
        self._opener, self._options = opener, options
        self._round = opener()
        self._cancelled = threading.Event()
        self._corrupt_before = 0
        rate, own = options.play_fps, self._round.fps
        super().__init__(self._round.text, None, None if options.loop else self._round.count)
        if rate == NATIVE and not own:
            self._round.close()
            raise SourceError(
                f"source {self.text}: it states no rate of its own, as folders of images don't; state one: `play_fps=25`"
            )
        self.fps = rate if isinstance(rate, (int, float)) else own

    def __iter__(self) -> Iterator[SourceFrame]:
        began_s, index, past_s, number = perf_counter(), 0, 0.0, 1
        while True:
            self._round.value_range = self.value_range
            last_s, count = 0.0, 0
            for frame in self._round:
                self._update()
                last_s = (count / self.fps if self.fps else 0.0) if frame.time_s is None else frame.time_s
                due_s = began_s + self._due_s(index, past_s + last_s)
                if self._cancelled.wait(max(due_s - perf_counter(), 0)):
                    return
                yield replace(
                    frame,
                    index=index,
                    name=frame.name if number == 1 else f"{frame.name}_{number}",
                    captured_s=perf_counter() if self._options.play_fps else frame.captured_s,
                    time_s=None if frame.time_s is None else past_s + frame.time_s,
                )
                index, count = index + 1, count + 1
            self._update()
            if not self._options.loop or self._cancelled.is_set():
                return
            # The last frame is shown as long as the mean of the others.
            past_s += last_s + (last_s / (count - 1) if count > 1 else 1 / (self.fps or 1))
            self._corrupt_before, number = self.corrupt, number + 1
            self._round.close()
            self._round = self._opener()

    def _due_s(self, index: int, time_s: float) -> float:
        """Seconds from the start at which a frame is shown."""
        rate = self._options.play_fps
        if rate is None:
            return 0.0
        return time_s if isinstance(rate, str) else index / rate

    def _update(self) -> None:
        self.corrupt, self.video = self._corrupt_before + self._round.corrupt, self._round.video

    def health(self) -> list[dict[str, Any]]:
        return self._round.health()

    def cancel(self) -> None:
        self._cancelled.set()
        self._round.cancel()

    def close(self) -> None:
        self._cancelled.set()
        self._round.close()
