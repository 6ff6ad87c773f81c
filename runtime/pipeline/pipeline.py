"""The pipeline source → segmenter → sinks, whose stages run concurrently. Owns all threads and queues.

    capture thread ──captured──▶ feeding thread ──in flight: the network──▶ painting thread ──results──▶ the caller's:
    sinks

Feeding resizes a frame and starts its inference; painting is the post-processing. While the network computes a frame,
the next one is prepared and the last one is painted. With one frame in flight, a single thread does all three in
sequence. The caller's thread feeds the sinks, because the main thread must draw windows and receives Ctrl-C.
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
from ..areas.tally import AreaTally
from ..frame.hud import Hud
from ..frame.result import Outs, Result
from ..frame.runner import about_frame
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

#: A paused run looks so often whether it was stopped.
_PAUSE_CHECK_S = 0.1


class Pipeline:
    """A run of one or several sources through a segmenter.

    Queues are bounded. A live source never waits: when inference or the sinks are late, the oldest waiting frame is
    dropped and counted. A file waits instead, and drops no frames. An error in any stage stops all stages and is raised
    to the caller.

    Args:
        source: An open source, or several that are all live or all files. Each source has its own places in the queues
            and its own reading thread. If the engine's batch is free, waiting frames of several sources share an
            inference.
        segmenter, sinks: An open segmenter and open sinks. The pipeline closes neither these nor the sources.
        mask, overlay: Whether the segmenter computes masks and overlays; masks also if a sink needs them.
        max_frames: Stop after this many results; None is no limit.
        duration_s: Stop after this many seconds; None is no limit.
        queue_size: Maximum number of frames that wait between two stages. Higher values increase memory and frame age,
            but not the speed.
        hud: Draw rate, latency, drops, engine and device into the overlay.
        in_flight: Maximum number of frames in the segmenter, at least 1. None is 3 for files (one prepared or waiting,
            one computed, one painted; more if the engine computes several in parallel), 2 for live sources, and 1 if
            the engine's device processes frames entirely. A live source always submits a frame only when the network is
            idle, so that no frame becomes outdated while it waits. ``self.in_flight`` holds the resolved number.

    Attributes:
        parallel: Number of frames that the engine computes in parallel.

    Raises:
        InputError: a limit is not positive, ``in_flight`` is above the segmenter's maximum, live sources and files are
            mixed, or an overlay is needed but ``overlay`` is False.
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
        for each in self._sources:
            each.value_range = each.value_range or segmenter.spec.input_range
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
        # A frame of a live source must not wait for the network, see in_flight.
        self._frames_in_flight = InFlight(segmenter, self.in_flight, 1 if self._live else self.in_flight)
        self._capturing = len(self._sources)
        self._stop = threading.Event()
        self._resumed = threading.Event()
        self._resumed.set()
        self._workers = Workers()
        self._lock = threading.Lock()
        # Arrays that the sinks have used, for reuse: every frame-sized allocation costs page faults.
        self._pool = BufferPool(2 * len(self._sources))
        self.state = "new"
        self._started = self._ended = 0.0
        self._frames_in = self._frames_out = self._abandoned = self._computed = 0
        # Frames of live sources are computed one after the other, even if the engine supports more.
        self.parallel = 1 if self._live else min(self.in_flight, segmenter.engine.parallel)
        self._timings = Timings(self.in_flight, self.parallel * self._batch())
        self._areas = None if segmenter.counter is None else AreaTally()

    def run(self, on_result: Callable[[Result], None] | None = None) -> dict[str, Any]:
        """Runs until the source ends, a limit is reached, or a sink requests a stop.

        Args:
            on_result: Called with each result, after the sinks. Afterwards its overlay and mask are overwritten; copy
                them to keep them.

        Returns:
            :meth:`stats`.

        Raises:
            Exception: the first error of any stage, as it was raised there.
            KeyboardInterrupt: Ctrl-C; all stages have stopped, and :meth:`stats` can be read.
        """
        with closing(self.results()) as results:
            try:
                for sink in self._sinks:
                    sink.start(Run(self._segmenter.labels, self.stats, self.pause))
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
        """Yields results; those of each source are in order. Leaving the loop early stops all stages.

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
                self._computed += result.computed
                if self._areas is not None and result.areas is not None:
                    self._areas.add(result.areas, result.origin)
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

    def pause(self, paused: bool = True) -> None:
        """Pauses the run, or resumes it; from any thread. ``stats()["state"]`` is ``"paused"`` meanwhile.

        Files wait, and lose no frame. Live sources are read on, so that they stay connected; their frames are left out and
        not counted.
        """
        if paused:
            self._resumed.clear()
        else:
            self._resumed.set()

    def stop(self) -> None:
        """Ends the run as its source's end would, from any thread: frames under way come out, and :meth:`run` returns."""
        self._halt()

    @property
    def fps(self) -> float | None:
        """Frames per second at the sinks so far; None before the second frame."""
        return self._timings.fps

    def stats(self) -> dict[str, Any]:
        """The statistics that ``run --json`` writes. May be called during the run and after an error.

        ``frames_in`` counts the frames from the sources, including corrupt ones; ``frames_out`` counts the frames for
        the sinks. After the run, the difference is the sum of ``dropped``. ``stale`` frames were dropped before or
        during the inference and ``queue`` frames before the sinks, because of newer frames or a stop. ``latency_ms`` is
        the time from the frame in memory to the overlay in memory; ``frame_age_ms`` ends at the last sink.
        """
        corrupt = sum(each.corrupt for each in self._sources)
        return {
            "engine": self._segmenter.engine.name,
            "device": self._segmenter.engine.device,
            "seconds": (self._ended or perf_counter()) - self._started if self._started else 0.0,
            "frames_in": self._frames_in + corrupt,
            "frames_out": self._frames_out,
            "computed": self._computed,
            "in_flight": self.in_flight,
            "parallel": self.parallel,
            "dropped": {
                "stale": self._captured.dropped + self._abandoned + self._frames_in_flight.abandoned,
                "corrupt": corrupt,
                "queue": self._results.dropped,
            },
            "reconnects": sum(each.reconnects for each in self._sources),
            "state": self.state if self._resumed.is_set() or self.state != "running" else "paused",
            "sources": [row for each in self._sources for row in each.health()],
            "sinks": [{"sink": sink.text, "dropped": sink.dropped} for sink in self._sinks],
            **self._timings.report(),
            "areas": [] if self._areas is None else self._areas.report(),
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
        if self.state == "running":  # keep the first reason
            self.state = state

    def _deadline(self) -> float:
        return self._started + self._duration_s if self._duration_s is not None else float("inf")

    def _halt(self) -> None:
        """Stops all sources, including those that are waiting for a frame."""
        self._stop.set()
        for each in self._sources:
            each.cancel()

    def _capture(self, origin: int) -> None:
        deadline = self._deadline()
        # Files deliver exactly max_frames frames. Live sources deliver more, because some of their frames are dropped.
        limit = float("inf") if self._live or self._max_frames is None else self._max_frames
        asked = perf_counter()
        for frame in self._sources[origin]:
            if not self._goes_on(deadline):
                asked = perf_counter()
                continue
            with self._lock:
                if self._stop.is_set() or self._frames_in >= limit:
                    return
                self._timings.captured(1e3 * (perf_counter() - asked))
                self._frames_in += 1
                enough = self._frames_in >= limit
            if len(self._sources) > 1:
                # Names become file names, but are unique only within a source.
                frame = replace(frame, origin=origin, name=f"{origin}_{frame.name}")
            if not self._captured.put(frame) or enough:
                return
            if perf_counter() >= deadline:
                self._stop.set()
                return
            asked = perf_counter()

    def _goes_on(self, deadline: float) -> bool:
        """Whether a frame is taken: while the run is paused, files wait here, and live frames are left out."""
        while not self._resumed.is_set() and not self._stop.is_set() and perf_counter() < deadline:
            if self._live:
                return False
            self._resumed.wait(_PAUSE_CHECK_S)
        return True

    def _captured_all(self) -> None:
        """Called when a source has ended; the last source closes the queue."""
        with self._lock:
            self._capturing -= 1
            last = not self._capturing
        # If a source failed, the run has failed: stop the other sources.
        if self._workers.error is not None:
            self._halt()
        if last:
            self._captured.close()

    def _infer(self) -> None:
        """Feeding, inference and painting in one thread."""
        batch = self._batch()
        for frame in self._captured:
            frames = [frame, *self._captured.more(batch - 1)] if batch > 1 else [frame]
            if not self._hand_on(self._segmented(frames)):
                return

    def _feed(self) -> None:
        batch, captured = self._batch(), iter(self._captured)
        # Wait for room before taking a frame, because a newer frame can't replace a taken one.
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
        """Maximum number of frames that share an inference."""
        return len(self._sources) if self._segmenter.engine.batch is None else 1

    def _hand_on(self, results: list[Result]) -> bool:
        """Puts results into the queue for the sinks. False: the queue was aborted; the rest is counted as dropped."""
        for done, result in enumerate(results):
            self._timings.computed(result)
            if not self._results.put(result):
                self._abandoned += len(results) - done - 1
                return False
        return True

    def _outs(self, frame: SourceFrame) -> Outs:
        """Output arrays from the pool; None where the pool has none."""
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
            return [self._segmenter.process(frame.image, **wanted, mask_out=mask_out, out=out, **about_frame(frame))]
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
    """Yields the results of a source's frames, in order. Implements :meth:`seg_edge.runtime.Segmenter.stream`.

    Args:
        source: An argument for :func:`open_source` (the source is closed at the end), or an open source (left open).
        segmenter: An open segmenter.
        options: Options of :class:`Pipeline`.
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
