"""Frames in flight: one thread prepares and starts them, the network computes them, another thread paints them."""

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

#: Default numbers of frames in flight. For files, one frame is computed, the next one is ready, and the last one is
#: painted. For live sources no frame waits, because a newer frame may arrive at any moment.
IN_FLIGHT_FILE, IN_FLIGHT_LIVE = 3, 2


class InFlight:
    """The started frames that are not yet painted, in order.

    Args:
        segmenter: Computes and paints the frames.
        most: Maximum number of inferences in flight (several frames may share an inference).
        computing: Maximum number of inferences that the network computes or queues. A queued frame becomes outdated, so
            a live source submits the next frame only when the network is idle.
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
        """Number of frames that were started but never delivered, because of an error or a stop."""
        with self._changed:
            return self._taken - self._given if self._aborted else self._refused

    def room(self) -> bool:
        """Waits until another inference may be started. False: aborted, so no more may be started."""
        with self._changed:
            while not self._aborted and (self._begun >= self._most or self._computing >= self._most_computing):
                self._changed.wait()
            return not self._aborted

    def start(self, frames: Sequence[SourceFrame]) -> None:
        """Starts an inference. Raises as :meth:`seg_edge.runtime.Segmenter.start` does."""
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
        """Marks the end of the frames; frames in flight are still delivered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Stops starting and painting."""
        with self._changed:
            self._aborted = True
            self._changed.notify_all()

    def results(
        self, outs: Callable[[SourceFrame], Outs], *, mask: bool, overlay: bool
    ) -> Generator[list[Result], None, None]:
        """Yields the results of each inference, the oldest first, until closed and empty, or aborted.

        When the generator ends for any reason, nothing is in flight any more: it waits for the remaining inferences and
        discards them.

        Raises:
            Exception: as :meth:`seg_edge.runtime.Segmenter.finish`.
        """
        try:
            while (pending := self._oldest()) is not None:
                arrays = [outs(frame) for frame in pending.frames]
                made = self._segmenter.finish(pending, arrays, mask=mask, overlay=overlay, computed=self._count_computed)
                with self._changed:
                    self._begun -= 1
                    self._given += len(made)
                    self._changed.notify_all()
                del pending, arrays  # free the frames' memory, because the next wait may be long
                yield made
                del made
        finally:
            self.abort()
            for pending in self._pending:
                if pending.ticket is not None:
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
        """Waits for a request and discards it; its memory can't be reused before the network is done."""
        with contextlib.suppress(Exception):  # the run fails for another reason, or was stopped
            self._segmenter.finish(pending, [(None, None)] * len(pending.frames), mask=False, overlay=False)


def resolve_in_flight(wanted: int | None, segmenter: Segmenter, live: bool) -> int:
    """Resolves the number of frames in flight; None is a default for the kind of source.

    Raises:
        InputError: ``wanted`` is below 1, or above the segmenter's maximum.
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
