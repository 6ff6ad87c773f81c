"""Source → segmenter → sinks, all at once. The one place with threads and queues.

    capture thread ──captured──▶ feeding thread ──in flight: the network──▶ painting thread ──results──▶ the caller's: sinks

Feeding is the resize and the start of an inference, painting the post-processing: while the network computes a frame, the
next one is prepared and the last one painted. With one frame in flight a single thread does all three, one after the other.
The caller's own thread feeds the sinks, because windows must be drawn by the main thread and Ctrl-C arrives there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ...core.errors import InputError
from ..frame.hud import Hud
from ..frame.result import Outs, Result
from ..sinks.base import Run, Sink
from ..sources.base import Source, SourceFrame
from ..sources.opening import open_source
from .buffer_pool import BufferPool
from .channel import Channel
from .in_flight import InFlight, resolve_in_flight
from .timings import Timings
from .workers import Workers

if TYPE_CHECKING:
    from ..segmenter import Segmenter


class Pipeline:
    """One run of a source, or several, through a segmenter.

    Queues are bounded. A live source never waits: when inference or the sinks are late, the oldest waiting frame is dropped
    and counted. A file waits instead, and drops none. An error in any stage stops all stages and is raised to the caller.

    Args:
        source: An open one, or several: all live, or none. Each has its own places in the queues, and a thread that reads
            it; frames of several that wait at the same time share one inference where the engine's batch is free.
        segmenter, sinks: Open ones. The pipeline closes nothing of all that.
        mask, overlay: What the segmenter computes; a mask also where a sink needs one.
        max_frames: Stop after this many results; None is no limit.
        duration_s: Stop after this many seconds; None is no limit.
        queue_size: Frames that may wait between two stages. More of them cost memory and age, and give no speed.
        hud: Draw rate, latency, drops, engine and device into the overlay.
        in_flight: Frames on their way through the segmenter at the same time, at least 1. None: 3 for files (one prepared or
            waiting for the network, one computed, one painted; more where the engine computes several side by side), 2 for
            live sources, 1 where the engine's device does a frame's whole way. A live source hands the network a frame only
            when it is free, whatever the number: no frame grows old in front of it. ``self.in_flight`` holds the resolved
            number.

    Attributes:
        parallel: How many of them the engine computes side by side.

    Raises:
        InputError: a limit that is not positive; ``in_flight`` beyond what the segmenter allows.
    """

    def __init__(
        self,
        source: Source | Sequence[Source],
        segmenter: Segmenter,
        sinks: Sequence[Sink] = (),
        *,
        mask: bool = False,
        overlay: bool = True,
        max_frames: int | None = None,
        duration_s: float | None = None,
        queue_size: int = 2,
        hud: bool = False,
        in_flight: int | None = None,
    ) -> None:
        for name, limit in (("max_frames", max_frames), ("duration_s", duration_s), ("queue_size", queue_size)):
            if limit is not None and not limit > 0:
                raise InputError(f"`{name}`: expected a number above 0, got {limit}")
        blind = [sink.text for sink in sinks if sink.overlay and not overlay]
        if blind or (hud and not overlay):
            raise InputError(f"Pipeline: {', '.join(blind) or '`hud`'} shows overlays; pass `overlay=True`")
        self._sources = (source,) if isinstance(source, Source) else tuple(source)
        self._live = any(each.live for each in self._sources)
        if not self._sources or not all(each.live == self._live for each in self._sources):
            kinds = ", ".join(f"{each.text} is {'live' if each.live else 'a file'}" for each in self._sources) or "none"
            raise InputError(f"Pipeline: expected sources that are all live or all files, got {kinds}; run them apart")
        self.in_flight = resolve_in_flight(in_flight, segmenter, self._live)
        self._segmenter, self._sinks = segmenter, tuple(sinks)
        self._mask, self._overlay = mask or any(sink.mask for sink in sinks), overlay
        self._hud = Hud(f"{segmenter.engine.name}, {segmenter.engine.device}") if hud else None
        self._max_frames, self._duration_s = max_frames, duration_s
        self._captured: Channel[SourceFrame] = Channel(queue_size, self._live, _origin)
        self._results: Channel[Result] = Channel(queue_size, self._live, _origin)
        # A live source's frame must not wait in front of the network: see in_flight.
        self._frames_in_flight = InFlight(segmenter, self.in_flight, 1 if self._live else self.in_flight)
        self._capturing = len(self._sources)
        self._stop = threading.Event()
        self._workers = Workers()
        self._lock = threading.Lock()
        # What the sinks are done with, to be reused: a frame-sized allocation costs page faults every time.
        self._pool = BufferPool(2 * len(self._sources))
        self.state = "new"
        self._started = self._ended = 0.0
        self._frames_in = self._frames_out = self._abandoned = 0
        # A live source's frames are computed one after the other, whatever the engine could.
        self.parallel = 1 if self._live else min(self.in_flight, segmenter.engine.parallel)
        self._timings = Timings(self.in_flight, self.parallel * self._batch())

    def run(self, on_result: Callable[[Result], None] | None = None) -> dict[str, Any]:
        """Runs to the end of the source, a limit, or a sink's wish to stop.

        Args:
            on_result: Called after the sinks took a result. Its overlay and mask are overwritten then: copy what you keep.

        Returns:
            :meth:`stats`.

        Raises:
            Exception: the first error of any stage, as it was raised there.
            KeyboardInterrupt: Ctrl-C; all stages have stopped, and :meth:`stats` can be read.
        """
        with closing(self.results()) as results:
            try:
                for sink in self._sinks:
                    sink.start(Run(self._segmenter.labels, self.stats))
                for result in results:
                    self._deliver(result)
                    if on_result is not None:
                        on_result(result)
                    self._pool.give(result.overlay_bgr)
                    self._pool.give(result.mask)
                    if any(sink.stop for sink in self._sinks):
                        break
            except BaseException as error:
                self._finish(_state_after(error))
                raise
        return self.stats()

    def results(self) -> Generator[Result, None, None]:
        """Yields results, each source's in its order. Leaving the loop early stops all stages.

        Raises:
            Exception: the first error of any stage, as it was raised there.
        """
        if self.state != "new":
            raise InputError("Pipeline: a pipeline runs once; make another one")
        self.state = "running"
        self._started = perf_counter()
        if self.in_flight == 1:
            self._workers.add("infer", self._infer, self._results.close)
        else:
            self._workers.add("feed", self._feed, self._frames_in_flight.close)
            self._workers.add("paint", self._paint, self._results.close)
        for origin in range(len(self._sources)):
            self._workers.add(f"capture-{origin}", partial(self._capture, origin), self._captured_all)
        try:
            self._workers.start()
            for result in self._results.each(self._deadline(), self._halt):
                self._frames_out += 1
                yield result
                if self._frames_out == self._max_frames:
                    self._finish("stopped")
                    return
            if self._workers.error is not None:
                raise self._workers.error
            self._finish("stopped" if self._stop.is_set() else "ended")
        except BaseException as error:
            self._finish(_state_after(error))
            raise
        finally:
            self._shut()

    @property
    def fps(self) -> float | None:
        """Frames per second at the sinks so far; None before the second frame."""
        return self._timings.fps

    def stats(self) -> dict[str, Any]:
        """What ``run --json`` writes; may be read while the pipeline runs and after it failed.

        ``frames_in`` counts what the source delivered, corrupt frames included; ``frames_out`` what was handed to the
        sinks. Once the pipeline has stopped, the difference is the sum of the drops: ``stale`` frames waited for inference
        or were in flight,
        ``queue`` frames for the sinks, when newer ones overtook them or the run was stopped. ``latency_ms``: frame in
        memory to overlay in memory; ``frame_age_ms``: frame in memory to the last sink.
        """
        corrupt = sum(each.corrupt for each in self._sources)
        return {
            "engine": self._segmenter.engine.name,
            "device": self._segmenter.engine.device,
            "seconds": (self._ended or perf_counter()) - self._started if self._started else 0.0,
            "frames_in": self._frames_in + corrupt,
            "frames_out": self._frames_out,
            "in_flight": self.in_flight,
            "parallel": self.parallel,
            "dropped": {
                "stale": self._captured.dropped + self._abandoned + self._frames_in_flight.abandoned,
                "corrupt": corrupt,
                "queue": self._results.dropped,
            },
            "reconnects": sum(each.reconnects for each in self._sources),
            "state": self.state,
            "sources": [row for each in self._sources for row in each.health()],
            "sinks": [{"sink": sink.text, "dropped": sink.dropped} for sink in self._sinks],
            **self._timings.report(),
        }

    def _deliver(self, result: Result) -> None:
        started = perf_counter()
        if self._hud is not None:
            dropped = self._captured.dropped + self._results.dropped
            self._hud.draw(result, started, self._frames_in, dropped, sum(each.reconnects for each in self._sources))
        for sink in self._sinks:
            sink.take(result)
        self._timings.delivered(result, started, perf_counter())

    def _finish(self, state: str) -> None:
        if self.state == "running":  # the first reason is the true one
            self.state = state

    def _deadline(self) -> float:
        return self._started + self._duration_s if self._duration_s is not None else float("inf")

    def _halt(self) -> None:
        """No more frames, also from a source that is silent."""
        self._stop.set()
        for each in self._sources:
            each.cancel()

    def _capture(self, origin: int) -> None:
        deadline = self._deadline()
        # Files deliver exactly the frames that were asked for; live sources run on, because some of their frames drop.
        limit = float("inf") if self._live or self._max_frames is None else self._max_frames
        asked = perf_counter()
        for frame in self._sources[origin]:
            with self._lock:
                if self._stop.is_set() or self._frames_in >= limit:
                    return
                self._timings.captured(1e3 * (perf_counter() - asked))
                self._frames_in += 1
                enough = self._frames_in >= limit
            if len(self._sources) > 1:
                # Names are unique within a source only, and become file names.
                frame = replace(frame, origin=origin, name=f"{origin}_{frame.name}")
            if not self._captured.put(frame) or enough:
                return
            if perf_counter() >= deadline:
                self._stop.set()
                return
            asked = perf_counter()

    def _captured_all(self) -> None:
        """A source has ended; the last one closes the queue."""
        with self._lock:
            self._capturing -= 1
            last = not self._capturing
        # A source that failed stops the others: the run has failed.
        if self._workers.error is not None:
            self._halt()
        if last:
            self._captured.close()

    def _infer(self) -> None:
        """All of it in one thread."""
        batch = self._batch()
        for frame in self._captured:
            frames = [frame, *self._captured.more(batch - 1)] if batch > 1 else [frame]
            if not self._hand_on(self._segmented(frames)):
                return

    def _feed(self) -> None:
        batch, captured = self._batch(), iter(self._captured)
        # Room first, then the frame: a frame that was taken can't be replaced by a newer one.
        while self._frames_in_flight.room():
            frame = next(captured, None)
            if frame is None:
                return
            self._frames_in_flight.start([frame, *self._captured.more(batch - 1)] if batch > 1 else [frame])
            del frame

    def _paint(self) -> None:
        with closing(self._frames_in_flight.results(self._outs, mask=self._mask, overlay=self._overlay)) as inferences:
            for results in inferences:
                if not self._hand_on(results):
                    return

    def _batch(self) -> int:
        """Most frames that share an inference."""
        return len(self._sources) if self._segmenter.engine.batch is None else 1

    def _hand_on(self, results: list[Result]) -> bool:
        """Gives results to the sinks' queue. False: it takes no more, and they are accounted for."""
        for done, result in enumerate(results):
            self._timings.computed(result)
            if not self._results.put(result):
                self._abandoned += len(results) - done - 1
                return False
        return True

    def _outs(self, frame: SourceFrame) -> Outs:
        """Arrays to write into, where the sinks have given some back."""
        size_hw = frame.size_hw
        return (
            self._pool.take(size_hw) if self._mask else None,
            self._pool.take((*size_hw, 3)) if self._overlay else None,
        )

    def _segmented(self, frames: list[SourceFrame]) -> list[Result]:
        wanted: dict[str, Any] = {"mask": self._mask, "overlay": self._overlay}
        outs = [self._outs(frame) for frame in frames]
        try:
            if len(frames) > 1:
                return self._segmenter.process_batch(frames, outs, **wanted)
            frame, (mask_out, out) = frames[0], outs[0]
            about: dict[str, Any] = {"index": frame.index, "name": frame.name, "origin": frame.origin}
            about |= {"captured_s": frame.captured_s, "pixel_format": frame.pixel_format}
            return [self._segmenter.process(frame.image, **wanted, mask_out=mask_out, out=out, **about)]
        except BaseException:
            self._abandoned += len(frames)
            raise

    def _shut(self) -> None:
        self._halt()
        self._captured.abort()
        self._frames_in_flight.abort()
        self._results.abort()
        self._ended = perf_counter()
        self._workers.join()


def stream(source: str | Path | int | Source, segmenter: Segmenter, **options: Any) -> Generator[Result, None, None]:
    """Results of a source's frames, in order: what :meth:`seg_edge.runtime.Segmenter.stream` returns.

    Args:
        source: What :func:`open_source` takes (then closed at the end), or an open source (left open).
        segmenter: An open one.
        options: Of :class:`Pipeline`.
    """
    if isinstance(source, Source):
        yield from Pipeline(source, segmenter, **options).results()
        return
    with open_source(source) as opened:
        yield from Pipeline(opened, segmenter, **options).results()


def _origin(item: SourceFrame | Result) -> int:
    return item.origin


def _state_after(error: BaseException) -> str:
    if isinstance(error, GeneratorExit):
        return "stopped"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
