"""Camera to sink: the whole pipeline with its threads and queues, fed by a camera that doesn't wait for it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.errors import InputError
from ...runtime.pipeline.pipeline import Pipeline
from ...runtime.segmenter import Segmenter
from ...runtime.sinks import open_sink, refuse_overwrite, written_by
from ...runtime.sources import Source, SourceFrame, open_source, source_path

Frame = npt.NDArray[np.uint8]

_SIMULATED = re.compile(r"camera:(\d+(?:\.\d+)?)")


class SimulatedCamera(Source):
    """Delivers frames at a fixed rate, each in memory of its own as a driver does, whether or not anybody takes them.

    Args:
        frames: uint8 (H, W, 3) each; cycled through.
        fps: Frames per second.
    """

    live = True

    def __init__(self, frames: list[Frame], fps: float) -> None:
        super().__init__(f"camera:{fps:g}", fps=fps)
        self._frames, self._period_s = frames, 1 / fps

    def __iter__(self) -> Iterator[SourceFrame]:
        began, due, index = perf_counter(), 0.0, 0
        while True:
            sleep(max(due - perf_counter(), 0))
            # The next tick of its clock from now on: frames that were not asked for in time are lost, and no burst follows.
            due = began + (int((perf_counter() - began) / self._period_s) + 1) * self._period_s
            image = self._frames[index % len(self._frames)].copy()
            yield SourceFrame(image, index, f"camera_{index:06d}", perf_counter())
            index += 1


def watch(segmenter: Segmenter, frames: list[Frame], source: str, sink: str, seconds: float) -> dict[str, Any]:
    """Runs a pipeline for ``seconds``.

    Args:
        segmenter: An open one; a configuration of the benchmark passes its own, which computes one frame at a time on all of
            its threads. ``seg-edge run`` opens one for files that computes several side by side.
        frames: What a simulated camera shows.
        source: ``camera:30``, a simulated camera of 30 frames per second, or what ``seg-edge run --source`` takes.
        sink: What ``seg-edge run --sink`` takes.
        seconds: How long, above 0.

    Returns:
        source, sink and, out of what ``run --json`` writes, seconds, frames_in, frames_out, dropped, fps, latency_ms,
        frame_age_ms, stages_ms.

    Raises:
        InputError: a simulated camera without frames per second above 0.
        SourceError, SinkError: as they say; the sink is the source's own file.
    """
    _refuse_own_source(source, sink)
    with open_watched(source, frames) as opened, open_sink(sink, opened.fps, opened.live) as target:
        stats = Pipeline(opened, segmenter, [target], duration_s=seconds).run()
    keys = ("seconds", "frames_in", "frames_out", "dropped", "fps", "latency_ms", "frame_age_ms", "stages_ms")
    return {"source": source, "sink": sink} | {key: stats[key] for key in keys}


def try_watch(source: str, sink: str) -> None:
    """Opens both as :func:`watch` will, and closes them: a typing error is reported before minutes of measuring.

    A named pipe is left alone: its reader would take the closing for the end of the run.

    Raises:
        InputError, SourceError, SinkError: as of :func:`watch`.
    """
    _refuse_own_source(source, sink)
    fps: float | None = None
    live = False
    if simulated(source) or not _is_pipe(source_path(source)):
        with open_watched(source, []) as opened:
            fps, live = opened.fps, opened.live
    if not _is_pipe(sink.removeprefix("pipe:")):
        open_sink(sink, fps, live).close()


def simulated(source: str) -> bool:
    """Whether a source is a :class:`SimulatedCamera`."""
    return source.startswith("camera:")


def _refuse_own_source(source: str, sink: str) -> None:
    refuse_overwrite([] if simulated(source) else [source], written_by(sink))


def _is_pipe(path: str | Path | None) -> bool:
    try:
        return path is not None and stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):  # not there, or no path: opening it says so
        return False


def open_watched(source: str, frames: list[Frame]) -> Source:
    """The source that a text stands for; see :func:`watch`."""
    if not simulated(source):
        return open_source(source)
    match = _SIMULATED.fullmatch(source)
    if not match or not float(match[1]) > 0:
        raise InputError(f"bench: expected camera:FPS such as camera:30, got {source!r}")
    return SimulatedCamera(frames, float(match[1]))
