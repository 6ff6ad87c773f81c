"""A live source that survives failures of its camera or stream: it detects stalls, reconnects and reports its state."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from ...core.errors import SourceError
from .base import Source, SourceFrame, logger
from .feed import About, Cancelled, Feed, FeedLost, Wake
from .options import LiveOptions
from .table import redact
from .video import check_count

#: Opens a connection; setting the wake ends all of its waits.
Connect = Callable[[Wake], Feed]
#: A quick check whether the server answers: the reason why not, or None. Avoids a process per attempt in a long outage.
Knock = Callable[[Wake], "str | None"]

_FIRST_PAUSE_S = 0.25
#: Seconds by which a stream's time may differ from the clock before it is tied to the clock again.
_CLOCKS_S = 2.0


class LiveSource(Source):
    """Frames of a camera or stream, until the reader stops.

    States: ``connecting`` (before the first connection), ``live``, ``stalled`` (no frame for ``stall_s``: the
        connection was
    closed, and a new one is being opened), ``reconnecting`` (repeated attempts with growing pauses), ``ended``. **No
    frame is emitted** outside of ``live``, so old frames are never shown as new. A new connection may have another
    frame size.

    A stream that states its number of frames (a video served over HTTP) is not live: it drops no frames, and it ends.

    Args:
        text: The name given by the user, without a password.
        connect: Opens a connection.
        knock: Checks whether an attempt is worthwhile; None attempts always.
        options: The time limits.
        why_not: Reason → error text, for a first connection that failed.

    Raises:
        SourceError: no connection could be opened within ``start_s``.
    """

    live = True

    def __init__(
        self,
        text: str,
        connect: Connect,
        *,
        knock: Knock | None = None,
        options: LiveOptions | None = None,
        why_not: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(redact(text))
        self._connect, self._knock = connect, knock
        self._options = options or LiveOptions()
        self._wake = Wake()
        # Held while the feed is used, so that it is not closed during a read.
        self._using = threading.Lock()
        self._feed: Feed | None = None
        self._closed = False
        self.state = "connecting"
        self.stalls = self.attempts = 0
        self.reason: str | None = None
        self._size_hw: tuple[int, int] | None = None
        self._last_s: float | None = None
        self._lost_at: float | None = None
        self._lost_s = 0.0
        self._segment_s = 0.0
        self._startup_s = 0.0
        self._born_s: float | None = None  # when the first frame came
        self._zero_s: float | None = None  # when second 0 of the connection's stream would have come
        self._corrupt_before = 0
        try:
            about = self._first(perf_counter() + self._options.start_s)
        except FeedLost as error:
            self.close()
            reason = redact(str(error))
            raise SourceError(
                why_not(reason) if why_not else f"source {self.text}: {reason}; check the address, or wait longer"
            ) from error
        except BaseException:
            self.close()
            raise
        self.about = about
        self.fps, self.count = about.fps, about.count
        self.live = about.live

    def __iter__(self) -> Iterator[SourceFrame]:
        index = 0
        while True:
            with self._using:
                frame = self._next(index)
            if frame is None:
                return
            yield frame
            index += 1

    def health(self) -> list[dict[str, Any]]:
        lost_at = self._lost_at
        lost_s = self._lost_s + (perf_counter() - lost_at if lost_at is not None else 0.0)
        return [
            {
                "source": self.text,
                "state": self.state,
                "reconnects": self.reconnects,
                "stalls": self.stalls,
                "lost_s": lost_s,
                "size": list(self._size_hw) if self._size_hw else None,
                "reason": self.reason,
                "video": self.video,
            }
        ]

    def cancel(self) -> None:
        if not self._closed:
            self._wake.set()

    def close(self) -> None:
        if self._closed:
            return
        self.cancel()
        if self._using.acquire(timeout=1.5):
            try:
                if not self._closed:
                    self._closed = True
                    self._drop()
                    self._wake.close()
                    self.state = "ended"
            finally:
                self._using.release()

    def _next(self, index: int) -> SourceFrame | None:
        if self._closed:
            return None
        try:
            while True:
                try:
                    if self._feed is None:
                        self._feed = self._attempt(perf_counter() + self._options.attempt_s)[0]
                    # The first frame of a connection may have to wait for a key frame; later frames follow at the
                    # stated rate.
                    patience_s = self._options.stall_s if self._lost_at is None else self._options.attempt_s
                    patience_s += 1.5 * self._segment_s  # a new segment may be that late
                    received = self._feed.next(perf_counter() + patience_s)
                    break
                except FeedLost as error:
                    if error.ended or (not self.live and not error.silent):
                        check_count(self.text, index, self.count if self.about.stated else None)
                        self.state = "ended"
                        return None
                    self._lose(error)
                    self._wake.sleep(self._pause_s())
        except Cancelled:
            return None
        image, captured_s, pixel_format, time_s, colours = received
        shown_s = self._time_s(time_s, captured_s)
        frame = SourceFrame(image, index, f"frame_{index:06d}", captured_s, 0, pixel_format, shown_s, colours)
        self._hear()
        self._found(frame.size_hw)
        return frame

    def _first(self, until_s: float) -> About:
        refusal: FeedLost | None = None
        while True:
            try:
                self._feed, about = self._attempt(min(until_s, perf_counter() + self._options.attempt_s))
                self.attempts = 0
                return about
            except FeedLost as error:
                # The last attempt may be cut short by the deadline: what an earlier one was told says more.
                refusal = error if refusal is None or not error.silent else refusal
                self.reason = redact(str(refusal))
                # The time that processes took to load their library is not the server's.
                until_s += self._startup_s
                self._startup_s = 0.0
                pause_s = self._pause_s()
                if error.final or perf_counter() + pause_s >= until_s:
                    raise refusal from None
                self._wake.sleep(pause_s)

    def _attempt(self, until_s: float) -> tuple[Feed, About]:
        self.attempts += 1
        refused = self._knock(self._wake) if self._knock else None
        if refused:
            raise FeedLost(refused)
        feed = self._connect(self._wake)
        try:
            about = feed.opened(until_s)
        except BaseException:
            self._startup_s = feed.startup_s
            feed.close()
            raise
        self._segment_s, self._zero_s = about.segment_s, None
        self._corrupt_before = self.corrupt
        return feed, about

    def _hear(self) -> None:
        """Takes over what the connection's process said about the video."""
        feed = self._feed
        if feed is None:
            return
        self.video = feed.video
        self.corrupt = self._corrupt_before + feed.corrupt
        for note in feed.notes:
            logger.warning("seg-edge: source %s: %s", self.text, note)
        feed.notes.clear()

    def _time_s(self, time_s: float | None, captured_s: float) -> float | None:
        """The time since the first frame of the first connection: the stream's own, tied to the clock at each connection."""
        if time_s is None:
            return None
        if self._born_s is None:
            self._born_s = captured_s
        if self._zero_s is None or (self.live and abs(self._zero_s + time_s - captured_s) > _CLOCKS_S + self._segment_s):
            self._zero_s = captured_s - time_s if self.live else self._born_s
        return self._zero_s + time_s - self._born_s

    def _lose(self, error: FeedLost) -> None:
        self._drop()
        self.reason = redact(str(error))
        if self._lost_at is not None:
            self.state = "reconnecting"
            return
        self._lost_at = self._last_s or perf_counter()
        self.attempts = 0
        self.state = "stalled" if error.silent else "reconnecting"
        self.stalls += error.silent
        event = f"no frame for {self._options.stall_s:g} s" if error.silent else self.reason
        logger.warning("seg-edge: source %s: %s; connecting again", self.text, event)

    def _found(self, size_hw: tuple[int, int]) -> None:
        self._last_s = now = perf_counter()
        if self._lost_at is not None:
            outage_s = now - self._lost_at
            self._lost_s += outage_s
            self._lost_at = None
            self.reconnects += 1
            logger.warning("seg-edge: source %s: back after %.1f s", self.text, outage_s)
        if self._size_hw not in (None, size_hw):
            logger.warning("seg-edge: source %s: its frames are now %dx%d", self.text, size_hw[1], size_hw[0])
        self._size_hw = size_hw
        self.attempts, self.state, self.reason = 0, "live", None

    def _drop(self) -> None:
        if self._feed is not None:
            self._feed.close()
            self._feed = None

    def _pause_s(self) -> float:
        """Exponential back-off with jitter, so that clients of a returning server don't connect simultaneously."""
        if not self.attempts:
            return 0.0
        pause_s = min(_FIRST_PAUSE_S * 2.0 ** min(self.attempts - 1, 16), self._options.longest_pause_s)
        return pause_s * random.uniform(0.75, 1.25)
