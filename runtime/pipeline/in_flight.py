"""Frames in flight: one thread prepares and starts them, another one paints them, the network computes in between."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from ...core.errors import InputError

if TYPE_CHECKING:
    from ..frame.result import Outs, Result
    from ..frame.runner import Pending
    from ..segmenter import Segmenter
    from ..sources.base import SourceFrame

#: Frames in flight by default. A file: one is computed, the next one waits ready behind it, the last one is painted. A live
#: source: none waits; a newer frame may come at any moment.
IN_FLIGHT_FILE, IN_FLIGHT_LIVE = 3, 2


class InFlight:
    """The frames that were started and are not yet painted, in their order.

    Args:
        segmenter: Computes and paints them.
        most: How many (inferences, where several frames share one) there may be.
        computing: How many of those the network may have, with the one it works on. A frame that waits there grows old, so
            a live source hands over the next frame only when the network is free.
    """

    def __init__(self, segmenter: Segmenter, most: int, computing: int) -> None:
        self._segmenter = segmenter
        self._most, self._most_computing = most, computing
        self._pending: deque[Pending] = deque()
        self._begun = self._computing = 0
        self._closed = self._aborted = False
        self._changed = threading.Condition()
        self._taken = self._given = self._refused = 0

    @property
    def abandoned(self) -> int:
        """Frames that were taken in and will never come out: something failed, or the run was stopped."""
        with self._changed:
            return self._taken - self._given if self._aborted else self._refused

    def room(self) -> bool:
        """Waits until another inference may be started. False: aborted, there never will be."""
        with self._changed:
            while not self._aborted and (self._begun >= self._most or self._computing >= self._most_computing):
                self._changed.wait()
            return not self._aborted

    def start(self, frames: Sequence[SourceFrame]) -> None:
        """Takes frames in. Raises as :meth:`seg_edge.runtime.Segmenter.start` does."""
        with self._changed:
            self._taken += len(frames)
        try:
            pending = self._segmenter.start(frames)
        except BaseException:
            with self._changed:
                self._refused += len(frames)
            raise
        with self._changed:
            if not self._aborted:
                self._pending.append(pending)
                self._begun += 1
                self._computing += 1
                self._changed.notify_all()
                return
        self._discard(pending)

    def close(self) -> None:
        """No more will be started; those in flight still come out."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Nothing more is started or painted."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def results(
        self, outs: Callable[[SourceFrame], Outs], *, mask: bool, overlay: bool
    ) -> Generator[list[Result], None, None]:
        """Yields the results of each inference, the oldest first, until closed and empty, or aborted.

        At its end, however it comes, nothing is in flight any more: what is left is waited for and abandoned.

        Raises:
            Exception: as :meth:`seg_edge.runtime.Segmenter.finish` does.
        """
        try:
            while (pending := self._oldest()) is not None:
                arrays = [outs(frame) for frame in pending.frames]
                made = self._segmenter.finish(pending, arrays, mask=mask, overlay=overlay, computed=self._count_computed)
                with self._changed:
                    self._begun -= 1
                    self._given += len(made)
                    self._changed.notify_all()
                del pending, arrays  # the next wait may be long, and the frames are large
                yield made
                del made
        finally:
            self.abort()
            for pending in self._pending:
                self._segmenter.engine.cancel(pending.ticket)
            while self._pending:
                self._discard(self._pending.popleft())

    def _oldest(self) -> Pending | None:
        with self._changed:
            while not self._pending and not self._closed and not self._aborted:
                self._changed.wait()
            return self._pending.popleft() if self._pending and not self._aborted else None

    def _count_computed(self) -> None:
        with self._changed:
            self._computing -= 1
            self._changed.notify_all()

    def _discard(self, pending: Pending) -> None:
        """The network must be done with a request before its memory can be used again."""
        with contextlib.suppress(Exception):  # the run fails for another reason, or was stopped
            self._segmenter.finish(pending, [(None, None)] * len(pending.frames), mask=False, overlay=False)


def resolve_in_flight(wanted: int | None, segmenter: Segmenter, live: bool) -> int:
    """How many frames may be in flight; None is a default for the kind of source.

    Raises:
        InputError: below 1, or beyond what the segmenter allows.
    """
    most = segmenter.most_in_flight
    if wanted is None:
        return min(most, IN_FLIGHT_LIVE if live else IN_FLIGHT_FILE + segmenter.engine.parallel - 1)
    if wanted < 1:
        raise InputError(f"`in_flight`: expected a number of frames from 1 on, got {wanted}; 1 takes one after the other")
    if wanted > most:
        raise InputError(
            f"`in_flight`: engine {segmenter.engine.name} takes at most {most} at the same time here, got {wanted}; "
            "pass fewer, or leave it out"
        )
    return wanted
